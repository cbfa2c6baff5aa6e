"""The hands: the only place that schedules, retries, reads the clock and touches the network."""

import os

# NumPy's linear algebra is a small part of the work, and its threads spin while they wait for more of it
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
