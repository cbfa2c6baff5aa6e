"""The overlay's shares, turnover and returns, by hand."""

from datetime import date, timedelta
from math import log

import by_hand
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from schemas import mart
from schemas.mart.decisions import STATES
from schemas.table import validate
from transforms.exposure import exposure

FIRST = date(2025, 1, 6)


def day(n):
    return FIRST + timedelta(n)


def signals(states, asset="ETH", benchmark="RUT"):
    return by_hand.signals(FIRST, states, asset, benchmark).lazy()


def returns(growth, asset="ETH", convention="session_close"):
    logs = [None if factor is None else log(factor) for factor in growth]
    return by_hand.returns(FIRST, logs, asset, convention).lazy()


def overlay(states, growth):
    return validate(exposure(signals(states), returns(growth)).collect(), mart.Exposure)


def test_a_state_acts_one_session_later():
    made = overlay(["confirmed", "risk_off", "watch", "neutral"], [1.5, 1.1, 2.0, 1.2])
    assert made["session"].to_list() == [day(1), day(2), day(3)]
    assert made["exposure"].to_list() == [1.0, 0.0, 0.75]
    assert made["hold_log_return"].to_list() == pytest.approx([log(1.1), log(2.0), log(1.2)])


def test_every_state_has_its_share():
    made = overlay([*STATES, "neutral"], [1.0] * 6)
    shares = {"unknown": 0.5, "risk_off": 0.0, "confirmed": 1.0, "watch": 0.75, "neutral": 0.5}
    assert made["exposure"].to_list() == [shares[state] for state in STATES]


def test_turnover_is_the_change_of_the_share_and_starts_from_nothing():
    made = overlay(["watch", "watch", "confirmed", "risk_off", "risk_off", "neutral"], [1.0] * 6)
    assert made["exposure"].to_list() == [0.75, 0.75, 1.0, 0.0, 0.0]
    assert made["turnover"].to_list() == [0.75, 0.0, 0.25, 1.0, 0.0]


def test_the_overlay_earns_its_share_and_pays_ten_basis_points_of_what_it_trades():
    made = overlay(["watch", "watch", "risk_off", "confirmed", "neutral"], [9.0, 1.10, 0.80, 1.50, 1.02])
    assert made["net_log_return"].to_list() == pytest.approx(
        [
            log(1 + 0.75 * 0.10 - 0.75 * 0.001),
            log(1 - 0.75 * 0.20),
            log(1 - 0.75 * 0.001),  # sold; the half that it gained is not earned
            log(1 + 0.02 - 0.001),
        ],
        abs=1e-15,
    )


def test_where_the_assets_return_is_unknown_so_is_that_of_the_overlay():
    made = overlay(["confirmed"] * 4, [1.0, None, 1.1, 1.0])
    assert made["net_log_return"].is_null().to_list() == [True, False, False]
    assert made["hold_log_return"].is_null().to_list() == [True, False, False]
    assert made["exposure"].to_list() == [1.0, 1.0, 1.0]


def test_a_session_without_a_row_of_returns_keeps_its_share():
    made = overlay(["confirmed", "risk_off", "confirmed"], [1.0, 1.1])
    assert made["exposure"].to_list() == [1.0, 0.0]
    assert made["net_log_return"].is_null().to_list() == [False, True]


def test_only_same_instant_returns_count():
    made = exposure(
        signals(["confirmed"] * 3),
        pl.concat([returns([1.0, 1.1, 1.2]), returns([1.0, 3.0, 3.0], convention="utc_day")]),
    )
    assert made.collect()["hold_log_return"].to_list() == pytest.approx([log(1.1), log(1.2)])


def test_a_single_signal_has_nothing_to_act_on_yet():
    assert overlay(["confirmed"], [1.0]).is_empty()
    assert overlay([], []).is_empty()


def test_pairs_do_not_mix_whatever_the_order_of_rows():
    pairs = {
        ("ETH", "RUT"): ["confirmed", "risk_off", "watch"],
        ("ETH", "SPY"): ["risk_off", "watch", "watch"],
        ("BTC", "RUT"): ["neutral", "neutral", "neutral"],
    }
    held = pl.concat([returns([1.0, 1.1, 1.2]), returns([1.0, 0.9, 0.8], "BTC")])
    frame = pl.concat([signals(states, *pair) for pair, states in pairs.items()])
    together = exposure(frame, held).collect()
    alone = [exposure(signals(pairs[pair], *pair), held).collect() for pair in sorted(pairs)]
    assert_frame_equal(together, pl.concat(alone))
    shuffled = frame.collect().sample(fraction=1, shuffle=True, seed=2).lazy()
    assert_frame_equal(exposure(shuffled, held.reverse()).collect(), together)


def test_past_rows_stay_when_later_sessions_arrive():
    states, growth = ["watch", "confirmed", "risk_off", "neutral", "watch"], [1.0, 1.1, 0.9, 1.2, 1.3]
    assert_frame_equal(overlay(states[:4], growth[:4]), overlay(states, growth)[:3])
