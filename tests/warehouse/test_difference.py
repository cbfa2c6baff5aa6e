"""Where two tables differ, part by part; to write that alone leaves what was wanted."""

from collections.abc import Callable, Iterator
from datetime import date, timedelta

import duckdb
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas import Table, core, mart, ops, raw
from schemas.table import InvalidTableError, polars_schema
from warehouse import difference
from warehouse.definitions import ddl
from warehouse.difference import Difference, compare, digests, part_of
from warehouse.store import Store, StoreError

FIRST = date(2025, 10, 1)
Rows = dict[tuple[str, int], float | None]
Tables = dict[type[Table], pl.DataFrame]

rows = st.dictionaries(
    st.tuples(st.sampled_from(["ETH", "BTC"]), st.integers(0, 9)),
    st.sampled_from([None, 0.0, 0.1, -0.1]),
    max_size=20,
)


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        yield opened


def fill(con: duckdb.DuckDBPyConnection, table: str, found: Rows) -> None:
    con.execute(f"CREATE OR REPLACE TABLE {table} ({ddl(core.Returns)})")
    for (asset, day), value in found.items():
        row = [asset, "utc_day", FIRST + timedelta(day), value, 1]
        con.execute(f"INSERT INTO {table} VALUES (?, ?, ?, ?, ?)", row)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(stored=rows, wanted=rows)
def test_to_write_what_differs_is_to_write_all(
    con: duckdb.DuckDBPyConnection, stored: Rows, wanted: Rows
) -> None:
    fill(con, "stored", stored)
    fill(con, "wanted", wanted)
    before = digests(con, ["stored", "wanted"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(difference, "SHARE", 1.0)
        digest, found = compare(con, core.Returns, "stored", "wanted", before["stored"])
    assert digest == before["wanted"]
    if stored == wanted:
        assert found is None
        return
    assert found is not None
    days = {
        day
        for asset in ("ETH", "BTC")
        for day in range(10)
        if has(stored, asset, day) != has(wanted, asset, day)
    }
    assert sorted(found.parts) == [FIRST + timedelta(day) for day in sorted(days)]
    found.delete(con, "stored")
    con.execute(f"INSERT INTO stored FROM wanted WHERE {found.within}", [found.parts])
    assert digests(con, ["stored"])["stored"] == before["wanted"]
    same = "SELECT count(*) FROM (FROM stored EXCEPT ALL FROM wanted)"
    assert con.execute(same).fetchall() == [(0,)]


def has(found: Rows, asset: str, day: int) -> tuple[bool, float | None]:
    return (asset, day) in found, found.get((asset, day))


def test_where_more_than_a_tenth_differs_all_is_written(con: duckdb.DuckDBPyConnection) -> None:
    stored: Rows = {("ETH", day): 0.1 for day in range(20)}
    fill(con, "stored", stored)
    digest = digests(con, ["stored"])["stored"]
    for changed, is_little in ((2, True), (3, False)):
        fill(con, "wanted", stored | {("ETH", day): 0.2 for day in range(changed)})
        _, found = compare(con, core.Returns, "stored", "wanted", digest)
        assert (found is not None) == is_little


@pytest.mark.parametrize(
    ("model", "part"),
    [
        (core.Returns, "session"),
        (core.Closes, "session"),
        (raw.Bars, "load_id"),
        (ops.Loads, "load_id"),
        (ops.Revisions, None),
        (mart.Regimes, None),
        (mart.LeadLag, None),
    ],
)
def test_a_table_has_parts_by_session_or_by_load(model: type[Table], part: str | None) -> None:
    assert part_of(model) == part


@pytest.fixture
def inserted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows each insertion wrote."""
    heights: list[int] = []
    insert = Store._insert

    def told(store: Store, model: type[Table], frame: pl.DataFrame) -> None:
        heights.append(frame.height)
        insert(store, model, frame)

    monkeypatch.setattr(Store, "_insert", told)
    return heights


def changes(store: Store, frame: pl.DataFrame) -> dict[type[Table], Difference]:
    digest, found = store.compare(core.Returns, frame, store.digests(["core.returns"])["core.returns"])
    assert digest == store.digest(frame)
    assert (found is not None) == store.path.is_own
    return {core.Returns: found} if found else {}


def test_a_store_writes_what_differs(store: Store, whole: Callable[..., Tables], inserted: list[int]) -> None:
    store.replace(whole(*[0.1] * 30))
    for other in ([*[0.1] * 30, 0.2], [*[0.1] * 10, 0.3, *[0.1] * 19, 0.2], [*[0.1] * 29]):
        frame = whole(*other)[core.Returns]
        found = changes(store, frame)
        inserted.clear()
        store.replace({core.Returns: frame}, changes=found)
        assert inserted == [found[core.Returns].rows if found else frame.height]
        assert store.read(core.Returns).sort("session").equals(frame)
        assert store.digests(["core.returns"])["core.returns"] == store.digest(frame)


def test_a_broken_row_of_what_differs_takes_all_of_it_back(
    built_store: Store, whole: Callable[..., Tables]
) -> None:
    good = whole(*[0.1] * 30)[core.Returns]
    built_store.replace({core.Returns: good})
    more = whole(*[0.1] * 30, 0.2)[core.Returns]
    twice = pl.concat([more, more[-1:]])
    with pytest.raises(StoreError, match=r"core.returns: two rows for"):
        built_store.replace({core.Returns: twice}, changes=changes(built_store, twice))
    assert built_store.read(core.Returns).equals(good)


def test_a_frame_of_another_shape_has_no_parts(built_store: Store, whole: Callable[..., Tables]) -> None:
    frame = whole(0.1)[core.Returns].with_columns(pl.col("gap_days").cast(pl.Int64))
    assert built_store.compare(core.Returns, frame, "0:0")[1] is None
    assert built_store.compare(core.Returns, whole(0.1)[core.Returns], "")[1] is None
    assert polars_schema(core.Returns) != frame.schema


def test_a_row_without_its_part_is_refused(built_store: Store, whole: Callable[..., Tables]) -> None:
    good = whole(*[0.1] * 30)[core.Returns]
    built_store.replace({core.Returns: good})
    lost = good[-1:].with_columns(session=pl.lit(None, pl.Date))
    frame = pl.concat([good, lost])
    digest = built_store.digests(["core.returns"])["core.returns"]
    assert built_store.compare(core.Returns, frame, digest) == (built_store.digest(frame), None)
    with pytest.raises(InvalidTableError, match=r"session"):
        built_store.replace({core.Returns: frame})
    assert built_store.read(core.Returns).equals(good)
