"""What analysts and BI tools query: one class a table, its docstring the grain."""

import polars as pl

from schemas.table import Table, field, number

VERDICTS = ("strong", "undetermined", "weak")


class Assets(Table):
    """One row per asset of the universe that has at least one price."""

    asset: pl.String
    name: pl.String = field("Name for people")
    kind: pl.String = field("crypto, index, etf, stock or volatility")
    calendar: pl.String
    currency: pl.String = field("Currency of the prices")
    volume_unit: pl.String = field("What the volume counts, per convention where they differ")
    sources: pl.String = field("Sources that served prices, comma-separated, in the universe's order")
    first_session: pl.Date = field("First session with a price")
    last_session: pl.Date = field("Last session with a price")

    class Config:
        """Name and key."""

        name = "mart.assets"
        metadata = {"key": ("asset",)}


class Normalized(Table):
    """One row per asset, convention and study session: growth of 100 since its first study session."""

    asset: pl.String
    convention: pl.String
    session: pl.Date
    rebased: pl.Float64 = number("Total-return level, 100 at the asset's first study session", "index", gt=0)

    class Config:
        """Name and key."""

        name = "mart.normalized"
        metadata = {"key": ("asset", "convention", "session")}


class Correlations(Table):
    """One row per pair, convention, window and session: the rolling link of log returns with its uncertainty.

    Windows overlap: T sessions hold about T / window independent readings, so averages over days are
    far less certain than their number of rows suggests.
    """

    asset: pl.String
    benchmark: pl.String
    convention: pl.String
    window_sessions: pl.Int32
    session: pl.Date
    window_start: pl.Date = field("Session of the first return in the window", nullable=True)
    n: pl.Int32
    r: pl.Float64 = number(
        "Pearson correlation of log returns; null until the window is full", "-1..1", ge=-1, le=1
    )
    lo95: pl.Float64 = number(
        "Lower end of the 95 % interval of r, fat tails allowed for", "-1..1", ge=-1, le=1
    )
    hi95: pl.Float64 = number("Upper end of the 95 % interval of r", "-1..1", ge=-1, le=1)
    spearman: pl.Float64 = number("Spearman rank correlation of the same returns", "-1..1", ge=-1, le=1)
    spearman_lo95: pl.Float64 = number("Lower end of its 95 % interval", "-1..1", ge=-1, le=1)
    spearman_hi95: pl.Float64 = number("Upper end of its 95 % interval", "-1..1", ge=-1, le=1)
    beta: pl.Float64 = number("Slope of the asset's return on the benchmark's", "ratio")
    ewma_r: pl.Float64 = number("Exponentially weighted correlation, decay 0.94", "-1..1", ge=-1, le=1)
    is_above_threshold: pl.Boolean = field("The article's bare rule: r above the threshold", nullable=True)
    verdict: pl.String = field(
        "strong (lo95 above the threshold), weak (hi95 below it), otherwise undetermined",
        nullable=True,
        isin=VERDICTS,
    )

    class Config:
        """Name and key."""

        name = "mart.correlations"
        metadata = {"key": ("asset", "benchmark", "convention", "window_sessions", "session")}


class Indicators(Table):
    """One row per asset, convention, session and indicator, on the asset's own bars; null until warm."""

    asset: pl.String
    convention: pl.String
    session: pl.Date
    indicator: pl.String = field(
        "Name with its length, e.g. rsi_14; mart.indicators_wide has one column each"
    )
    value: pl.Float64 = number("Value of the indicator", "by indicator")

    class Config:
        """Name and key."""

        name = "mart.indicators"
        metadata = {"key": ("asset", "convention", "session", "indicator")}


class Dictionary(Table):
    """One row per published column: what it means, its unit, and which function makes the table."""

    schema_name: pl.String = field("Schema of the table")
    table_name: pl.String = field("Name of the table")
    column_name: pl.String = field("Name of the column")
    type: pl.String = field("SQL type")
    unit: pl.String = field("Unit, where there is one", nullable=True)
    description: pl.String = field("Meaning of the column")
    made_by: pl.String = field("Function that makes the table")

    class Config:
        """Name and key."""

        name = "mart.dictionary"
        metadata = {"key": ("schema_name", "table_name", "column_name")}
