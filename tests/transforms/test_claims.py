"""The rules on hand-made figures, the queries on what was published, verdicts where the truth is known."""

import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from flows.universe import load
from schemas import mart
from schemas.mart.decisions import CLAIM_VERDICTS
from schemas.table import name, polars_schema
from transforms.claims import claims, filled, judged, measured
from transforms.claims_registry import CLAIMS
from transforms.claims_rules import above, below, near
from transforms.study import ARTICLE_DAY, Study
from warehouse.definitions import views
from warehouse.folder import DATABASE
from warehouse.reader import connect

ROOT = Path(__file__).parents[2]
STUDY = Study("AAA", "BBB", (), "XNYS", (30, 60, 90), 0.5, (("AAA", "BBB"),))
NAMES = {"AAA": "First Fund", "BBB": "Second Index", "VIX": "Fear"}
BY_ID = {claim.claim_id: claim for claim in CLAIMS}

# The rules


@pytest.mark.parametrize(
    ("figures", "verdict"),
    [
        ((0.7, 0.51, 0.8), "held"),
        ((0.7, 0.5, 0.8), "undecided"),  # the bar itself is not above it
        ((0.5, 0.3, 0.6), "undecided"),
        ((0.3, 0.1, 0.5), "undecided"),
        ((0.3, 0.1, 0.49), "not held"),
        ((0.7, None, None), "undecided"),
        ((None, None, None), "undecided"),
    ],
)
def test_a_claim_above_a_bar_needs_the_whole_interval(figures, verdict):
    assert above(0.5)(figures, "figure")[0] == verdict


@pytest.mark.parametrize(
    ("figures", "verdict"),
    [
        ((0.3, 0.1, 0.49), "held"),
        ((0.3, 0.1, 0.5), "undecided"),
        ((0.7, 0.51, 0.8), "not held"),
        ((None, None, None), "undecided"),
    ],
)
def test_a_claim_below_a_bar_is_the_reverse(figures, verdict):
    assert below(0.5)(figures, "figure")[0] == verdict


@pytest.mark.parametrize(
    ("figures", "verdict"),
    [
        ((0.1, 0.01, 0.15), "held"),
        ((0.1, -0.05, 0.19), "not held"),  # on both sides of the bar, but too small to matter
        ((0.1, -0.05, 0.2), "undecided"),
        ((-0.1, -0.3, -0.05), "not held"),
    ],
)
def test_a_claim_fails_where_even_its_upper_end_is_negligible(figures, verdict):
    assert above(0.0, negligible=0.2)(figures, "figure")[0] == verdict


@pytest.mark.parametrize(
    ("figure", "verdict"),
    [
        (58.26, "held"),
        (58.7, "held"),
        (57.8, "held"),
        (58.8, "not held"),
        (57.7, "not held"),
        (None, "undecided"),
    ],
)
def test_a_printed_figure_is_held_against_the_record_of_its_day(figure, verdict):
    found, explanation = near(58.26, tolerance=0.5)((figure, None, None), "percent")
    assert found == verdict
    assert ("58.26" in explanation) == (figure is not None)


@pytest.mark.parametrize(
    ("coins", "verdict"), [(9_971, "held"), (10_171, "held"), (9_970, "not held"), (10_172, "not held")]
)
def test_the_number_of_coins_is_held_against_the_record_too(coins, verdict):
    told = BY_ID["coins_at_publication"].rule((coins, None, None), "coins")
    assert told == (verdict, f"recorded {coins:,}, printed 10,071")


@pytest.mark.parametrize(
    ("claim", "figure"), [("bitcoin_share_at_publication", 58.3), ("coins_at_publication", 10_071)]
)
def test_the_header_is_read_off_the_snapshot_of_its_day(claim, figure):
    snapshots = pl.DataFrame(
        {
            "captured_on": [ARTICLE_DAY, date(2026, 3, 2)],
            "active_coins": [10_071, 19_000],
            "btc_dominance_pct": [58.3, 57.0],
        }
    )
    with duckdb.connect() as con:
        con.execute("CREATE SCHEMA mart")
        con.execute("CREATE TABLE mart.market_snapshot AS FROM snapshots")
        assert snapshots.height == 2
        found = con.sql(filled(BY_ID[claim].sql, STUDY, ARTICLE_DAY)).pl()
    assert measured(BY_ID[claim], found) == (figure, None, None)


def test_explanations_say_what_was_measured_its_interval_and_the_bar_in_the_figures_own_form():
    held = above(0.05, form=".0%")((0.2, 0.1, 0.3), "share of days")[1]
    assert held == "the data put the share of days between 10% and 30%, all of it above 5%"
    failed = above(0.5)((0.1, 0.0, 0.2), "correlation")[1]
    assert failed == "the data put the correlation between 0.00 and 0.20, all of it below 0.50"
    open_ = above(0.0, form="+.3f")((0.1, -0.1, 0.2), "difference")[1]
    assert open_ == "the data allow any difference between -0.100 and +0.200, on both sides of 0"
    ends = above(0.0, form="+.3f")((-0.1, -0.2, 0.0), "difference")[1]
    assert ends == "the data allow any difference between -0.200 and +0.000, at its end 0"
    short = above(0.5, negligible=0.2)((0.2, 0.1, 0.3), "correlation")[1]
    assert short == "the data allow any correlation between 0.10 and 0.30, not far below 0.50"
    assert above(0.0)((None, None, None), "figure")[1] == "there are not enough data to say"


@pytest.mark.parametrize(
    ("low", "bar", "form", "told"),
    [
        (-0.00049, 0.0, "+.1%", "-0.05%"),  # -0.0 and +0.0 would be one number
        (0.00031, 0.0, "+.1%", "+0.03%"),
        (-0.004, 0.0, "+.2f", "-0.004"),
        (0.4996, 0.5, ".2f", "0.4996"),
        (0.5004, 0.5, ".0%", "50.04%"),
        (0.5, 0.5, ".2f", "0.50"),
        (-0.5, 0.5, "+.2f", "-0.50"),
        (1e-12, 0.0, "+.1%", "+0.000000%"),  # no more digits than anybody reads
    ],
)
def test_an_end_has_the_digits_that_tell_it_from_the_bar(low, bar, form, told):
    assert f"between {told} and " in above(bar, form=form)((None, low, 0.9), "figure")[1]


def test_a_lag_is_told_with_what_chance_reaches():
    rule = BY_ID["reaction_takes_days_to_weeks"].rule
    told = [rule(ends, "one")[1] for ends in ((0.3, 0.2, 0.4), (0.06, -0.03, 0.15), (0.1, -0.1, 0.3))]
    assert told == [
        "the one is 0.30, and chance alone reaches 0.10",
        "the one is 0.06, and chance alone reaches 0.09: a lagged link, if there is one, is weaker than 0.20",
        "the one is 0.10, and chance alone reaches 0.20: a weak one can be neither seen nor ruled out",
    ]


def test_a_claim_about_a_window_that_the_study_does_not_have_says_so():
    study = Study("AAA", "BBB", (), "XNYS", (30, 90), 0.5, (("AAA", "BBB"),))
    nothing = pl.DataFrame(schema=["session", "value", "is_in", "figure", "lo95", "hi95"])
    rows = list(judged(lambda _: nothing, study, NAMES, date(2026, 3, 2)))
    without = {
        row["claim_id"] for row in rows if row["explanation"] == "the study has no window of 60 sessions"
    }
    of_60 = {
        "strong_60",
        "above_060_in_risk_on",
        "persistent_since_2021",
        "stronger_in_risk_on",
        "decoupled_later",
    }
    assert without == of_60
    assert {row["verdict"] for row in rows} == {"undecided"}


def test_ids_are_unique_and_every_claim_is_in_the_documentation():
    assert len(BY_ID) == len(CLAIMS)
    text = (ROOT / "docs" / "claims.md").read_text()
    assert [claim for claim in BY_ID if f"`{claim}`" not in text] == []
    statistics = {claim.statistic for claim in CLAIMS}
    assert statistics == {None, "mean", "share", "difference"}


def documented() -> list[tuple[str, str, str]]:
    """Id, bar and statistic of each claim in the table of the documentation."""
    lines = (ROOT / "docs" / "claims.md").read_text().splitlines()
    rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("| `")]
    return [
        (claim, bar, statistic) for ids, _, bar, statistic in rows for claim in re.findall("`(.*?)`", ids)
    ]


def test_the_documentation_has_the_claims_in_order_with_the_statistics_and_blocks_that_are_used():
    assert [claim for claim, _, _ in documented()] == list(BY_ID)
    for claim, _, told in documented():
        if BY_ID[claim].statistic:
            assert told == f"{BY_ID[claim].statistic}, {BY_ID[claim].block}", claim


@pytest.mark.parametrize(("claim", "told"), [row[:2] for row in documented() if BY_ID[row[0]].statistic])
def test_the_documentation_has_the_bar_that_is_used(claim, told):
    digits, percent = re.match(r"([\d.]+)( %)?", told).groups()
    bar, rule = float(digits) / (100 if percent else 1), BY_ID[claim].rule
    assert rule((bar, bar + 1e-9, bar + 0.1), "figure")[0] == "held"
    assert rule((bar, bar - 1e-9, bar + 0.1), "figure")[0] == "undecided"
    assert rule((bar, bar - 0.1, bar - 1e-9), "figure")[0] == "not held"


def test_the_documentation_has_the_other_bars_too():
    bars = {claim: bar for claim, bar, _ in documented()}
    assert bars["strong_30"] == bars["strong_60"] == bars["strong_90"] == "0.5"
    assert bars["decoupled_later"] == "below 0.5"
    assert bars["reaction_takes_days_to_weeks"].endswith("not held if even its upper end is below 0.2")
    assert bars["bitcoin_share_at_publication"] == "within 0.5 of the printed 58.26"
    assert bars["coins_at_publication"] == "within 100 of the printed 10,071"
    for claim in ("strong_30", "strong_60", "strong_90"):
        assert [BY_ID[claim].rule((0.5, low, 0.9), "figure")[0] for low in (0.5, 0.51)] == [
            "undecided",
            "held",
        ]
    assert BY_ID["decoupled_later"].rule((0.4, 0.3, 0.49), "figure")[0] == "held"
    reaction = BY_ID["reaction_takes_days_to_weeks"].rule
    assert [reaction((0.1, -0.1, high), "figure")[0] for high in (0.19, 0.2)] == ["not held", "undecided"]


@pytest.mark.parametrize(
    ("claim", "block"),
    [
        ("above_060_in_risk_on", 60),
        ("persistent_since_2021", 60),
        ("stronger_in_risk_on", 60),
        ("weaker_in_crypto_events", 30),
        ("volume_and_breadth_confirm", 10),
        ("breakout_after_quiet", 20),
        ("liquidity_helps", 20),
    ],
)
def test_blocks_are_not_shorter_than_the_overlap_of_the_values(claim, block):
    assert BY_ID[claim].block >= block


# What a query's answer becomes


def series(values, is_in=None):
    days = [date(2025, 1, 1 + n) for n in range(len(values))]
    marks = {} if is_in is None else {"is_in": pl.Series(is_in, dtype=pl.Boolean)}
    return pl.DataFrame({"session": days, "value": pl.Series(values, dtype=pl.Float64), **marks})


def test_a_mean_leaves_out_what_is_unknown():
    figures = measured(BY_ID["momentum_agrees"], series([1.0, None, 0.0, 1.0, 1.0]))
    assert figures == (0.75, None, None)  # five sessions are fewer than two blocks


def test_a_difference_leaves_out_sessions_whose_value_or_side_is_unknown():
    answer = series([1.0, 2.0, 6.0, None, 99.0], [True, False, True, True, None])
    assert measured(BY_ID["liquidity_helps"], answer) == (1.5, None, None)


@pytest.mark.parametrize("side", [True, False])
def test_a_difference_with_an_empty_side_has_no_figure(side):
    assert measured(BY_ID["liquidity_helps"], series([1.0, 2.0], [side] * 2)) == (None, None, None)


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.claim_id)
def test_no_data_give_no_figure_and_no_verdict(claim):
    empty = series([], []) if claim.statistic else pl.DataFrame(schema=["figure", "lo95", "hi95"])
    figures = measured(claim, empty)
    assert figures == (None, None, None)
    assert claim.rule(figures, claim.unit)[0] == "undecided"


def test_the_interval_of_a_mean_lies_round_it_and_repeats():
    days = pl.date_range(date(2020, 1, 1), date(2021, 1, 1), eager=True)
    values = np.random.default_rng(1).random(len(days))
    answer = pl.DataFrame({"session": days, "value": values})
    figure, low, high = measured(BY_ID["momentum_agrees"], answer)
    assert figure == pytest.approx(values.mean())
    assert low < figure < high
    backwards = measured(BY_ID["momentum_agrees"], answer.reverse())
    assert backwards == (figure, low, high)  # a query may answer in any order


# The queries


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.claim_id)
def test_a_query_names_nothing_but_the_ids_of_the_study_and_our_own_words(claim):
    sql = filled(claim.sql, STUDY, date(2024, 5, 6))
    assert "{" not in sql
    assert "}" not in sql
    words = {"session_close", "volatility", "sma_200", "2024-05-06", "2021-01-01", "2025-10-08"}
    assert set(re.findall("'([^']*)'", sql)) <= {"AAA", "BBB"} | words


@pytest.fixture(scope="module")
def published(sample_data: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    con = connect(sample_data)
    yield con
    con.close()


@pytest.fixture(scope="module")
def stored(published: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    return published.sql("FROM mart.claims").pl()


def test_every_claim_is_judged_on_the_articles_day_and_on_the_newest_session(
    stored: pl.DataFrame, published: duckdb.DuckDBPyConnection
) -> None:
    newest = published.sql("SELECT max(session) FROM mart.signals").fetchall()[0][0]
    expected = [(day, claim.claim_id) for day in (ARTICLE_DAY, newest) for claim in CLAIMS]
    assert stored.select("as_of_session", "claim_id").rows() == expected
    assert newest > ARTICLE_DAY


@pytest.mark.parametrize("claim_id", list(BY_ID))
def test_anyone_who_runs_the_question_gets_the_figure(
    claim_id: str, stored: pl.DataFrame, published: duckdb.DuckDBPyConnection
) -> None:
    for row in stored.filter(claim_id=claim_id).iter_rows(named=True):
        answer = published.sql(row["question_sql"]).pl()
        found = answer["figure"][0] if answer.height else None
        if row["figure"] is None:
            assert found is None
        else:
            assert found == pytest.approx(row["figure"], rel=0, abs=1e-9)


def test_every_row_says_its_claim_and_its_verdict_in_whole_sentences(stored: pl.DataFrame) -> None:
    for row in stored.iter_rows(named=True):
        assert row["verdict"] in CLAIM_VERDICTS
        assert row["claim"].endswith(".")
        for text in (row["claim"], row["explanation"], row["unit"]):
            assert len(text) > 6
            assert not re.search(r"[{}]|\bnan\b|\bNone\b", text)
        if row["lo95"] is not None and row["claim_id"] != "reaction_takes_days_to_weeks":
            assert row["lo95"] <= row["figure"] <= row["hi95"]
    assert stored["claim"].str.contains("Ethereum").any()
    assert stored["claim"].str.contains("Russell 2000").any()


def test_a_verdict_follows_from_the_stored_interval(stored: pl.DataFrame) -> None:
    for row in stored.iter_rows(named=True):
        figures = (row["figure"], row["lo95"], row["hi95"])
        assert BY_ID[row["claim_id"]].rule(figures, row["unit"]) == (row["verdict"], row["explanation"])


LOOKS_AHEAD = {"volume_and_breadth_confirm": 10, "breakout_after_quiet": 20, "liquidity_helps": 20}


@pytest.mark.parametrize("claim", [claim for claim in CLAIMS if claim.statistic], ids=lambda c: c.claim_id)
def test_the_series_behind_a_claim_ends_with_the_day_and_looks_no_further(
    claim, sample_data: Path, published: duckdb.DuckDBPyConnection
) -> None:
    study = load(ROOT / "samples" / "universe.toml").study_parameters
    answer = published.sql(filled(claim.sql, study, ARTICLE_DAY)).pl().drop_nulls()
    assert answer["session"].is_unique().all()
    sessions = published.sql(
        f"SELECT session FROM core.sessions WHERE calendar = 'XNYS' AND session <= DATE '{ARTICLE_DAY}' "
        "ORDER BY session"
    ).pl()["session"]
    last = sessions[-1 - LOOKS_AHEAD.get(claim.claim_id, 0)]
    assert answer["session"].max() <= last
    assert answer.height > 500


def restrict(con: duckdb.DuckDBPyConnection, source: Path, day: date) -> None:
    """Fill a database with the published tables as they were on a day, in the same schemas."""
    con.execute(f"ATTACH '{source}' AS published (READ_ONLY)")
    tables = con.execute(
        "SELECT schema_name, table_name, list(column_name) FROM duckdb_columns() "
        "WHERE database_name = 'published' AND schema_name IN ('core', 'mart') AND NOT internal "
        "AND table_name NOT IN (SELECT view_name FROM duckdb_views()) GROUP BY ALL"
    ).fetchall()
    for schema, table, columns in tables:
        dated = [c for c in ("session", "as_of_session", "captured_on") if c in columns]
        limits = " AND ".join(f"{column} <= DATE '{day}'" for column in dated) or "true"
        con.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        con.execute(f"CREATE TABLE {schema}.{table} AS FROM published.{schema}.{table} WHERE {limits}")
    view = next(one for one in views() if one.name == "mart.indicators_wide")
    con.execute(f"CREATE VIEW {view.name} AS {view.query}")


def test_nothing_after_the_day_is_used(sample_data: Path, stored: pl.DataFrame) -> None:
    universe = load(ROOT / "samples" / "universe.toml")
    names = {asset.id: asset.name for asset in universe.asset}
    with duckdb.connect() as con:
        restrict(con, sample_data / "published" / DATABASE, ARTICLE_DAY)
        rows = list(judged(lambda sql: con.sql(sql).pl(), universe.study_parameters, names, ARTICLE_DAY))
    made = pl.DataFrame(rows, schema=polars_schema(mart.Claims))
    expected = stored.filter(as_of_session=ARTICLE_DAY)
    assert expected.drop_nulls("figure").height >= 13
    assert_frame_equal(made, expected, abs_tol=1e-9)


# Days and tables


def test_before_the_article_only_the_newest_session_is_judged() -> None:
    answers = {"max(session)": pl.DataFrame({"newest": [date(2024, 1, 5)]})}

    def query(sql: str) -> pl.DataFrame:
        empty = pl.DataFrame(schema=["session", "value", "is_in", "figure", "lo95", "hi95"])
        return next((answer for part, answer in answers.items() if part in sql), empty)

    assert claims(query, STUDY, NAMES)["as_of_session"].unique().to_list() == [date(2024, 1, 5)]


def test_without_signals_there_are_no_claims() -> None:
    made = claims(lambda _: pl.DataFrame({"newest": [None]}, schema={"newest": pl.Date}), STUDY, NAMES)
    assert made.is_empty()
    assert made.schema == polars_schema(mart.Claims)
    assert name(mart.Claims) == "mart.claims"
