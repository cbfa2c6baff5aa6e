"""Whatever a provider says, in whatever order: what is stored is its last word on every bar."""

from datetime import UTC, datetime, timedelta

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from yahoo_server import sessions

from flows.intake import RefusedError, take_in
from flows.sources import Answer, Request
from flows.versions import new_versions
from schemas import raw
from schemas.table import polars_schema

DAYS = sessions("2026-03-02", "2026-03-13")
NOW = datetime(2026, 3, 14, tzinfo=UTC)
figure = st.sampled_from([100.0, 101.0, 102.5, None])  # None: a close that is missing beside a good open
said = st.lists(st.tuples(st.sampled_from(DAYS), figure), max_size=14)
answers = st.lists(st.one_of(st.none(), st.tuples(said, st.integers(-2, 5))), min_size=1, max_size=6)


def last_word(words: dict, rows: list) -> dict:
    """The provider's valid figures of one answer over those of the answers before, figured out by hand.

    A day named twice with different figures says nothing; an answer that is mostly bad says nothing at all.
    """
    good = [(day, close) for day, close in rows if close is not None]
    by_day: dict = {}
    for day, close in good:
        by_day.setdefault(day, []).append(close)
    agreed = {day: closes[0] for day, closes in by_day.items() if len(set(closes)) == 1}
    bad = len(rows) - len(agreed)  # missing, repeated or contradicting
    if bad > max(5, 0.1 * len(rows)) or (bad and not agreed):
        return words
    return words | agreed


def request(number: int, now: datetime) -> Request:
    return Request(
        raw.Bars,
        "yahoo",
        "yahoo",
        "SPY",
        now,
        interval="1d",
        calendar="XNYS",
        kind="etf",
        load_id=str(number),
    )


def versions_of(rows: list, number: int, now: datetime, stored: pl.DataFrame) -> pl.DataFrame:
    """The stored versions after one more answer; a refused one changes nothing."""
    frame = pl.DataFrame(
        {
            "date": [day for day, _ in rows],
            "open": [100.0] * len(rows),
            "close": [close for _, close in rows],
        },
        schema={"date": pl.Date, "open": pl.Float64, "close": pl.Float64},
    )
    asked = request(number, now)
    try:
        batch = take_in(asked, Answer(frame.with_columns(symbol=pl.lit("SPY"))))
    except RefusedError:
        return stored
    news = new_versions(raw.Bars, batch.rows, stored.clear(), stored, now)
    return pl.concat([stored, news.select(stored.columns)])


@settings(max_examples=30, deadline=None)
@given(answers)
def test_stored_is_the_last_word(heard: list) -> None:
    words: dict = {}
    stored = pl.DataFrame(schema=polars_schema(raw.Bars))
    for number, one in enumerate(heard):
        rows, hours = one or (None, 0)  # None: the source failed
        now = NOW + timedelta(hours=number + hours)  # the machine's clock may jump back
        if rows is not None:
            stored = versions_of(rows, number, now, stored)
            words = last_word(words, rows)
    stored = stored.sort("opened_at", "known_at")
    newest = stored.group_by("opened_at", maintain_order=True).last()
    assert dict(newest.select(pl.col("opened_at").dt.date(), "close").iter_rows()) == words
    assert not stored.select(pl.struct("opened_at", "known_at").is_duplicated().any()).item()
    assert stored.filter(pl.col("close") == pl.col("close").shift(1).over("opened_at")).is_empty()
