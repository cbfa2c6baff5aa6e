"""When a row counts: what it is about, from when it is final, and what is too unclear to be guessed."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from flows.sources import Request
from schemas import raw

Take = Callable[..., tuple]
SECOND = timedelta(seconds=1)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def daily(*days: object, label: str = "date", symbol: str = "RUT") -> pl.DataFrame:
    return pl.DataFrame(
        {
            "symbol": [symbol] * len(days),
            label: list(days),
            "open": 100.0,
            "high": 102.0,
            "low": 99.0,
            "close": [100.5] * len(days),
        }
    )


def hourly(*instants: object, label: str = "opened_at") -> pl.DataFrame:
    return daily(*instants, label=label, symbol="ETHUSDT")


FINAL = [
    ("XNYS", "index", date(2025, 10, 8), "2025-10-08T20:30:00", "an afternoon in summer time"),
    ("XNYS", "index", date(2025, 11, 3), "2025-11-03T21:30:00", "the day after the clocks went back"),
    ("XNYS", "index", date(2026, 3, 6), "2026-03-06T21:30:00", "the day before the clocks go forward"),
    ("XNYS", "index", date(2026, 3, 9), "2026-03-09T20:30:00", "the day after the clocks went forward"),
    ("XNYS", "index", date(2025, 7, 3), "2025-07-03T17:30:00", "an early close in summer time"),
    ("XNYS", "index", date(2025, 11, 28), "2025-11-28T18:30:00", "an early close in winter time"),
    ("XNYS", "volatility", date(2025, 10, 8), "2025-10-08T20:45:00", "the VIX goes on for a quarter"),
    ("XNYS", "volatility", date(2025, 11, 28), "2025-11-28T18:45:00", "the VIX on an early close"),
    ("24/7", "crypto", date(2025, 10, 8), "2025-10-09T00:30:00", "a UTC day"),
    ("24/7", "crypto", date(2025, 11, 2), "2025-11-03T00:30:00", "a UTC day when clocks change elsewhere"),
]


@pytest.mark.parametrize(
    ("calendar", "kind", "day", "final_at"), [case[:4] for case in FINAL], ids=[case[4] for case in FINAL]
)
def test_a_daily_bar_is_stored_from_its_final_instant_on_and_counted_before(
    request_for: Callable[..., Request], taken: Take, calendar: str, kind: str, day: date, final_at: str
) -> None:
    asked = {"calendar": calendar, "kind": kind}
    batch, refused = taken(daily(day), request_for(now=at(final_at) - SECOND, **asked))
    assert (batch.rows.height, batch.running, refused) == (0, 1, [])
    batch, refused = taken(daily(day), request_for(now=at(final_at), **asked))
    assert (batch.rows.height, batch.running, refused) == (1, 0, [])
    assert batch.rows["first_at"].to_list() == [at(final_at)]


def test_the_settling_delay_is_as_declared(request_for: Callable[..., Request], taken: Take) -> None:
    asked = {"settle_minutes": 0, "calendar": "XNYS"}
    batch, _ = taken(daily(date(2025, 10, 8)), request_for(now=at("2025-10-08T20:00:00"), **asked))
    assert batch.rows.height == 1
    batch, _ = taken(daily(date(2025, 10, 8)), request_for(now=at("2025-10-08T19:59:59"), **asked))
    assert batch.running == 1


def test_volume_has_no_say_in_finality(request_for: Callable[..., Request], taken: Take) -> None:
    rows = daily(date(2025, 10, 8))
    running = request_for(now=at("2025-10-08T20:29:00"))
    for volume in (0.0, 1e9):
        assert taken(rows.with_columns(volume=pl.lit(volume)), running)[0].running == 1
    final = request_for(now=at("2025-10-08T20:31:00"))
    for volume in (0.0, 1e9):
        assert taken(rows.with_columns(volume=pl.lit(volume)), final)[0].rows.height == 1


def test_an_hour_is_final_when_it_has_passed(request_for: Callable[..., Request], taken: Take) -> None:
    rows = hourly(at("2025-10-08T12:00:00"), at("2025-10-08T13:00:00"))
    asked = {"interval": "1h", "calendar": "24/7", "kind": "crypto", "item": "ETHUSDT"}
    batch, _ = taken(rows, request_for(now=at("2025-10-08T13:59:59"), **asked))
    assert (batch.rows.height, batch.running) == (1, 1)
    batch, _ = taken(rows, request_for(now=at("2025-10-08T14:00:00"), **asked))
    assert (batch.rows.height, batch.running) == (2, 0)
    assert batch.rows["first_at"].to_list() == [at("2025-10-08T13:00:00"), at("2025-10-08T14:00:00")]


@pytest.mark.parametrize(
    ("day", "opened_at"),
    [
        (date(2025, 10, 8), "2025-10-08T13:30:00"),
        (date(2025, 11, 3), "2025-11-03T14:30:00"),
        (date(2026, 3, 9), "2026-03-09T13:30:00"),
    ],
)
def test_a_daily_bar_gets_the_opening_of_its_session(
    request_for: Callable[..., Request], taken: Take, day: date, opened_at: str
) -> None:
    batch, _ = taken(daily(day), request_for())
    assert batch.rows["opened_at"].to_list() == [at(opened_at)]


@pytest.mark.parametrize(
    ("label", "value"),
    [
        ("date", date(2025, 10, 8)),
        ("date", "2025-10-08"),
        ("date", " 2025-10-08 "),
        ("date", datetime(2025, 10, 8)),
        ("opened_at", at("2025-10-08T13:30:00")),
        ("opened_at", at("2025-10-08T00:00:00")),
        ("opened_at", date(2025, 10, 8)),
        ("opened_at", "2025-10-08"),
        ("opened_at", "2025-10-08T13:30:00Z"),
        ("opened_at", "2025-10-08 13:30:00"),
    ],
)
def test_a_day_can_be_written_in_several_ways(
    request_for: Callable[..., Request], taken: Take, label: str, value: object
) -> None:
    batch, refused = taken(daily(value, label=label), request_for())
    assert refused == []
    assert batch.rows["opened_at"].to_list() == [at("2025-10-08T13:30:00")]


@pytest.mark.parametrize(
    ("label", "value"),
    [
        ("opened_at", at("2025-10-08T13:00:00")),
        ("opened_at", datetime(2025, 10, 8, 13)),
        ("opened_at", "2025-10-08T13:00:00Z"),
        ("opened_at", "2025-10-08 13:00:00"),
        ("opened_at", "2025-10-08T09:00:00-04:00"),
        ("opened_at", "2025-10-08 15:00:00.000+02:00"),
        ("date", "2025-10-08 13:00:00"),
    ],
)
def test_an_hour_can_be_written_in_several_ways(
    request_for: Callable[..., Request], taken: Take, label: str, value: object
) -> None:
    asked = request_for(interval="1h", calendar="24/7", kind="crypto", item="ETHUSDT")
    batch, refused = taken(hourly(value, label=label), asked)
    assert refused == []
    assert batch.rows["opened_at"].to_list() == [at("2025-10-08T13:00:00")]


@pytest.mark.parametrize(
    "numbers",
    [
        [1759928400, 1759932000],
        [1759928400000, 1759932000000],
        [1759928400.0, 1759932000.0],
        ["1759928400", "1759932000000"],
    ],
    ids=["seconds", "milliseconds", "floats", "text"],
)
@pytest.mark.parametrize("interval", ["1h", "1d"])
def test_bare_numbers_are_no_instants(
    request_for: Callable[..., Request], taken: Take, numbers: list[object], interval: str
) -> None:
    from flows.intake import RefusedError

    asked = request_for(interval=interval, calendar="24/7", kind="crypto", item="ETHUSDT")
    with pytest.raises(RefusedError, match=r"2 of 2 rows are bad .*readable_time"):
        taken(hourly(*numbers), asked)


@pytest.mark.parametrize("label", ["line", "first_at", "said_at", "session", "close_at", "load_id"])
def test_a_file_may_have_columns_that_are_none_of_ours(
    request_for: Callable[..., Request], taken: Take, label: str
) -> None:
    rows = daily(date(2025, 10, 8)).with_columns(pl.lit("theirs").alias(label))
    batch, refused = taken(rows, request_for(now=at("2025-10-08T20:29:59")))
    assert (batch.rows.height, batch.running, refused) == (0, 1, [])
    batch, refused = taken(rows, request_for())
    assert refused == []
    assert batch.rows["opened_at"].to_list() == [at("2025-10-08T13:30:00")]


def macro(**columns: object) -> pl.DataFrame:
    return pl.DataFrame(
        {"series_id": ["WALCL"], "observed_on": [date(2025, 10, 8)], "value": [1.0], **columns}
    )


def last_instant(day: str) -> datetime:
    return at(f"{day}T23:59:59.999999")


@pytest.mark.parametrize(
    ("columns", "available_at"),
    [
        ({}, last_instant("2025-10-10")),
        ({"vintage": ["2025-12-01"]}, last_instant("2025-10-10")),
        ({"vintage": ["2025-10-09"]}, last_instant("2025-10-09")),
        ({"available_at": [at("2025-10-09T20:30:00")]}, at("2025-10-09T20:30:00")),
        ({"available_at": [at("2025-10-09T20:30:00")], "vintage": ["2025-12-01"]}, at("2025-10-09T20:30:00")),
    ],
    ids=["declared lag", "later vintage", "vintage before the lag", "release", "release and vintage"],
)
def test_a_macro_value_is_public_at_its_release_or_after_its_lag(
    request_for: Callable[..., Request], taken: Take, columns: dict[str, object], available_at: datetime
) -> None:
    asked = request_for(model=raw.Macro, item="WALCL", interval=None, release_lag_days=2)
    batch, refused = taken(macro(**columns), asked)
    assert refused == []
    assert batch.rows["available_at"].to_list() == [available_at]
    assert batch.rows["first_at"].to_list() == [available_at]


@pytest.mark.parametrize("value", ["", ".", " . ", None])
def test_a_day_without_a_value_is_no_row_and_no_error(
    request_for: Callable[..., Request], taken: Take, value: str | None
) -> None:
    rows = pl.concat([macro(value=["1.5"]), macro(value=pl.Series([value], dtype=pl.String))])
    batch, refused = taken(rows, request_for(model=raw.Macro, item="WALCL", interval=None))
    assert (batch.rows["value"].to_list(), refused) == ([1.5], [])
