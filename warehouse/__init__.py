"""The paper: the only place that opens DuckDB, and the landing zone that it can be rebuilt from."""
