"""The figures of README.md and docs/method.md are those of the samples, or of a simulation run here."""

import re
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from documents import ROOT, pages, tokens
from numpy.lib.stride_tricks import sliding_window_view

from warehouse.reader import connect

README, METHOD = (" ".join((ROOT / page).read_text().split()) for page in ("README.md", "docs/method.md"))
PAIR = "asset = 'ETH' AND benchmark = 'RUT' AND window_sessions = 60"


def correlation(x: Any, y: Any) -> Any:
    """Of the last axis, window by window."""
    x, y = (side - side.mean(axis=-1, keepdims=True) for side in (x, y))
    return (x * y).sum(-1) / np.sqrt((x**2).sum(-1) * (y**2).sum(-1))


def rolling_20(walks: Any) -> Any:
    return correlation(*(sliding_window_view(walk, 20) for walk in walks))


def test_prices_of_unrelated_walks_correlate_and_returns_do_not() -> None:
    steps = np.random.default_rng(20).normal(size=(2, 100_000))
    assert np.mean(np.abs(rolling_20(np.cumsum(steps, axis=1))) > 0.5) == pytest.approx(0.41, abs=0.02)
    assert np.mean(np.abs(rolling_20(steps)) > 0.5) == pytest.approx(1 / 40, abs=0.005)


def covered_by_textbook(n: int) -> float:
    """Share of windows of n fat-tailed returns whose textbook interval holds the true correlation."""
    rng, true = np.random.default_rng(n), 0.5
    z = rng.standard_normal((2, 4000, n))
    z[1] = true * z[0] + np.sqrt(1 - true**2) * z[1]
    z *= np.sqrt(3 / rng.chisquare(5, (4000, n)))  # Student t5, both sides turbulent together
    reach = 1.96 / np.sqrt(n - 3)
    return float(np.mean(np.abs(np.arctanh(correlation(*z)) - np.arctanh(true)) <= reach))


def test_the_textbook_interval_is_too_narrow_for_fat_tails() -> None:
    shares = sorted(100 * covered_by_textbook(n) for n in (30, 60, 90))
    told = f"{shares[0]:.0f} to {shares[-1]:.0f}"
    assert f"too narrow ({told} % coverage where it says 95 %)" in README
    assert f"textbook's covers it in {told}, of Student t5 returns" in METHOD


@pytest.fixture(scope="module")
def figures(sample_data: Path) -> dict[str, Any]:
    """What README.md says of the samples, under the words that it says it with."""
    with closing(connect(sample_data)) as con:

        def one(query: str) -> Any:
            return con.execute(query).fetchall()[0]

        shares = [
            one(
                f"SELECT avg(is_above_threshold::INT) FROM mart.correlations WHERE {PAIR} AND r IS NOT NULL "
                f"AND convention = '{convention}' AND session >= DATE '2026-01-01'"
            )[0]
            for convention in ("session_close", "utc_day")
        ]
        days = [
            con.execute(
                "SELECT r FROM mart.correlations WHERE asset = 'ETH' AND benchmark = 'RUT' "
                f"AND convention = '{convention}' AND session = DATE '2025-10-08' ORDER BY window_sessions"
            ).fetchall()
            for convention in ("session_close", "utc_day")
        ]
        apart = one(
            "SELECT avg((a.is_above_threshold <> b.is_above_threshold)::INT), year(min(session)) "
            "FROM mart.correlations a JOIN mart.correlations b "
            "USING (asset, benchmark, window_sessions, session) "
            f"WHERE a.convention = 'session_close' AND b.convention = 'utc_day' AND {PAIR} "
            "AND a.r IS NOT NULL AND b.r IS NOT NULL"
        )
        strong = one(
            f"SELECT avg((verdict = 'strong')::INT) FROM mart.correlations WHERE {PAIR} AND r IS NOT NULL "
            "AND convention = 'session_close'"
        )[0]
        flips = one(f"SELECT flips_per_year, flips_expected_by_chance FROM mart.regime_summary WHERE {PAIR}")
        left = one(
            f"SELECT partial_r, lo95, hi95 FROM mart.conditional WHERE {PAIR} ORDER BY session DESC LIMIT 1"
        )
        claims = con.execute("SELECT explanation FROM mart.claims").fetchall()
    return {
        "claims": [text for (text,) in claims],
        "shares": shares,
        "days": days,
        "apart": apart,
        "strong": strong,
        "flips": flips,
        "left": left,
    }


def test_the_table_of_conventions_in_the_readme_is_measured(figures: dict[str, Any]) -> None:
    close, utc = figures["shares"]
    assert f"| sessions of 2026 with r60 above 0.5 | {close:.0%} | {utc:.0%} |".replace("%", " %") in README
    first, second = (" / ".join(f"{r:.3f}" for (r,) in rows) for rows in figures["days"])
    assert f"| r30 / r60 / r90 on 2025-10-08 | {first} | {second} |" in README
    share, year = figures["apart"]
    words = f"sessions since {year} on which the two disagree whether r60 is above 0.5"
    assert f"| {words} | {100 * share:.0f} % | |" in README


def test_the_other_figures_in_the_readme_are_measured(figures: dict[str, Any]) -> None:
    assert f"beyond doubt on {100 * figures['strong']:.1f} % of all sessions" in README
    flips, chance = figures["flips"]
    assert (
        f"{flips:.1f} times a year; a constant correlation with the same mean would show {chance:.1f}"
        in README
    )
    r, low, high = figures["left"]
    assert f"what is left of the link is {r:.2f} [{low:.2f}, {high:.2f}]" in README


def test_the_verdicts_in_the_readme_are_those_of_the_samples(figures: dict[str, Any]) -> None:
    told = re.findall(r"between \S+ and [-+\d.%]*[\d%]", README)
    assert len(told) == 2
    assert [said for said in told if not any(said in text for text in figures["claims"])] == []


@pytest.mark.parametrize("page", pages())
def test_tests_that_are_named_exist(page: str) -> None:
    for file, test in re.findall(r"(tests/[\w/]+\.py)::(\w+)", (ROOT / page).read_text()):
        assert f"def {test}(" in (ROOT / file).read_text(), f"{file}::{test}"


def test_every_rule_of_the_method_has_its_evidence() -> None:
    """Each section names a test or asks the samples; the last two are about limits and literature."""
    parts = tokens("docs/method.md")
    starts = [n for n, part in enumerate(parts) if part.type == "heading_open" and part.tag == "h2"]
    for start, end in pairwise(starts):
        title = parts[start + 1].content
        told = " ".join(part.content for part in parts[start:end])
        assert title == "What it cannot say" or ".py::test_" in told, title
