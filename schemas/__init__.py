"""The vocabulary: one Pandera class a table; DDL, comments, docs and checks are derived from it."""

from schemas import core, mart, ops, raw
from schemas.table import Table, iterate, name

__all__ = ["BY_NAME", "TABLES", "Table", "core", "mart", "ops", "raw"]

TABLES: tuple[type[Table], ...] = tuple(iterate(raw, core, mart, ops))
BY_NAME: dict[str, type[Table]] = {name(table): table for table in TABLES}
