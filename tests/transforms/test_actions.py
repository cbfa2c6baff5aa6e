"""Splits and dividends by hand: the level stands still, the total return counts both."""

from datetime import date

import numpy as np
import polars as pl
import pytest

from schemas import raw
from schemas.table import polars_schema
from transforms.actions import with_actions

DAYS = [date(2025, 3, day) for day in (3, 4, 5, 6)]


def bars(closes, basis="raw", adjusted=None, symbol="X"):
    return pl.LazyFrame(
        {
            "asset": [symbol] * len(closes),
            "source": ["s"] * len(closes),
            "symbol": [symbol] * len(closes),
            "session": DAYS[: len(closes)],
            "price_basis": [basis] * len(closes),
            **dict.fromkeys(("open", "high", "low", "close"), closes),
            "adj_close": adjusted or [None] * len(closes),
        },
        schema_overrides={"adj_close": pl.Float64},
    )


def paid(*rows):
    schema = polars_schema(raw.Actions)
    whole = [
        dict.fromkeys(schema)
        | {"source": "s", "symbol": "X", "ex_on": day, "dividend": dividend, "split_ratio": split}
        for day, dividend, split in rows
    ]
    return pl.LazyFrame(whole, schema=schema)


def made(*arguments):
    return with_actions(*arguments).sort("asset", "session").collect()


def test_without_actions_nothing_changes():
    table = made(bars([100.0, 101.0, 99.0]), paid())
    assert table["close"].to_list() == table["adj_close"].to_list() == [100.0, 101.0, 99.0]


def test_a_split_leaves_level_and_return_as_they_were():
    table = made(bars([100.0, 104.0, 52.0, 53.0]), paid((DAYS[2], None, 2.0)))
    assert table["close"].to_list() == [100.0, 104.0, 104.0, 106.0]
    assert table["open"].to_list() == [100.0, 104.0, 104.0, 106.0]
    assert table["adj_close"].to_list() == [100.0, 104.0, 104.0, 106.0]


def test_a_history_that_was_divided_by_a_later_split_stands_where_it_stood():
    before = made(bars([100.0, 104.0], "split_adjusted"), paid())
    after = made(bars([50.0, 52.0, 52.0, 53.0], "split_adjusted"), paid((DAYS[2], None, 2.0)))
    assert after["close"].to_list()[:2] == before["close"].to_list() == [100.0, 104.0]
    assert after["close"].to_list()[2:] == [104.0, 106.0]


def test_a_dividend_stays_in_the_level_and_counts_in_the_return():
    table = made(bars([100.0, 98.0, 99.0]), paid((DAYS[1], 2.0, None)))
    assert table["close"].to_list() == [100.0, 98.0, 99.0]
    returns = np.diff(np.log(table["adj_close"].to_numpy()))
    assert returns == pytest.approx([np.log(100 / 100), np.log(99 / 98)], abs=1e-15)


def test_a_dividend_and_a_split_on_one_day():
    table = made(bars([100.0, 49.0]), paid((DAYS[1], 1.5, 2.0)))
    assert np.diff(np.log(table["adj_close"].to_numpy())) == pytest.approx(
        [np.log((49 + 1.5) * 2 / 100)], abs=1e-15
    )


def test_delivered_adjusted_closes_come_before_our_own():
    table = made(bars([100.0, 98.0], adjusted=[97.5, 98.0]), paid((DAYS[1], 2.0, None)))
    assert table["adj_close"].to_list() == [97.5, 98.0]


def test_a_row_without_its_adjusted_close_has_none():
    table = made(bars([100.0, 98.0, 99.0], adjusted=[97.5, None, 99.0]), paid())
    assert table["adj_close"].to_list() == [97.5, None, 99.0]


def test_actions_of_another_symbol_do_not_matter():
    both = pl.concat([bars([100.0, 50.0]), bars([10.0, 11.0], symbol="Y")])
    table = made(both, paid((DAYS[1], None, 2.0)))
    assert table.filter(pl.col("asset") == "Y")["close"].to_list() == [10.0, 11.0]
    assert table.filter(pl.col("asset") == "X")["close"].to_list() == [100.0, 100.0]


def test_what_falls_on_a_day_without_a_bar_counts_at_the_next_one():
    gap = bars([100.0, 104.0, 52.0, 51.0]).filter(pl.col("session") != DAYS[1])
    table = made(gap, paid((DAYS[1], None, 2.0)))
    assert table["close"].to_list() == [100.0, 104.0, 102.0]
    table = made(gap, paid((DAYS[1], 2.0, None), (DAYS[2], 1.0, None)))
    assert np.diff(np.log(table["adj_close"].to_numpy())) == pytest.approx(
        [np.log((52 + 2 + 1) / 100), np.log(51 / 52)], abs=1e-15
    )


def test_what_was_paid_or_split_before_the_first_bar_or_after_the_last_does_not_count():
    early, late = date(2025, 3, 1), date(2025, 3, 9)
    actions = paid((early, 5.0, None), (early, None, 3.0), (late, 5.0, None), (late, None, 2.0))
    for basis in ("raw", "split_adjusted"):
        table = made(bars([100.0, 101.0], basis), actions)
        assert table["close"].to_list() == table["adj_close"].to_list() == [100.0, 101.0]
