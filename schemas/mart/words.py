"""The dictionary of all tables, as a table."""

import polars as pl

from schemas.table import Table, field


class Dictionary(Table):
    """One row per column of a table or view: what it means, its unit, and what makes it."""

    schema_name: pl.String = field("Schema of the table or view")
    table_name: pl.String = field("Name of the table or view")
    column_name: pl.String = field("Name of the column")
    type: pl.String = field("SQL type of the column")
    unit: pl.String = field("Unit, where there is one", nullable=True)
    description: pl.String = field("Meaning of the column")
    made_by: pl.String = field("Function that makes the table, or file of the view")

    class Config:
        """Name and key."""

        name = "mart.dictionary"
        metadata = {"key": ("schema_name", "table_name", "column_name")}
