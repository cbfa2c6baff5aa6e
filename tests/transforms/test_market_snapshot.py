from datetime import UTC, date, datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from schemas import mart, raw
from schemas.table import polars_schema, validate
from transforms.market_snapshot import market_snapshot


def snapshot(captured_at, cap, source="coingecko", **figures):
    row = {"source": source, "captured_at": captured_at, "total_market_cap_usd": cap, "load_id": "1"}
    return row | figures


def run(rows):
    made = market_snapshot(pl.LazyFrame(rows, schema=polars_schema(raw.MarketSnapshot)))
    return validate(made.collect(), mart.MarketSnapshot)


def test_the_last_snapshot_of_each_utc_day_counts():
    made = run(
        [
            snapshot(datetime(2026, 3, 2, 0, 0, tzinfo=UTC), 3.0),
            snapshot(datetime(2026, 3, 1, 23, 59, tzinfo=UTC), 2.0),
            snapshot(datetime(2026, 3, 1, 6, 0, tzinfo=UTC), 1.0),
            snapshot(datetime(2026, 3, 5, 12, 0, tzinfo=UTC), 4.0),
        ]
    )
    assert made["captured_on"].to_list() == [date(2026, 3, 1), date(2026, 3, 2), date(2026, 3, 5)]
    assert made["total_market_cap_usd"].to_list() == [2.0, 3.0, 4.0]
    assert made["captured_at"][0] == datetime(2026, 3, 1, 23, 59, tzinfo=UTC)


def test_a_missing_figure_is_not_taken_from_an_earlier_look():
    first = snapshot(datetime(2026, 3, 1, 6, 0, tzinfo=UTC), 1.0, active_coins=9, btc_dominance_pct=50.0)
    last = snapshot(datetime(2026, 3, 1, 7, 0, tzinfo=UTC), 2.0)
    made = run([first, last])
    assert made["active_coins"].to_list() == [None]
    assert made["btc_dominance_pct"].to_list() == [None]


def test_no_snapshots_give_no_rows():
    assert run([]).is_empty()


@pytest.mark.parametrize("is_reversed", [False, True])
def test_of_two_at_the_same_instant_the_source_decides(is_reversed):
    at = datetime(2026, 3, 1, 6, 0, tzinfo=UTC)
    rows = [snapshot(at, 1.0, source="a"), snapshot(at, 2.0, source="b")]
    assert run(rows[::-1] if is_reversed else rows)["source"].to_list() == ["b"]


@given(
    instants=st.lists(
        st.datetimes(datetime(2026, 1, 1), datetime(2026, 1, 9), timezones=st.just(UTC)),
        unique=True,
        max_size=20,
    ),
    seed=st.integers(0, 9),
)
def test_one_row_a_day_whatever_the_order(instants, seed):
    rows = [snapshot(at, float(i + 1)) for i, at in enumerate(instants)]
    made = run(rows)
    days = sorted({at.date() for at in instants})
    assert made["captured_on"].to_list() == days
    assert made["captured_at"].to_list() == [max(at for at in instants if at.date() == d) for d in days]
    frame = pl.DataFrame(rows, schema=polars_schema(raw.MarketSnapshot))
    assert_frame_equal(
        market_snapshot(frame.sample(fraction=1.0, shuffle=True, seed=seed).lazy()).collect(), made
    )
