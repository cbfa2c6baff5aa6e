"""Two clocks: which delivered rows say something new, and from when this version of them is known."""

from datetime import datetime, timedelta

import polars as pl

from flows.batch import FIGURES
from schemas import Table
from schemas.table import Instant, key, polars_schema

TICK = timedelta(microseconds=1)


def new_versions(
    model: type[Table], rows: pl.DataFrame, frozen: pl.DataFrame, stored: pl.DataFrame, loaded_at: datetime
) -> pl.DataFrame:
    """The rows to append to a raw table, with `is_new`: first versions, changed figures, withdrawals.

    A first version of a recorded row is known from when the row was final or public (an assumption, so
    marked); every other version from the vintage day that the source gives, or from the load. A row that
    says what the version in force at that instant says adds nothing.

    Args:
        model: The raw table.
        rows: Checked rows in the table's shape, with `first_at` and `said_at`; `is_known_at_assumed` is true
            for recorded ones.
        frozen: Bars that the next bar has shown to be wrong, in the same shape.
        stored: Every stored version of the sources in `rows`, in the table's shape.
        loaded_at: The instant of the load.
    """
    about = [column for column in key(model) if column != "known_at"]
    figures = list(FIGURES[model])
    if "known_at" not in key(model):  # a snapshot is taken once and never said again
        return rows.join(stored, on=about, how="anti").select(
            *polars_schema(model), is_new=pl.lit(value=True)
        )
    incoming = dated(rows, stored, about, loaded_at)
    shape = [*polars_schema(model), "is_new"]
    contested = is_contested(incoming, stored, about)
    news = [
        uncontested(incoming.filter(~contested), stored, about, figures),
        chained(incoming.filter(contested), stored, about, figures),
        withdrawals(frozen, stored, about, figures, loaded_at),
    ]
    return pl.concat(frame.select(shape) for frame in news).sort(*about, "known_at")


def is_contested(incoming: pl.DataFrame, stored: pl.DataFrame, about: list[str]) -> pl.Series:
    """Rows that have several versions here, there or by vintage, so that their order in time matters."""
    several = stored.filter(pl.struct(about).is_duplicated()).select(about).unique()
    marked = incoming.join(several.with_columns(is_several=True), on=about, how="left", maintain_order="left")
    return marked.select(
        pl.col("is_several").is_not_null()
        | pl.col("said_at").is_not_null()
        | pl.struct(about).is_duplicated()
    ).to_series()


def uncontested(
    incoming: pl.DataFrame, stored: pl.DataFrame, about: list[str], figures: list[str]
) -> pl.DataFrame:
    """Rows with one version on either side: new where nothing is stored, changed where a figure differs."""
    beside = stored.select(
        *about, *(pl.col(c).alias(f"stored_{c}") for c in figures), is_new=pl.lit(value=False)
    )
    is_changed = pl.any_horizontal(pl.col(c).ne_missing(pl.col(f"stored_{c}")) for c in figures)
    joined = incoming.join(beside, on=about, how="left").with_columns(pl.col("is_new").fill_null(value=True))
    return joined.filter(pl.col("is_new") | is_changed)


def chained(
    incoming: pl.DataFrame, stored: pl.DataFrame, about: list[str], figures: list[str]
) -> pl.DataFrame:
    """Rows that differ from the version in force at their own instant."""
    chain = pl.concat(
        [
            frame.select(*about, "known_at", *figures, pl.lit(is_incoming).alias("is_incoming"))
            for frame, is_incoming in (
                (stored.join(incoming.select(about).unique(), on=about, how="semi"), False),
                (incoming, True),
            )
        ]
    ).sort(*about, "known_at", "is_incoming")
    is_changed = pl.any_horizontal(pl.col(c).ne_missing(pl.col(c).shift(1).over(about)) for c in figures)
    fresh = chain.with_columns(is_new=pl.int_range(pl.len()).over(about) == 0, is_changed=is_changed).filter(
        pl.col("is_incoming") & (pl.col("is_new") | pl.col("is_changed"))
    )
    return incoming.join(fresh.select(*about, "known_at", "is_new"), on=[*about, "known_at"])


def dated(rows: pl.DataFrame, stored: pl.DataFrame, about: list[str], loaded_at: datetime) -> pl.DataFrame:
    """Delivered rows with `known_at` and whether that is assumed; a clock that went back changes no order."""
    newest = stored.group_by(about).agg(newest=pl.col("known_at").max())
    nth = pl.int_range(pl.len()).over(about, order_by="said_at")
    is_first = pl.col("newest").is_null() & (nth == 0) & pl.col("is_known_at_assumed")
    loaded = pl.max_horizontal(pl.lit(loaded_at, Instant), pl.col("newest") + TICK)
    return rows.join(newest, on=about, how="left").with_columns(
        is_known_at_assumed=is_first,
        known_at=pl.when(is_first).then("first_at").otherwise(pl.coalesce("said_at", loaded)),
    )


def withdrawals(
    frozen: pl.DataFrame, stored: pl.DataFrame, about: list[str], figures: list[str], loaded_at: datetime
) -> pl.DataFrame:
    """Versions without figures for stored bars that the next bar has shown to be wrong."""
    newest = stored.filter(pl.col("known_at") == pl.col("known_at").max().over(about))
    wrong = frozen.select(*about, *figures, pl.col("load_id").alias("found_by"))
    return newest.join(wrong, on=[*about, *figures], nulls_equal=True).with_columns(
        *(pl.lit(None, stored.schema[column]).alias(column) for column in figures),
        known_at=pl.max_horizontal(pl.lit(loaded_at, Instant), pl.col("known_at") + TICK),
        is_known_at_assumed=pl.lit(value=False),
        load_id=pl.col("found_by"),
        is_new=pl.lit(value=False),
    )
