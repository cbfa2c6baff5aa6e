"""Every way in which a row can be bad, each with a row that is bad in that way alone."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from flows.batch import Batch, quarantine
from flows.intake import RefusedError, take_in
from flows.sources import Answer, Request
from schemas import raw

Take = Callable[..., tuple]
DIRTY = Path(__file__).parents[1] / "dirty"
DAYS = [date(2025, 10, day) for day in (6, 7, 8, 9, 10)]
GOOD = {"symbol": "RUT", "open": 100.0, "high": 102.0, "low": 99.0, "close": 101.0, "volume": 5.0}


def daily(*changes: dict[str, object]) -> pl.DataFrame:
    """A good week, and rows on its Wednesday with changes in its place."""
    good = [{**GOOD, "date": day} for day in DAYS if day != DAYS[2]]
    return pl.DataFrame(good + [{**GOOD, "date": DAYS[2], **change} for change in changes], strict=False)


def stored(batch: Batch) -> list[date]:
    return batch.rows["opened_at"].dt.date().sort().to_list()


OTHERS = [day for day in DAYS if day != DAYS[2]]


def test_a_good_week_is_stored_whole(request_for: Callable[..., Request], taken: Take) -> None:
    batch, refused = taken(daily({}), request_for())
    assert (stored(batch), refused, batch.running, batch.bad) == (DAYS, [], 0, 0)
    row = batch.rows.sort("opened_at").row(0, named=True)
    assert {column: row[column] for column in ("source", "symbol", "interval", "close", "load_id")} == {
        "source": "files:x.csv",
        "symbol": "RUT",
        "interval": "1d",
        "close": 101.0,
        "load_id": "1",
    }


@pytest.mark.parametrize(
    ("change", "check", "column"),
    [
        ({"high": 100.5}, "high_is_highest", None),
        ({"high": 99.9}, "high_is_highest", None),
        ({"low": 100.5}, "low_is_lowest", None),
        ({"open": 103.0}, "high_is_highest", None),
        ({"close": None}, "has_close", "close"),
        ({"close": float("nan")}, "finite", "close"),
        ({"volume": float("inf")}, "finite", "volume"),
        ({"low": -1.0}, "greater_than(0)", "low"),
        ({"low": 0.0}, "greater_than(0)", "low"),
        ({"volume": -1.0}, "greater_than_or_equal_to(0)", "volume"),
        ({"date": date(2025, 7, 4)}, "is_a_session", "date"),
        ({"date": date(2025, 10, 11)}, "is_a_session", "date"),
        ({"date": date(2026, 8, 24)}, "not_in_the_future", "date"),
        ({"date": date(2126, 8, 24)}, "not_in_the_future", "date"),
        ({"date": date(1970, 1, 1)}, "after_1990", "date"),
        ({"date": None}, "readable_time", "date"),
    ],
)
def test_a_bad_row_is_refused_by_its_check_and_the_others_are_stored(
    request_for: Callable[..., Request],
    taken: Take,
    change: dict[str, object],
    check: str,
    column: str | None,
) -> None:
    batch, refused = taken(daily(change), request_for())
    assert refused == [(check, column)]
    assert stored(batch) == OTHERS
    assert batch.bad == 1


@pytest.mark.parametrize("value", [float("inf"), float("-inf")])
def test_an_infinite_close_is_refused_by_whatever_sees_it_first(
    request_for: Callable[..., Request], taken: Take, value: float
) -> None:
    batch, refused = taken(daily({"close": value}), request_for())
    assert ("finite", "close") in refused
    assert (stored(batch), batch.bad) == (OTHERS, 1)


@pytest.mark.parametrize(
    ("column", "value"), [("close", "n/a"), ("open", "1,234.5"), ("volume", "12 M"), ("high", "=1+1")]
)
def test_text_in_a_number_is_refused(
    request_for: Callable[..., Request], taken: Take, column: str, value: str
) -> None:
    rows = daily({}).with_columns(pl.col("open", "high", "low", "close", "volume").cast(pl.String))
    rows = rows.with_columns(
        pl.when(pl.col("date") == DAYS[2]).then(pl.lit(value)).otherwise(column).alias(column)
    )
    batch, refused = taken(rows, request_for())
    assert refused == [("is_a_number", column)]
    assert stored(batch) == OTHERS


def test_numbers_as_text_are_numbers(request_for: Callable[..., Request], taken: Take) -> None:
    batch, refused = taken(daily({}).cast(pl.String), request_for())
    assert (stored(batch), refused) == (DAYS, [])
    assert batch.rows["close"].to_list() == [101.0] * 5


@pytest.mark.parametrize("value", ["", " ", None])
def test_an_empty_field_is_a_missing_figure(
    request_for: Callable[..., Request], taken: Take, value: str | None
) -> None:
    rows = daily({}).cast(pl.String).with_columns(volume=pl.lit(value, pl.String))
    batch, refused = taken(rows, request_for())
    assert (batch.rows["volume"].to_list(), refused) == ([None] * 5, [])
    batch, refused = taken(
        daily({"close": 101.0})
        .cast(pl.String)
        .with_columns(
            close=pl.when(pl.col("date") == "2025-10-08").then(pl.lit(value, pl.String)).otherwise("close")
        ),
        request_for(),
    )
    assert (stored(batch), refused) == (OTHERS, [("has_close", "close")])


def test_of_equal_rows_one_stays(request_for: Callable[..., Request], taken: Take) -> None:
    batch, refused = taken(daily({}, {}, {}), request_for())
    assert stored(batch) == DAYS
    assert refused == [("no_duplicate", None)]
    assert batch.bad == 2


def test_of_rows_that_contradict_each_other_none_stays(
    request_for: Callable[..., Request], taken: Take
) -> None:
    batch, refused = taken(daily({}, {"close": 100.5}), request_for())
    assert stored(batch) == OTHERS
    assert refused == [("no_conflicting_duplicate", None)] * 2


def test_a_repeated_row_of_another_symbol_is_no_duplicate(
    request_for: Callable[..., Request], taken: Take
) -> None:
    batch, refused = taken(daily({}, {"symbol": "IWM"}), request_for(item=None))
    assert (batch.rows.height, refused) == (6, [])


def test_a_daily_candle_of_crypto_that_opens_in_the_day_is_refused(
    request_for: Callable[..., Request], taken: Take
) -> None:
    opened = [datetime(2025, 10, day, hour, tzinfo=UTC) for day, hour in ((6, 0), (7, 19), (8, 0))]
    rows = pl.DataFrame([{**GOOD, "opened_at": one} for one in opened])
    batch, refused = taken(rows, request_for(calendar="24/7", kind="crypto"))
    assert batch.rows["opened_at"].to_list() == [opened[0], opened[2]]
    assert refused == [("opens_at_midnight", "opened_at")]


@pytest.mark.parametrize("minute", [1, 30, 59])
def test_an_hour_that_opens_off_the_hour_is_refused(
    request_for: Callable[..., Request], taken: Take, minute: int
) -> None:
    opened = [datetime(2025, 10, 8, hour, tzinfo=UTC) for hour in (10, 11, 12)]
    opened[1] += timedelta(minutes=minute)
    rows = pl.DataFrame([{**GOOD, "opened_at": one} for one in opened])
    batch, refused = taken(rows, request_for(interval="1h", calendar="24/7", kind="crypto"))
    assert batch.rows["opened_at"].to_list() == [opened[0], opened[2]]
    assert refused == [("on_the_hour", "opened_at")]


def test_a_bar_of_the_future_is_refused_and_a_running_one_only_counted(
    request_for: Callable[..., Request], taken: Take
) -> None:
    now = datetime(2025, 10, 8, 12, 20, tzinfo=UTC)
    opened = [datetime(2025, 10, 8, hour, tzinfo=UTC) for hour in (11, 12, 13)]
    rows = pl.DataFrame([{**GOOD, "opened_at": one} for one in opened])
    batch, refused = taken(rows, request_for(now=now, interval="1h", calendar="24/7", kind="crypto"))
    assert batch.rows["opened_at"].to_list() == opened[:1]
    assert (batch.running, batch.bad) == (1, 1)
    assert refused == [("not_in_the_future", "opened_at")]


def test_a_refused_row_is_kept_as_it_was_delivered(request_for: Callable[..., Request]) -> None:
    request = request_for()
    batch = take_in(request, Answer(daily({"high": 100.5})))
    (kept,) = quarantine(batch, request).rows(named=True)
    assert json.loads(kept["row_json"]) == {**GOOD, "high": 100.5, "date": "2025-10-08"}
    assert (kept["source"], kept["table_name"], kept["item"], kept["load_id"]) == (
        "files:x.csv",
        "raw.bars",
        "RUT",
        "1",
    )


@pytest.mark.parametrize(("value", "word"), [(float("nan"), "nan"), (float("inf"), "inf")])
def test_a_refused_row_shows_what_was_no_number(
    request_for: Callable[..., Request], value: float, word: str
) -> None:
    request = request_for()
    batch = take_in(request, Answer(daily({"close": value})))
    (row_json,) = quarantine(batch, request)["row_json"].unique()
    assert word in row_json.lower()


def test_a_row_refused_again_has_the_same_id_and_another_row_another(
    request_for: Callable[..., Request],
) -> None:
    def ids(change: dict[str, object], **asked: object) -> list[str]:
        request = request_for(**asked)
        return quarantine(take_in(request, Answer(daily(change))), request)["quarantine_id"].to_list()

    first = ids({"high": 100.5})
    assert ids({"high": 100.5}, load_id="2") == first
    assert ids({"high": 100.6}) != first
    assert ids({"high": 100.5}, source="files:y.csv") != first


def week(closes: list[float], opens: list[float]) -> pl.DataFrame:
    """UTC days from 6 October 2025."""
    rows = [
        {
            "symbol": "ETH-USD",
            "date": DAYS[0] + timedelta(n),
            "open": o,
            "high": max(o, c) + 1,
            "low": min(o, c) - 1,
            "close": c,
        }
        for n, (o, c) in enumerate(zip(opens, closes, strict=True))
    ]
    return pl.DataFrame(rows)


UTC_DAYS = {"calendar": "24/7", "kind": "crypto", "item": "ETH-USD"}


@pytest.mark.parametrize(
    ("close", "is_frozen"), [(100.0, False), (103.9, False), (104.1, True), (96.1, False), (95.9, True)]
)
def test_a_close_more_than_four_per_cent_from_the_next_open_is_frozen(
    request_for: Callable[..., Request], taken: Take, close: float, is_frozen: bool
) -> None:
    batch, refused = taken(week([100.0, close, 100.0], [100.0, 100.0, 100.0]), request_for(**UTC_DAYS))
    assert refused == ([("close_is_next_open", "close")] if is_frozen else [])
    assert stored(batch) == ([DAYS[0], DAYS[2]] if is_frozen else DAYS[:3])
    assert batch.frozen["close"].to_list() == ([close] if is_frozen else [])


def test_a_last_bar_cannot_be_called_frozen_yet(request_for: Callable[..., Request], taken: Take) -> None:
    batch, refused = taken(week([100.0, 150.0], [100.0, 100.0]), request_for(**UTC_DAYS))
    assert (stored(batch), refused) == (DAYS[:2], [])


def test_a_missing_day_between_says_nothing_of_the_close(
    request_for: Callable[..., Request], taken: Take
) -> None:
    rows = week([100.0, 100.0, 100.0], [100.0, 100.0, 150.0])
    batch, refused = taken(rows.filter(pl.col("date") != DAYS[1]), request_for(**UTC_DAYS))
    assert (stored(batch), refused) == ([DAYS[0], DAYS[2]], [])


def test_an_exchange_may_open_far_from_its_close(request_for: Callable[..., Request], taken: Take) -> None:
    batch, refused = taken(daily({"open": 150.0, "high": 160.0, "close": 150.0, "low": 140.0}), request_for())
    assert (stored(batch), refused) == (DAYS, [])


def test_more_than_five_and_a_tenth_of_bad_rows_refuse_the_batch(request_for: Callable[..., Request]) -> None:
    days = [date(2025, 1, 1) + timedelta(n) for n in range(70)]

    def attempt(bad: int) -> Batch:
        rows = [{**GOOD, "date": day, "high": 1.0 if n < bad else 102.0} for n, day in enumerate(days)]
        return take_in(request_for(calendar="24/7"), Answer(pl.DataFrame(rows)))

    assert attempt(7).rows.height == 63
    with pytest.raises(
        RefusedError, match=r"files:x\.csv RUT: 8 of 70 rows are bad .*high_is_highest"
    ) as caught:
        attempt(8)
    assert caught.value.batch.bad == 8
    assert not caught.value.is_transient


def test_five_bad_rows_of_a_few_do_not_refuse_the_batch(request_for: Callable[..., Request]) -> None:
    rows = pl.concat([daily({}), daily({}).with_columns(high=pl.lit(1.0))])
    with_other_days = rows.with_columns(
        date=pl.when(pl.col("high") == 1.0).then(pl.col("date") + timedelta(7)).otherwise("date")
    )
    assert take_in(request_for(), Answer(with_other_days)).rows.height == 5


def test_a_batch_without_a_good_row_is_refused(request_for: Callable[..., Request]) -> None:
    with pytest.raises(RefusedError, match="5 of 5 rows are bad"):
        take_in(request_for(), Answer(daily({}).with_columns(high=pl.lit(1.0))))


def test_a_refusal_shows_one_of_the_values(request_for: Callable[..., Request]) -> None:
    german = daily({}).with_columns(date=pl.col("date").dt.to_string("%d.%m.%Y"))
    with pytest.raises(
        RefusedError, match=r'\(most fail readable_time, such as date "06.10.2025"; an instant has'
    ):
        take_in(request_for(), Answer(german))


@pytest.mark.parametrize(
    "dtype",
    [pl.List(pl.Float64), pl.Struct({"a": pl.Float64}), pl.Binary, pl.Boolean, pl.Date, pl.Duration],
    ids=str,
)
def test_a_column_of_a_senseless_type_is_the_failure_of_its_source(
    request_for: Callable[..., Request], dtype: pl.DataType
) -> None:
    from flows.sources import SourceError

    senseless = {
        pl.List(pl.Float64): [1.0],
        pl.Struct({"a": pl.Float64}): {"a": 1.0},
        pl.Binary: b"1",
        pl.Boolean: True,
        pl.Date: date(2025, 10, 8),
        pl.Duration: timedelta(1),
    }
    closes = pl.Series("close", [senseless[dtype]] * 5, dtype=dtype)
    with pytest.raises(SourceError):
        take_in(request_for(), Answer(daily({}).drop("high", "low").with_columns(closes)))


def test_an_empty_answer_is_an_empty_batch(request_for: Callable[..., Request]) -> None:
    batch = take_in(request_for(), Answer(daily({}).clear()))
    assert (batch.rows.height, batch.bad, batch.running) == (0, 0, 0)


def test_a_macro_value_of_the_future_or_without_a_date_is_refused(
    request_for: Callable[..., Request], taken: Take
) -> None:
    days = ["2025-10-08", "2025-10-15", "2027-01-01", "soon"]
    rows = pl.DataFrame({"series_id": ["WALCL"] * 4, "observed_on": days, "value": ["1", "2", "3", "4"]})
    batch, refused = taken(rows, request_for(model=raw.Macro, item="WALCL", interval=None))
    assert batch.rows["value"].to_list() == [1.0, 2.0]
    assert sorted(refused) == [("not_in_the_future", "observed_on"), ("readable_time", "observed_on")]


def test_vintages_of_one_day_are_no_duplicates(request_for: Callable[..., Request], taken: Take) -> None:
    rows = pl.DataFrame(
        {
            "series_id": ["M2SL"] * 2,
            "observed_on": ["2025-10-01"] * 2,
            "value": [1.0, 2.0],
            "vintage": ["2025-11-25", "2025-12-25"],
        }
    )
    batch, refused = taken(rows, request_for(model=raw.Macro, item="M2SL", interval=None))
    assert (batch.rows.height, refused) == (2, [])


# --- recorded defects ---


def dirty(name: str) -> pl.DataFrame:
    return pl.read_csv(DIRTY / name, infer_schema=False)


def test_the_vix_has_rows_on_three_days_without_a_session(
    request_for: Callable[..., Request],
) -> None:
    request = request_for(item="^VIX", kind="volatility")
    batch = take_in(request, Answer(dirty("vix_1d_rows_on_holidays.csv")))
    refused = quarantine(batch, request)
    assert set(refused["check_name"]) == {"is_a_session"}
    assert {json.loads(row)["date"] for row in refused["row_json"]} == {
        "2026-05-25",  # Memorial Day
        "2026-06-19",  # Juneteenth
        "2026-07-03",  # Independence Day, observed
    }
    assert batch.rows.height == 38 - 3


def test_bars_frozen_while_they_ran_are_found_where_they_are_four_per_cent_off(
    request_for: Callable[..., Request],
) -> None:
    request = request_for(item="ETHUSDT", **{k: v for k, v in UTC_DAYS.items() if k != "item"})
    batch = take_in(request, Answer(dirty("eth_1d_frozen_partial_bars.csv")))
    refused = quarantine(batch, request)
    assert set(refused["check_name"]) == {"close_is_next_open"}
    assert {json.loads(row)["date"] for row in refused["row_json"]} == {
        "2026-06-02",  # 1998.85, then 1860.01
        "2026-06-05",  # 1738.93, then 1583.45
        "2026-06-07",  # 1593.92, then 1690.48
        "2026-07-02",  # 1631.90, then 1700.56
    }
    assert batch.rows.height == 54 - 4


def test_a_file_of_mixed_epochs_and_dates_is_refused_whole(request_for: Callable[..., Request]) -> None:
    request = request_for(item="ETH/USDT", kind="crypto", calendar="24/7", interval="1h")
    rows = dirty("eth_1h_mixed_epoch_units_and_dates.csv")
    with pytest.raises(
        RefusedError, match=r"20 of 44 rows are bad .*readable_time.* none were stored"
    ) as caught:
        take_in(request, Answer(rows))
    refused = quarantine(caught.value.batch, request)
    assert refused.height == 20
    assert all(json.loads(row)["date"].endswith(("AM", "PM")) for row in refused["row_json"])


def test_its_epochs_alone_are_refused_too(request_for: Callable[..., Request]) -> None:
    request = request_for(item="ETH/USDT", kind="crypto", calendar="24/7", interval="1h")
    rows = dirty("eth_1h_mixed_epoch_units_and_dates.csv").drop("date").rename({"unix": "opened_at"})
    with pytest.raises(RefusedError, match=r"44 of 44 rows are bad .*readable_time"):
        take_in(request, Answer(rows))


def test_its_readable_half_is_stored(request_for: Callable[..., Request], taken: Take) -> None:
    request = request_for(item="ETH/USDT", kind="crypto", calendar="24/7", interval="1h")
    rows = dirty("eth_1h_mixed_epoch_units_and_dates.csv").filter(pl.col("date").str.ends_with(":00"))
    batch, refused = taken(rows, request)
    assert (batch.rows.height, refused) == (24, [])
    assert batch.rows["opened_at"].max() == datetime(2020, 11, 20, 21, tzinfo=UTC)
    assert batch.rows["opened_at"].min() == datetime(2020, 11, 19, 22, tzinfo=UTC)
