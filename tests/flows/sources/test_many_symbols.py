"""Three hundred symbols of Yahoo and ten of an exchange: how many requests, how fast, how long, how large."""

import json
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import exchanges
import polars as pl
import pytest
from clock import Clock
from server import Provider, Said
from yahoo_server import Chart, sessions

from flows import universe as universes
from flows.fetching import fetched
from flows.job import Job
from flows.ledger import land, load_landed
from flows.runners import Plain
from flows.sources import policy as policies
from flows.sources.bucket import RATES
from flows.sources.policy import Policy
from warehouse.store import Store

ROOT = Path(__file__).parents[3]
NOW = datetime(2026, 3, 20, 22, tzinfo=UTC)
START = datetime(2026, 2, 20, tzinfo=UTC)
STOCKS = [f"S{a}{b}{c}" for a in "ABCDEFG" for b in "ABCDEFG" for c in "ABCDEFG"][:300]
ASSET = '[[asset]]\nid = "{id}"\nname = "{id}"\nkind = "{kind}"\nsources = [{source}]\n'
YAHOO = '{{ provider = "yahoo", symbol = "{0}", interval = "1d" }}'
COIN = '{{ provider = "ccxt", exchange = "coinbaseexchange", symbol = "{0}/USD", interval = "1h" }}'


def universe(folder: Path, *, is_panel: bool) -> Path:
    """Ten coins; the stocks as assets of their own, or as the members of an index."""
    blocks = ['[study]\ntarget = "ETH"\nbenchmark = "SAAA"\npairs = [["ETH", "SAAA"]]\n']
    blocks += [ASSET.format(id=s, kind="crypto", source=COIN.format(s)) for s in exchanges.SYMBOLS]
    alone = STOCKS[:1] if is_panel else STOCKS
    blocks += [ASSET.format(id=s, kind="stock", source=YAHOO.format(s)) for s in alone]
    if is_panel:
        weights = {"as_of_on": [NOW.date()] * 300, "symbol": STOCKS, "weight_pct": [100 / 300] * 300}
        pl.DataFrame(weights).write_parquet(folder / "members.parquet")
        blocks.append('[[breadth]]\nindex = "SAAA"\nprovider = "yahoo"\nconstituents = "members.parquet"\n')
    path = folder / "universe.toml"
    path.write_text("\n".join(blocks))
    return path


@pytest.mark.slow
@pytest.mark.parametrize("is_panel", [False, True], ids=["assets", "panel"])
def test_three_hundred_and_ten(
    is_panel: bool,
    provider: Provider,
    clock: Clock,
    make_policy: Callable[..., Policy],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("flows.sources.exchange.FIRST_DAY", START.date())
    chart = Chart({day: 50.0 + n for n, day in enumerate(sessions("2024-03-20", "2026-03-20"))})
    candles = [c for c in exchanges.hours(START, 24 * 29) if c[0] <= NOW.timestamp()]
    exchanges.exchange(provider, "coinbaseexchange", lambda: candles)

    def charts(path_symbol: str) -> Callable[[dict[str, str]], Said]:
        return lambda asked: Said(
            json.dumps({"chart": {"result": [chart.result(path_symbol, asked)], "error": None}})
        )

    def sparks(asked: dict[str, str]) -> Said:
        found = [{"symbol": s, "response": [chart.result(s, asked)]} for s in asked["symbols"].split(",")]
        return Said(json.dumps({"spark": {"result": found, "error": None}}))

    provider.routes["/v7/finance/spark"] = sparks
    provider.routes |= {f"/v8/finance/chart/{symbol}?": charts(symbol) for symbol in STOCKS}
    job = Job(universes.load(universe(tmp_path, is_panel=is_panel)), tmp_path / "data", now=NOW)
    started = time.perf_counter()
    with policies.use(make_policy(provider.url, rate=2.0, rates=RATES)):
        outcomes = fetched(job, Plain())
    seconds = time.perf_counter() - started
    with Store(job.warehouse) as store:
        land(outcomes, store, job.zone, job.run_id, NOW)
        load_landed(store, job.zone)
        rows = store.tables()["raw.bars"]
    yahoo = len(provider.asked("/finance/"))
    coins = len(provider.asked("/candles"))
    say(is_panel, yahoo, coins, rows, clock.now, seconds)
    assert not [str(outcome.error) for outcome in outcomes if outcome.error]
    assert len(pickle.dumps(outcomes)) < 2_000 * len(outcomes)  # none holds its rows
    assert not list(job.zone.glob(".spool/*"))
    assert (yahoo, coins) == (1 + 15 if is_panel else 300, 30)
    assert rows == 300 * len(chart.closes) + 10 * (len(candles) - 1)
    assert clock.now >= (yahoo - 4) / 2  # two a second


def say(*figures: Any) -> None:
    """The figures, for whoever runs this with -s."""
    panel, yahoo, coins, rows, politeness, seconds = figures
    sys.stderr.write(
        f"\n{'panel' if panel else 'assets'}: {yahoo} requests to Yahoo, {coins} for candles, {rows:,} rows; "
        f"{politeness:.0f} s of politeness, {seconds:.1f} s of work\n"
    )


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_symbols(tmp_path: Path) -> None:
    """Three times the symbols, 180,000 and 540,000 rows: when all were kept, 124 and 383 MB."""
    peaks = {}
    for symbols in (100, 300):
        (tmp_path / str(symbols)).mkdir()
        done = subprocess.run(
            [sys.executable, Path(__file__).with_name("peak.py"), str(symbols), tmp_path / str(symbols)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        )
        landing, loading, rows = map(int, done.stdout.split())
        sys.stderr.write(
            f"\n{symbols}: {landing >> 20} MB to land, {loading >> 20} MB to load {rows:,} rows\n"
        )
        assert rows == symbols * 1814
        peaks[symbols] = landing
    assert peaks[300] < peaks[100] + (40 << 20)
    assert peaks[300] < 100 << 20
