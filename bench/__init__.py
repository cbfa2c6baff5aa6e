"""Side-by-side benchmarks: every figure is a ratio to a peer that ran in the same minutes."""
