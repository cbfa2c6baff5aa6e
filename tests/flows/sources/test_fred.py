"""FRED with and without a key: gaps, revisions, release days, a series cut to three years."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from adapters import FRED, request
from server import Provider, Said, error, payload

from flows.fetching import attempt
from flows.intake import take_in
from flows.ledger import land, load_landed
from flows.resume import Known, known, resume
from flows.sources import SourceError, fetch
from flows.sources.fred import windows
from flows.versions import new_versions
from schemas import ops, raw
from schemas.table import polars_schema
from warehouse.store import Store

NOW = datetime(2026, 7, 9, 12, tzinfo=UTC)
DAY_END = timedelta(days=1, microseconds=-1)


def observations(*rows: tuple[str, str, str]) -> Said:
    found = [{"realtime_start": v, "realtime_end": "9999-12-31", "date": d, "value": x} for d, x, v in rows]
    return Said(json.dumps({"count": len(found), "observations": found}))


def serve_vintages(provider: Provider, monkeypatch: pytest.MonkeyPatch, said: Said) -> None:
    """Everything in the newest window; the older ones are empty."""
    monkeypatch.setenv("FRED_API_KEY", "k" * 32)
    provider.routes["/fred/series"] = lambda asked: (
        said if asked["realtime_end"] == "9999-12-31" else observations()
    )


def test_dots_and_empty_fields_are_days_without_a_value(provider: Provider) -> None:
    FRED.serve(provider)
    batch = take_in(FRED.request, fetch(FRED.request))
    assert batch.rows.select("observed_on", "value").rows() == [
        (date(2026, 1, 7), 6573604.0),
        (date(2026, 1, 28), 6587568.0),
    ]
    assert batch.bad == 0


def test_recorded_observations_with_dots(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = json.loads(payload("fred_observations_wrapped_with_dots_2026-07.json"))["BAMLEMCBPIOAS"]
    serve_vintages(provider, monkeypatch, Said(json.dumps(recorded)))
    asked = request("fred", "BAMLEMCBPIOAS", NOW, model=raw.Macro, release_lag_days=1)
    rows = take_in(asked, fetch(asked)).rows
    assert rows["value"].to_list() == [2.41, 2.39, 2.38, 2.42, 2.45]
    assert rows["said_at"].unique().to_list() == [NOW]  # today's vintage is known now, not tonight


def test_value_counts_from_its_first_release_and_revisions_are_versions(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = observations(
        ("2026-01-01", "1.0", "2026-01-20"),  # there when the vintages begin: the declared lag decides
        ("2026-02-01", "2.0", "2026-03-24"),  # released late
        ("2026-02-01", "2.5", "2026-04-21"),  # and revised
    )
    serve_vintages(provider, monkeypatch, said)
    asked = request("fred", "M2SL", NOW, model=raw.Macro, release_lag_days=10)
    rows = take_in(asked, fetch(asked)).rows
    at = {(r["observed_on"].month, r["value"]): r["available_at"] for r in rows.to_dicts()}
    assert at == {
        (1, 1.0): datetime(2026, 1, 11, tzinfo=UTC) + DAY_END,
        (2, 2.0): datetime(2026, 3, 24, tzinfo=UTC) + DAY_END,
        (2, 2.5): datetime(2026, 3, 24, tzinfo=UTC) + DAY_END,
    }
    stored = new_versions(raw.Macro, rows, rows.clear(), pl.DataFrame(schema=polars_schema(raw.Macro)), NOW)
    february = stored.filter(pl.col("observed_on") == date(2026, 2, 1)).sort("known_at")
    assert february["value"].to_list() == [2.0, 2.5]


def test_windows_stay_below_the_limit_on_vintages(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve_vintages(provider, monkeypatch, observations(("2026-01-01", "1.0", "2026-01-20")))
    fetch(request("fred", "DGS2", NOW, model=raw.Macro))
    starts = [path.split("realtime_start=")[1][:10] for path in provider.seen]
    assert starts == ["1776-07-04", "2005-01-01", "2010-01-01", "2015-01-01", "2020-01-01", "2025-01-01"]


def test_windows_from_a_day_on() -> None:
    assert windows(2026, date(2026, 7, 2)) == [("2026-07-02", "9999-12-31")]
    assert windows(2026, date(2019, 7, 2)) == [("2019-07-02", "2023-12-31"), ("2024-01-01", "9999-12-31")]
    assert windows(2012) == [
        ("1776-07-04", "2004-12-31"),
        ("2005-01-01", "2009-12-31"),
        ("2010-01-01", "9999-12-31"),
    ]


def alfred(*versions: tuple[str, str, str]) -> Callable[[dict[str, str]], Said]:
    """Versions (day, value, first and last vintage day) as ALFRED serves them, cut to what is asked for."""

    def answer(asked: dict[str, str]) -> Said:
        first, last = asked["realtime_start"], asked["realtime_end"]
        found = [(d, x, max(a, first)) for d, x, a, b in versions if a <= last and b >= first]
        return observations(*found) if found else NONE_IN_WINDOW

    return answer


def test_later_run_asks_for_the_vintages_since_all_were_asked_for(
    provider: Provider, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FRED_API_KEY", "k" * 32)
    forever = "9999-12-31"
    before = [("2020-01-01", "1.0", "2020-02-20", forever), ("2026-05-01", "2.0", "2026-06-20", forever)]
    after = [
        *before[:1],
        ("2026-05-01", "2.0", "2026-06-20", "2026-07-19"),
        ("2026-05-01", "2.5", "2026-07-20", forever),  # revised
        ("2026-06-01", "3.0", "2026-07-20", forever),  # new
    ]
    zone, later = tmp_path / "landing", datetime(2026, 7, 21, 12, tzinfo=UTC)

    def run(now: datetime, versions: list[tuple[str, ...]]) -> list[str]:
        provider.seen.clear()
        provider.routes = {"/fred/series": alfred(*versions)}
        asked = request("fred", "M2SL", now, model=raw.Macro, release_lag_days=10)
        with Store(tmp_path / "warehouse.duckdb") as store:
            (asked,) = resume([asked], known(store, now), f"{now:%d%H}")
            outcome = replace(attempt(asked, zone), started_at=now)
            land([outcome], store, zone, f"{now:%d%H}", now)
            load_landed(store, zone)
            stored = store.read(raw.Macro).sort("observed_on", "known_at")
        run.rows = stored.select(
            pl.col("observed_on").dt.month(), "value", pl.col("known_at").dt.date()
        ).rows()
        return [path.split("realtime_start=")[1][:10] for path in provider.seen]

    assert len(run(NOW, before)) == 6
    old = [(1, 1.0, date(2020, 2, 20)), (5, 2.0, date(2026, 6, 20))]
    assert run.rows == old
    assert run(NOW + timedelta(hours=1), before) == ["2026-07-02"]  # a week before the run of the 9th
    assert run.rows == old
    assert run(later, after) == ["2026-07-02"]
    assert run.rows == [*old, (5, 2.5, date(2026, 7, 20)), (6, 3.0, date(2026, 7, 20))]


def test_series_that_came_without_vintages_is_asked_for_all_of_them() -> None:
    asked = request("fred", "M2SL", NOW, model=raw.Macro)
    line = {"source": "fred", "item": "M2SL", "table_name": "raw.macro", "status": "loaded", "pages": 1}
    loads = pl.DataFrame([{**line, "started_at": NOW}], schema=polars_schema(ops.Loads))
    assert Known(loads=loads).vintages(asked) is None
    assert Known(loads=loads.with_columns(pages=6)).vintages(asked) == date(2026, 7, 9)
    assert Known(loads=loads.with_columns(pages=6, since_on=date(2026, 1, 1))).vintages(asked) is None
    assert Known(loads=loads.with_columns(pages=6, item=pl.lit("WALCL"))).vintages(asked) is None


NO_VINTAGES = "Bad Request.  The series does not exist in ALFRED but may exist in FRED."
NONE_IN_WINDOW = Said(json.dumps({"error_code": 400, "error_message": NO_VINTAGES}), 400)


def test_window_before_the_first_vintage_is_empty(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRED_API_KEY", "k" * 32)
    said = observations(("2026-01-01", "1.0", "2026-01-20"))
    provider.routes["/fred/series"] = lambda asked: (
        said if asked["realtime_end"] == "9999-12-31" else NONE_IN_WINDOW
    )
    answer = fetch(request("fred", "WALCL", NOW, model=raw.Macro))
    assert answer.rows["value"].to_list() == ["1.0"]
    assert len(provider.seen) == 6


def test_series_without_vintages_comes_as_the_table(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRED_API_KEY", "k" * 32)
    provider.routes["/fred/series"] = NONE_IN_WINDOW
    FRED.serve(provider)
    assert fetch(FRED.request).rows["value"].to_list() == ["6573604", None, ".", "6587568"]
    provider.routes[FRED.path] = Said("no such series", 404)
    with pytest.raises(SourceError, match="fred WALCL: HTTP 404"):
        fetch(FRED.request)


def test_series_that_is_suddenly_short_keeps_what_is_stored(provider: Provider) -> None:
    def stored_after(text: str, stored: pl.DataFrame, now: datetime) -> pl.DataFrame:
        provider.routes["/graph/fredgraph.csv"] = Said(text, content_type="text/csv")
        asked = request("fred", "BAMLH0A0HYM2", now, model=raw.Macro)
        rows = take_in(asked, fetch(asked)).rows
        return pl.concat(
            [stored, new_versions(raw.Macro, rows, stored.clear(), stored, now).select(stored.columns)]
        )

    head = "observation_date,BAMLH0A0HYM2\n"
    empty = pl.DataFrame(schema=polars_schema(raw.Macro))
    first = stored_after(head + "2015-01-02,5.04\n2026-01-02,2.8\n2026-01-05,2.9\n", empty, NOW)
    second = stored_after(head + "2026-01-02,2.8\n2026-01-05,3.0\n", first, NOW + timedelta(days=1))
    assert second["value"].to_list() == [5.04, 2.8, 2.9, 3.0]


@pytest.mark.parametrize("nth", [0, 1])
def test_refusals_as_json_and_as_xml(provider: Provider, monkeypatch: pytest.MonkeyPatch, nth: int) -> None:
    monkeypatch.setenv("FRED_API_KEY", "k" * 32)
    provider.routes["/fred/series"] = error("fred", 400, nth)
    with pytest.raises(SourceError, match="fred M2SL: HTTP 400") as caught:
        fetch(request("fred", "M2SL", NOW, model=raw.Macro))
    assert not caught.value.is_transient


@pytest.mark.parametrize("text", ["observation_date,OTHER\n2026-01-02,1\n", "message\nno such series\n"])
def test_table_of_something_else(provider: Provider, text: str) -> None:
    provider.routes["/graph/fredgraph.csv"] = Said(text, content_type="text/csv")
    with pytest.raises(SourceError, match="instead of the series"):
        fetch(FRED.request)


def test_series_may_serve_an_asset(provider: Provider) -> None:
    provider.routes["/graph/fredgraph.csv"] = Said("observation_date,VIXCLS\n2026-07-06,17.5\n2026-07-07,.\n")
    asked = request("fred", "VIXCLS", NOW, interval="1d", calendar="XNYS", kind="volatility")
    assert fetch(asked).rows.rows() == [("2026-07-06", "17.5")]
