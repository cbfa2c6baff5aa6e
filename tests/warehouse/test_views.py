"""The views, on rows whose answers were worked out by hand, and where they must agree with the tables."""

from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from schemas import Table, mart
from schemas.table import polars_schema
from warehouse.reader import connect
from warehouse.store import Store

MONDAY = date(2025, 10, 6)
INTERVALS = {"strong": (0.6, 0.9), "weak": (0.1, 0.4), "undetermined": (0.2, 0.8)}


def rows(model: type[Table], *given: dict[str, Any]) -> pl.DataFrame:
    """Rows of a table; what is not given is null."""
    blank = dict.fromkeys(polars_schema(model))
    return pl.DataFrame([blank | row for row in given], schema=polars_schema(model), orient="row")


def correlations(*verdicts: str | None, benchmark: str = "RUT") -> list[dict[str, Any]]:
    """One session a verdict, from Monday on; None: the window is not full."""
    pair = {
        "asset": "ETH",
        "benchmark": benchmark,
        "convention": "session_close",
        "window_sessions": 60,
        "n": 60,
    }
    made = []
    for day, verdict in enumerate(verdicts):
        low, high = INTERVALS[verdict] if verdict else (None, None)
        r = (low + high) / 2 if verdict else None
        known = {"session": MONDAY + timedelta(day), "verdict": verdict, "lo95": low, "hi95": high, "r": r}
        made.append(pair | known)
    return made


@pytest.fixture
def ask(built_store: Store) -> Any:
    """Puts tables into the store and asks."""

    def answer(sql: str, **tables: pl.DataFrame) -> list[tuple[Any, ...]]:
        models = {"correlations": mart.Correlations, "signals": mart.Signals, "regimes": mart.Regimes}
        built_store.replace({models[name]: frame for name, frame in tables.items()})
        return built_store.con.execute(sql).fetchall()

    return answer


def test_verdict_history_has_one_row_a_stretch(ask: Any) -> None:
    found = ask(
        "SELECT verdict, since, until, sessions, lowest_r FROM mart.verdict_history",
        correlations=rows(mart.Correlations, *correlations(None, "weak", "weak", "strong", "weak", "weak")),
    )
    assert found == [
        ("weak", MONDAY + timedelta(1), MONDAY + timedelta(2), 2, 0.25),
        ("strong", MONDAY + timedelta(3), MONDAY + timedelta(3), 1, 0.75),
        ("weak", MONDAY + timedelta(4), None, 2, 0.25),
    ]


def test_link_today_is_the_newest_session_with_a_figure(ask: Any) -> None:
    found = ask(
        "SELECT session, verdict, regime, regime_since FROM mart.link_today",
        correlations=rows(mart.Correlations, *correlations("weak", "strong", None)),
        regimes=rows(
            mart.Regimes,
            {"asset": "ETH", "benchmark": "RUT", "window_sessions": 60, "since": MONDAY, "state": "unlinked",
             "until": MONDAY, "sessions": 1},
            {"asset": "ETH", "benchmark": "RUT", "window_sessions": 60, "since": MONDAY + timedelta(1),
             "state": "linked", "sessions": 1},
        ),
    )  # fmt: skip
    assert found == [(MONDAY + timedelta(1), "strong", "linked", MONDAY + timedelta(1))]


def test_strongest_links_rank_by_the_end_of_the_interval_nearer_to_0(ask: Any) -> None:
    given = correlations("weak") + correlations("strong", benchmark="SPY")
    against = correlations("strong", benchmark="VIX")[0] | {"r": -0.7, "lo95": -0.8, "hi95": -0.65}
    found = ask(
        "SELECT place, benchmark FROM mart.strongest_links ORDER BY place",
        correlations=rows(mart.Correlations, *given, against),
    )
    assert found == [(1, "VIX"), (2, "SPY"), (3, "RUT")]


def test_changed_since_yesterday_tells_what_differs_and_nothing_else(ask: Any) -> None:
    signal = {"asset": "ETH", "benchmark": "RUT", "conditions_met": 0, "reason": "why", "state": "neutral"}
    found = ask(
        "SELECT what, session_before, session, before, after FROM mart.changed_since_yesterday",
        correlations=rows(mart.Correlations, *correlations("strong", "weak", "weak")),
        signals=rows(
            mart.Signals,
            signal | {"session": MONDAY, "link": True},
            signal | {"session": MONDAY + timedelta(1), "link": True, "volume": True},
            signal | {"session": MONDAY + timedelta(2), "volume": True, "state": "unknown"},
        ),
    )
    days = (MONDAY + timedelta(1), MONDAY + timedelta(2))
    assert found == [
        ("condition: link", *days, "true", "unknown"),
        ("signal state", *days, "neutral", "unknown"),
    ]


def one(data: Path, sql: str) -> Any:
    with closing(connect(data)) as con:
        return con.execute(sql).fetchall()


def test_every_verdict_is_in_one_stretch(sample_data: Path) -> None:
    told = one(sample_data, "SELECT sum(sessions), count(*) FILTER (until IS NULL) FROM mart.verdict_history")
    wanted = one(
        sample_data,
        "SELECT count(*), count(DISTINCT (asset, benchmark, convention, window_sessions)) "
        "FROM mart.correlations WHERE verdict IS NOT NULL",
    )
    assert told == wanted


@pytest.mark.parametrize(
    ("view", "of_row"),
    [
        ("link_today", "asset, benchmark, convention, window_sessions"),
        ("strongest_links", "asset, benchmark, window_sessions"),
        ("page_as_of", "asset, benchmark, session"),
        ("data_freshness", "asset, source, symbol, interval"),
        ("changed_since_yesterday", "asset, benchmark, what"),
        ("revisions_by_day", "known_on, table_name, source, item, column_name"),
        ("verdict_history", "asset, benchmark, convention, window_sessions, since"),
    ],
)
def test_a_row_is_what_the_comment_says(sample_data: Path, view: str, of_row: str) -> None:
    twice = f"SELECT {of_row} FROM mart.{view} GROUP BY ALL HAVING count(*) > 1"
    assert one(sample_data, twice) == []


def test_the_page_as_of_a_past_day_says_what_the_tables_said_then(sample_data: Path) -> None:
    said = one(
        sample_data,
        "SELECT headline FROM mart.page_as_of WHERE asset = 'ETH' AND benchmark = 'RUT' "
        "AND session <= DATE '2025-10-08' ORDER BY session DESC LIMIT 1",
    )
    assert said == [("Ethereum and Russell 2000: undetermined; r60 = 0.45 [0.19, 0.65]",)]


def test_the_revisions_of_the_samples_are_counted(sample_data: Path) -> None:
    told = one(sample_data, "SELECT sum(figures) FROM mart.revisions_by_day")
    assert told == one(sample_data, "SELECT count(*) FROM ops.revisions")
