"""Claims where the truth is known: what chance alone is taken for, and whether what was planted is found."""

from datetime import date, timedelta

import duckdb
import numpy as np
import polars as pl
import pytest
from scipy.stats import binom

from transforms.claims import CLAIMS, Figures, filled, measured
from transforms.study import Study

STUDY = Study("AAA", "BBB", (), "XNYS", (30, 60, 90), 0.5, (("AAA", "BBB"),))
BY_ID = {claim.claim_id: claim for claim in CLAIMS}
FIRST = date(2019, 1, 1)


def at_most(runs: int, share: float) -> int:
    """Runs of which more would err in one study of a thousand, if each erred with this probability."""
    return int(binom.ppf(0.999, runs, share))


# Returns alone


def answer(claim_id: str, returns: np.ndarray) -> pl.DataFrame:
    """What a claim's query gives for returns of AAA and BBB, shape (sessions, 2)."""
    days = [FIRST + timedelta(n) for n in range(len(returns))]
    moves = pl.concat(
        pl.DataFrame({"asset": asset, "convention": "session_close", "session": days, "log_return": column})
        for asset, column in zip(("AAA", "BBB"), returns.T, strict=True)
    )
    with duckdb.connect() as con:
        con.execute("CREATE SCHEMA core")
        con.execute("CREATE TABLE core.returns AS FROM moves")
        assert moves.height == 2 * len(days)
        return con.sql(filled(BY_ID[claim_id].sql, STUDY, days[-1])).pl()


def linked(rng: np.random.Generator, r: float, length: int, together: bool = True) -> np.ndarray:
    """Student t5 returns with a constant correlation of r, turbulent together or each on its own."""
    noise = rng.standard_normal((length, 2)) / np.sqrt(rng.chisquare(5, (length, 1 if together else 2)) / 5)
    return 0.01 * np.column_stack([r * noise[:, 1] + np.sqrt(1 - r**2) * noise[:, 0], noise[:, 1]])


def test_a_shock_is_followed_by_thirty_sessions_and_is_in_none_of_their_correlations():
    rng = np.random.default_rng(8)
    returns = linked(rng, 0.5, 200)
    returns[100] = 0.9, 0.0
    own, other = np.abs(returns).T
    is_shock = (own > np.quantile(own, 0.975)) & (other < np.median(other))
    assert is_shock[100]
    found = answer("weaker_in_crypto_events", returns).sort("session")
    assert found["session"].to_list() == [FIRST + timedelta(n) for n in range(29, 200)]
    for n, (value, is_in) in enumerate(found.select("value", "is_in").iter_rows(), start=29):
        kept = returns[n - 29 : n + 1][~is_shock[n - 29 : n + 1]]
        assert value == pytest.approx(np.corrcoef(kept.T)[0, 1], abs=1e-12)
        assert is_in == (not is_shock[max(0, n - 30) : n].any())


def test_a_correlation_needs_twenty_sessions_that_move_and_are_no_shocks():
    returns = linked(np.random.default_rng(9), 0.5, 600)
    returns[100:112] = 0.9, 0.0  # 12 shocks of at most 15
    days = {(day - FIRST).days for day in answer("weaker_in_crypto_events", returns)["session"]}
    assert set(range(29, 600)) - days >= set(range(111, 130))  # those windows hold all twelve
    assert {109, 131} <= days  # ten shocks or fewer
    assert answer("weaker_in_crypto_events", np.zeros((60, 2))).is_empty()


@pytest.mark.slow
@pytest.mark.parametrize("together", [True, False])
def test_shocks_do_not_loosen_a_constant_link(together: bool):
    rng, runs = np.random.default_rng(35), 40
    claim = BY_ID["weaker_in_crypto_events"]
    figures: list[Figures] = [
        measured(claim, answer(claim.claim_id, linked(rng, 0.35, 1900, together))) for _ in range(runs)
    ]
    verdicts = [claim.rule(figure, claim.unit)[0] for figure in figures]
    assert verdicts.count("held") <= at_most(runs, 0.025)
    assert np.mean([figure for figure, _, _ in figures]) == pytest.approx(0, abs=0.02)
