"""What every table has in common: a name, a key, a grain, and columns that explain themselves."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import pandera.polars as pa
import polars as pl
from pandera.api.polars.types import PolarsData
from pandera.backends.polars import builtin_checks  # noqa: F401 - else the checks know no Polars until the first use
from pandera.backends.polars.checks import PolarsCheckBackend
from pandera.errors import SchemaErrors

from schemas.vocabulary import VOCABULARY

SQL_TYPES = {
    pl.String(): "VARCHAR",
    pl.Float64(): "DOUBLE",
    pl.Int32(): "INTEGER",
    pl.Int64(): "BIGINT",
    pl.Boolean(): "BOOLEAN",
    pl.Date(): "DATE",
    pl.Datetime("us", "UTC"): "TIMESTAMPTZ",
}
PRICE_TOLERANCE = 1e-6
REVISED = "revised"  # marks a transform's input: every version of the rows that have more than one

if TYPE_CHECKING:
    Instant = pl.Datetime
else:
    Instant = pl.Datetime("us", "UTC")  # a bare pl.Datetime would mean naive


class InvalidTableError(ValueError):
    """A frame breaks the contract of the table that it was meant for; nothing of it was written."""


class Table(pa.DataFrameModel):
    """Base of every table: exact columns, no coercion; subclasses give name and key in `Config`."""

    class Config:
        """Pandera's settings, inherited."""

        strict = True


@dataclass(frozen=True, slots=True)
class Column:
    """One column as the DDL, the comments and the dictionary need it."""

    name: str
    dtype: pl.DataType
    is_nullable: bool
    unit: str | None
    description: str

    @property
    def sql_type(self) -> str:
        """DuckDB's name of the type."""
        return SQL_TYPES[self.dtype]

    @property
    def comment(self) -> str:
        """The description with the unit in brackets."""
        return f"{self.description} [{self.unit}]" if self.unit else self.description


def field(description: str = "", unit: str | None = None, *, nullable: bool = False, **checks: Any) -> Any:
    """A column with its description, its unit and Pandera's checks; without the first, the vocabulary's."""
    told = {"unit": unit} if description else {}
    return pa.Field(description=description, nullable=nullable, metadata=told, **checks)


def number(description: str = "", unit: str | None = None, **checks: Any) -> Any:
    """A figure that may be missing: null says "not known", never 0 and never NaN."""
    return field(description, unit, nullable=True, **checks)


def is_finite(data: PolarsData) -> pl.LazyFrame:
    """Neither NaN nor infinite; nulls pass."""
    return data.lazyframe.select(pl.col(data.key).is_finite())


@cache
def name(model: type[Table]) -> str:
    """The qualified name, e.g. `core.closes`."""
    return str(model.to_schema().name)


@cache
def key(model: type[Table]) -> tuple[str, ...]:
    """The columns that identify a row."""
    return tuple(getattr(model.__config__, "metadata", {})["key"])


@cache
def columns(model: type[Table]) -> tuple[Column, ...]:
    """The columns in order, descriptions filled in from the vocabulary where the class gives none."""

    def column(label: str, spec: Any) -> Column:
        known_text, known_unit = VOCABULARY.get(label, ("", None))
        unit = (spec.metadata or {}).get("unit", known_unit)
        return Column(label, spec.dtype.type, spec.nullable, unit, spec.description or known_text)

    return tuple(column(label, spec) for label, spec in model.to_schema().columns.items())


def grain(model: type[Table]) -> str:
    """What a row is: the class's docstring, on one line."""
    return " ".join((model.__doc__ or "").split())


def polars_schema(model: type[Table]) -> dict[str, pl.DataType]:
    """Names and dtypes for building frames."""
    return {column.name: column.dtype for column in columns(model)}


def conform(frame: pl.LazyFrame, model: type[Table]) -> pl.LazyFrame:
    """The model's columns in its order, cast to its types; a missing nullable column becomes null."""
    present = frame.collect_schema().names()
    return frame.select(
        (pl.col(column.name) if column.name in present or not column.is_nullable else pl.lit(None))
        .cast(column.dtype)
        .alias(column.name)
        for column in columns(model)
    )


def failures(frame: pl.DataFrame, model: type[Table]) -> pl.DataFrame:
    """The broken checks: `row` (null for the whole table), `check`, `column`, `value`; empty if all hold."""
    if not holds(frame, model):
        try:
            model.validate(frame, lazy=True)
        except SchemaErrors as error:
            found: pl.DataFrame = error.failure_cases
            return found.select(
                row=pl.col("index"),
                check=pl.col("check"),
                column=pl.col("column"),
                value=pl.col("failure_case"),
            )
    return pl.DataFrame(schema={"row": pl.Int32, "check": pl.String, "column": pl.String, "value": pl.String})


def holds(frame: pl.DataFrame, model: type[Table]) -> bool:
    """True if a frame meets its contract; false if Pandera must be asked, which tells what is broken.

    Types, nulls and the schema's own checks, all at once: one after the other, as Pandera collects them, they
    take six times as long.
    """
    if frame.schema != polars_schema(model):
        return False
    rows = frame.lazy()
    full = [pl.col(column.name).is_not_null().all() for column in columns(model) if not column.is_nullable]
    told = [pl.col(column.name).is_not_nan().all() for column in columns(model) if column.dtype.is_float()]
    asked = [rows.select(pl.all_horizontal(*full, *told))]
    for label, check in checks(model):
        answer = PolarsCheckBackend(check).apply(PolarsData(rows, label))
        asked.append(answer.select(pl.first().fill_null(check.ignore_na).all()))
    return all(answer.item() for answer in pl.collect_all(asked))


@cache
def checks(model: type[Table]) -> tuple[tuple[str, pa.Check], ...]:
    """Pandera's checks of the whole table ("*") and of its columns."""
    schema = model.to_schema()
    return tuple(
        (label, check) for label, part in [("*", schema), *schema.columns.items()] for check in part.checks
    )


def validate(frame: pl.DataFrame, model: type[Table]) -> pl.DataFrame:
    """The frame itself, if data and dtypes meet the contract; floats are finite or null, in every table.

    Raises:
        InvalidTableError: naming the table, the first broken check, and how many rows break it.
    """
    broken = failures(frame, model)
    floats = [column.name for column in columns(model) if column.dtype == pl.Float64()]
    if broken.is_empty() and floats:
        counts = frame.select(pl.col(floats).is_finite().not_().sum()).row(0)
        broken = pl.DataFrame(
            [{"check": "finite", "column": c} for c, n in zip(floats, counts, strict=True) if n]
        )
    if not broken.is_empty():
        first = broken.row(0, named=True)
        raise InvalidTableError(
            f"{name(model)}: column {culprit(first, model)} fails {first['check']} "
            f"({broken.height} failures); the transform that makes this table broke its contract, "
            "nothing was written"
        )
    return frame


def culprit(failure: dict[str, Any], model: type[Table]) -> str:
    """The column that a failure is about; one that is missing or too many is its value."""
    label, value = str(failure["column"]), str(failure.get("value"))
    return label if label in polars_schema(model) else value


def iterate(*modules: Any) -> Iterator[type[Table]]:
    """The table classes of the modules, in the order of their definition."""
    for module in modules:
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, Table) and value is not Table:
                yield value
