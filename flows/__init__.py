"""The hands: the only place that schedules, retries, reads the clock and touches the network."""
