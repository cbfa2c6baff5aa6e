"""Two clocks: which delivered rows say something new, and from when this version of them is known."""

from datetime import datetime, timedelta

import polars as pl

from flows.batch import FIGURES
from schemas import Table, raw
from schemas.table import Instant, key, polars_schema

TICK = timedelta(microseconds=1)
SAME = 1e-6  # Yahoo's adjusted closes tremble in the seventh digit from one request to the next
LISTS: dict[type[Table], tuple[str, ...]] = {  # told as a whole: what a new word on one lacks is out
    raw.Constituents: ("source", "index_id", "as_of_on")
}
CALENDARS: dict[type[Table], tuple[str, ...]] = {
    raw.PolicyEvents: ("source",)
}  # whole from its first event on


def new_versions(
    model: type[Table], rows: pl.DataFrame, frozen: pl.DataFrame, stored: pl.DataFrame, loaded_at: datetime
) -> pl.DataFrame:
    """The rows to append to a raw table, with `is_new`: first versions, changed figures, withdrawals.

    A first version of a recorded row is known from when the row was final or public (an assumption, so
    marked); every other version from the vintage day that the source gives, or from the load. A row that
    says what the version in force at that instant says adds nothing; an adjusted close says the same within
    `SAME`, since a provider computes it anew for each answer.

    Args:
        model: The raw table.
        rows: Checked rows in the table's shape, with `first_at` and `said_at`; `is_known_at_assumed` is true
            for recorded ones.
        frozen: Rows that are wrong by now, in the same shape: bars that the next bar has shown to be, members
            that a corrected list lacks.
        stored: Every stored version of the sources in `rows`, in the table's shape.
        loaded_at: The instant of the load.
    """
    about = [column for column in key(model) if column != "known_at"]
    figures = list(FIGURES[model])
    if "known_at" not in key(model):  # a snapshot is taken once and never said again
        return rows.join(stored, on=about, how="anti").select(
            *polars_schema(model), is_new=pl.lit(value=True)
        )
    shape = [*polars_schema(model), "is_new"]
    once = rows.unique([*about, "said_at"], keep="first", maintain_order=True)  # two requests may bring a row
    if model in LISTS:
        once = dated_by_load(once, stored, LISTS[model])
    beside = once.join(heads(stored, about, figures), on=about, how="left")
    is_contested = (
        (pl.col("versions") > 1).fill_null(value=False)
        | pl.col("said_at").is_not_null()
        | pl.struct(about).is_duplicated()
    )
    contested = beside.select(is_contested).to_series()
    alone = dated(beside.filter(~contested), pl.lit(value=True), loaded_at)
    several = dated(
        beside.filter(contested), pl.int_range(pl.len()).over(about, order_by="said_at") == 0, loaded_at
    )
    news = [
        alone.with_columns(is_new=pl.col("versions").is_null()).filter(differs(figures) | pl.col("is_new")),
        chained(corrected(several, stored, about, figures), stored, about, figures, model),
        withdrawals(frozen, stored, about, figures, loaded_at),
    ]
    return pl.concat(frame.select(shape) for frame in news).sort(*about, "known_at")


def heads(stored: pl.DataFrame, about: list[str], figures: list[str]) -> pl.DataFrame:
    """Per stored row: how many versions, the instant of the newest, and the figures of the first."""
    return stored.group_by(about).agg(
        pl.len().alias("versions"),
        pl.col("known_at").max().alias("newest"),
        *(pl.col(column).first().alias(f"stored_{column}") for column in figures),
    )


def differs(figures: list[str]) -> pl.Expr:
    """True where a delivered figure is not the stored one; null equals null."""
    return pl.any_horizontal(is_other(column, pl.col(f"stored_{column}")) for column in figures)


def is_other(figure: str, before: pl.Expr) -> pl.Expr:
    """True where a figure is not what it was before; an adjusted close may tremble."""
    changed = pl.col(figure).ne_missing(before)
    if figure != "adj_close":
        return changed
    return changed & ((pl.col(figure) / before - 1).abs() > SAME).fill_null(value=True)


def dated(rows: pl.DataFrame, is_earliest: pl.Expr, loaded_at: datetime) -> pl.DataFrame:
    """Delivered rows with `known_at` and whether that is assumed; a clock that went back changes no order."""
    is_first = pl.col("newest").is_null() & is_earliest & pl.col("is_known_at_assumed")
    loaded = pl.max_horizontal(pl.lit(loaded_at, Instant), pl.col("newest") + TICK)
    return rows.with_columns(
        is_known_at_assumed=is_first,
        known_at=pl.when(is_first).then("first_at").otherwise(pl.coalesce("said_at", loaded)),
    )


def corrected(
    incoming: pl.DataFrame, stored: pl.DataFrame, about: list[str], figures: list[str]
) -> pl.DataFrame:
    """Rows whose instant is taken by another figure follow the newest version, if they are not there yet."""
    taken = stored.select(
        *about, "known_at", *(pl.col(c).alias(f"taken_{c}") for c in figures), is_taken=pl.lit(value=True)
    )
    moved = pl.any_horizontal(is_other(c, pl.col(f"taken_{c}")) for c in figures)
    marked = incoming.join(taken, on=[*about, "known_at"], how="left").with_columns(
        is_corrected=pl.col("is_taken").is_not_null() & moved
    )
    nth = pl.int_range(1, pl.len() + 1).over(about, order_by="known_at")
    news = (
        marked.filter("is_corrected")
        .join(stored.select(*about, *figures), on=[*about, *figures], how="anti", nulls_equal=True)
        .with_columns(known_at=pl.col("newest") + TICK * nth)
    )
    return pl.concat([marked.filter(~pl.col("is_corrected")), news])


def chained(
    incoming: pl.DataFrame,
    stored: pl.DataFrame,
    about: list[str],
    figures: list[str],
    model: type[Table],
) -> pl.DataFrame:
    """Rows that differ from the version in force at their own instant; a bad bar never comes back."""
    before = stored.join(incoming.select(about).unique(), on=about, how="semi")
    chain = pl.concat(
        [
            frame.select(*about, "known_at", *figures, pl.lit(is_incoming).alias("is_incoming"))
            for frame, is_incoming in ((before, False), (incoming, True))
        ]
    ).sort(*about, "known_at", "is_incoming")
    is_changed = pl.any_horizontal(is_other(c, pl.col(c).shift(1).over(about)) for c in figures)
    fresh = chain.with_columns(is_new=pl.int_range(pl.len()).over(about) == 0, is_changed=is_changed).filter(
        pl.col("is_incoming") & (pl.col("is_new") | pl.col("is_changed"))
    )
    news = incoming.join(fresh.select(*about, "known_at", "is_new"), on=[*about, "known_at"])
    if model in LISTS:
        return news
    newest = before.filter(pl.col("known_at") == pl.col("known_at").max().over(about))
    withdrawn = newest.filter(pl.all_horizontal(pl.col(figures).is_null())).select(about)
    again = before.join(withdrawn, on=about, how="semi").select(*about, *figures)  # found wrong already
    return news.join(again, on=[*about, *figures], how="anti", nulls_equal=True)


def withdrawals(
    frozen: pl.DataFrame, stored: pl.DataFrame, about: list[str], figures: list[str], loaded_at: datetime
) -> pl.DataFrame:
    """Versions without figures for stored rows that are wrong by now."""
    wrong = frozen.select(*about, *figures, pl.col("load_id").alias("found_by"))
    suspects = stored.join(wrong, on=about, how="semi")
    newest = suspects.filter(pl.col("known_at") == pl.col("known_at").max().over(about))
    return newest.join(wrong, on=[*about, *figures], nulls_equal=True).with_columns(
        *(pl.lit(None, stored.schema[column]).alias(column) for column in figures),
        known_at=pl.max_horizontal(pl.lit(loaded_at, Instant), pl.col("known_at") + TICK),
        is_known_at_assumed=pl.lit(value=False),
        load_id=pl.col("found_by"),
        is_new=pl.lit(value=False),
    )


def dated_by_load(rows: pl.DataFrame, stored: pl.DataFrame, of_list: tuple[str, ...]) -> pl.DataFrame:
    """Rows of which none is assumed to be known from its list's own day if that list was learned before."""
    known = stored.select(of_list).unique().with_columns(is_known_list=pl.lit(value=True))
    marked = rows.join(known, on=of_list, how="left", maintain_order="left")
    is_first = pl.col("is_known_at_assumed") & pl.col("is_known_list").is_null()
    return marked.with_columns(is_known_at_assumed=is_first).drop("is_known_list")


def removed(model: type[Table], whole: pl.DataFrame, stored: pl.DataFrame) -> pl.DataFrame:
    """Stored rows in force that a list of the same source, index and day no longer has, with its load.

    Args:
        model: A table of lists.
        whole: Rows of lists that came whole.
        stored: Every stored version of these lists.
    """
    about = [column for column in key(model) if column != "known_at"]
    of_list = list(LISTS[model])
    newest = stored.filter(pl.col("known_at") == pl.col("known_at").max().over(about))
    in_force = newest.filter(~pl.all_horizontal(pl.col(FIGURES[model]).is_null())).drop("load_id")
    by = whole.select(*of_list, "load_id").unique(of_list)
    gone = in_force.join(whole, on=about, how="anti").join(by, on=of_list)
    return gone.select(stored.columns)


def cancelled(whole: pl.DataFrame, stored: pl.DataFrame) -> pl.DataFrame:
    """Planned meetings in force that a calendar no longer has, as rows that say so.

    Args:
        whole: Checked events of sources, each with all of its own from its first one on.
        stored: Every stored version of these sources.
    """
    newest = stored.filter(pl.col("known_at") == pl.col("known_at").max().over("source", "event_id"))
    begin = whole.group_by("source").agg(pl.col("load_id").first(), begin=pl.col("released_at").min())
    return (
        newest.filter(kind="meeting")
        .drop("load_id")
        .join(whole, on=["source", "event_id"], how="anti")
        .join(begin, on="source")
        .filter(pl.col("released_at") >= pl.col("begin"))
        .select(
            *(column for column in stored.columns if column not in {"kind", "known_at"}),
            kind=pl.lit("cancelled"),
            is_known_at_assumed=pl.lit(value=False),
            first_at=pl.col("released_at"),
        )
    )
