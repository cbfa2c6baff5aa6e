"""The market snapshot: taken on every run, refused where it is old or a refusal in disguise."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from adapters import GECKO
from server import Provider, Said, error, payload

from flows.fetching import attempt
from flows.intake import take_in
from flows.ledger import land, load_landed
from flows.sources import SourceError, fetch
from flows.versions import new_versions
from schemas import raw
from warehouse.store import Store


def test_rate_limit_inside_an_answer(provider: Provider) -> None:
    said = error("coingecko", 429)
    GECKO.serve(provider, [Said(said.body), GECKO.good])
    assert fetch(GECKO.request).retries == 1
    GECKO.serve(provider, said)
    provider.routes = {GECKO.path: Said(said.body)}
    with pytest.raises(SourceError, match="asks us to slow down"):
        fetch(GECKO.request)


def test_old_figures_are_not_taken_for_new_ones(provider: Provider) -> None:
    GECKO.serve(provider)
    with pytest.raises(SourceError, match="its figures are of 2026-09-12"):
        fetch(replace(GECKO.request, now=GECKO.request.now + timedelta(days=1)))


def test_missing_figure(provider: Provider) -> None:
    said = json.loads(payload("coingecko_global_2026-09.json"))
    del said["data"]["market_cap_percentage"]["eth"]
    GECKO.serve(provider, Said(json.dumps(said)))
    with pytest.raises(SourceError, match="without 'eth'"):
        fetch(GECKO.request)


def test_every_look_is_kept(provider: Provider) -> None:
    GECKO.serve(provider)
    later = replace(GECKO.request, now=GECKO.request.now + timedelta(minutes=5))
    first, second = (take_in(asked, fetch(asked)).rows for asked in (GECKO.request, later))
    shape = [column for column in first.columns if column in raw.MarketSnapshot.to_schema().columns]
    stored = first.select(shape)
    assert new_versions(raw.MarketSnapshot, second, first.clear(), stored, later.now).height == 1
    assert new_versions(raw.MarketSnapshot, first, first.clear(), stored, later.now).height == 0


def test_every_look_is_stored_once(provider: Provider, tmp_path: Path) -> None:
    GECKO.serve(provider)
    later = replace(GECKO.request, now=GECKO.request.now + timedelta(minutes=5))
    zone = tmp_path / "landing"
    with Store(tmp_path / "warehouse.duckdb") as store:
        for run, asked in (("1", GECKO.request), ("2", GECKO.request), ("3", later)):
            land([attempt(replace(asked, load_id=run), zone)], store, zone, run, asked.now)
            load_landed(store, zone)
        assert store.tables()["raw.market_snapshot"] == 2
