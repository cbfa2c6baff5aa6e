"""What every registered table, transform, view and claim must hold, whoever adds it."""

from contextlib import closing
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from flows.build import compute, given
from flows.steps import step, steps
from flows.universe import Universe, load
from schemas import TABLES, Table, core, mart, raw
from schemas.table import columns, grain, key, name
from transforms.registry import TRANSFORMS
from warehouse.definitions import View, views
from warehouse.reader import connect
from warehouse.store import Store

ROOT = Path(__file__).parents[1]
SINCE, NOW = datetime(2024, 3, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)
CUTS = [  # early closes, an end, a Friday
    date(2025, 7, 3),
    pytest.param(date(2025, 11, 28), marks=pytest.mark.slow),
    pytest.param(date(2026, 3, 3), marks=pytest.mark.slow),
    date(2026, 5, 22),
]
WATCHED = {"ETH", "BTC", "RUT", "SPY", "VIX", "RSP"}
DATED = [one.made for one in steps().values() if "session" in {column.name for column in columns(one.made)}]
# When a row could first be used, apart from later revisions; meetings of the FOMC are announced a year ahead.
REVISED_TABLES = (raw.Bars, raw.Macro, raw.Actions, raw.Constituents, raw.PolicyEvents)
CLOCK = {raw.Bars: "known_at", raw.Macro: "available_at", raw.Constituents: "known_at"}
Tables = dict[type[Table], pl.DataFrame]


class Recorded:
    """Stored rows of a part of the samples, as the build reads them."""

    def __init__(self, store: Store, universe: Universe) -> None:
        self.universe = universe
        self.given = given(store, universe)
        self.rows = {model: store.newest(model, NOW) for model in TABLES if name(model).startswith("raw.")}
        self.revised = {model: store.revised(model, NOW) for model in REVISED_TABLES}
        listed = self.given[core.Listings].filter(pl.col("asset").is_in(WATCHED))
        self.given[core.Listings] = listed
        in_panel = pl.col("source").str.contains("smallcaps") & (pl.col("symbol") < "D")
        watched = pl.col("symbol").is_in(listed["symbol"].implode()) | in_panel
        self.rows[raw.Bars] = self.rows[raw.Bars].filter(watched & (pl.col("opened_at") >= SINCE))

    def tables(
        self, known_by: datetime = NOW, assets: set[str] = WATCHED, *, is_shuffled: bool = False
    ) -> Tables:
        """Every computed table from what was known by an instant."""

        def read(model: type[Table], *, is_revised: bool) -> pl.DataFrame:
            rows = (self.revised if is_revised else self.rows)[model]
            if model in CLOCK:
                rows = rows.filter(pl.col(CLOCK[model]) <= known_by)
            return rows.sample(fraction=1, shuffle=True, seed=7) if is_shuffled else rows

        tables = dict(self.given)
        tables[core.Listings] = tables[core.Listings].filter(pl.col("asset").is_in(assets))
        return compute(read, tables, self.universe.study_parameters, known_by)[0]


@pytest.fixture(scope="module")
def recorded(sample_data: Path) -> Recorded:
    with Store(sample_data / "warehouse.duckdb", read_only=True) as store:
        return Recorded(store, load(ROOT / "samples" / "universe.toml"))


@pytest.fixture(scope="module")
def whole(recorded: Recorded) -> Tables:
    return recorded.tables()


@pytest.fixture(scope="module", params=CUTS, ids=str)
def cut(request: pytest.FixtureRequest, recorded: Recorded) -> tuple[date, Tables]:
    """The tables as a run in the small hours after a session would have made them."""
    session: date = request.param
    return session, recorded.tables(datetime.combine(session + timedelta(days=1), time(5), UTC))


@pytest.mark.parametrize("model", TABLES, ids=name)
def test_every_table_says_what_a_row_is_and_every_column_what_it_means(model: type[Table]) -> None:
    assert grain(model).startswith("One row per")
    assert key(model)
    assert set(key(model)) <= {column.name for column in columns(model)}
    for column in columns(model):
        assert len(column.description) > 10, column.name


@pytest.mark.parametrize("transform", TRANSFORMS, ids=lambda transform: transform.__name__)
def test_a_transform_is_named_after_the_table_that_it_makes_and_documented(transform: object) -> None:
    assert name(step(transform).made).split(".")[1] == transform.__name__
    assert transform.__doc__


def test_every_core_and_mart_table_has_one_maker() -> None:
    made = [name(one.made) for one in steps().values()]
    elsewhere = {
        "core.listings",
        "core.panels",
        "core.series",
        "core.sessions",
        "mart.claims",
        "mart.dictionary",
    }
    wanted = {name(model) for model in TABLES if name(model).startswith(("core.", "mart."))} - elsewhere
    assert sorted(made) == sorted(wanted | {"ops.revisions", "ops.freshness"})


@pytest.mark.parametrize("model", DATED, ids=name)
def test_rows_of_past_sessions_do_not_change_when_later_ones_arrive(
    model: type[Table], whole: Tables, cut: tuple[date, Tables]
) -> None:
    session, early = cut
    past = whole[model].filter(pl.col("session") <= session)
    known = early[model].filter(pl.col("session") <= session)
    assert past.height > 100
    assert_frame_equal(known.sort(key(model)), past.sort(key(model)), abs_tol=1e-12, rel_tol=1e-9)


@pytest.fixture(scope="module")
def shuffled(recorded: Recorded) -> Tables:
    return recorded.tables(is_shuffled=True)


@pytest.mark.parametrize("model", [one.made for one in steps().values()], ids=name)
def test_the_order_of_the_input_rows_does_not_matter(
    model: type[Table], whole: Tables, shuffled: Tables
) -> None:
    assert_frame_equal(shuffled[model].sort(key(model)), whole[model].sort(key(model)), abs_tol=1e-12)


@pytest.fixture(scope="module")
def without_bitcoin(recorded: Recorded) -> Tables:
    return recorded.tables(assets=WATCHED - {"BTC", "SPY"})


PER_ASSET = [
    core.Closes,
    core.Returns,
    mart.Normalized,
    mart.Correlations,
    mart.Indicators,
    mart.Regimes,
    mart.Signals,
]


@pytest.mark.parametrize("model", PER_ASSET, ids=name)
def test_an_assets_rows_do_not_depend_on_which_others_are_watched(
    model: type[Table], whole: Tables, without_bitcoin: Tables
) -> None:
    left = without_bitcoin[model]
    kept = ~pl.any_horizontal(
        pl.col(c).is_in(["BTC", "SPY"]) for c in ("asset", "benchmark") if c in left.columns
    )
    assert left.height > 20
    assert_frame_equal(left.sort(key(model)), whole[model].filter(kept).sort(key(model)), abs_tol=1e-12)


@pytest.mark.parametrize("view", views(), ids=lambda view: view.name)
def test_every_view_says_what_a_row_and_each_of_its_columns_is(view: View, sample_data: Path) -> None:
    with closing(connect(sample_data)) as con:
        found = con.sql(f"SELECT * FROM {view.name} LIMIT 1").columns
        comments = (
            "SELECT column_name, comment FROM duckdb_columns() WHERE schema_name || '.' || table_name = $1"
        )
        told = dict(con.execute(comments, [view.name]).fetchall())
    assert view.comment.startswith("One row per")
    assert list(told) == found
    assert {column for column, meaning in told.items() if not meaning} == set()
    assert set(dict(view.told)) <= set(found)
