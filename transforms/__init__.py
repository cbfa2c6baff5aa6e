"""Pure Polars: annotated frames in, one annotated frame out; no I/O, no clock, no database."""
