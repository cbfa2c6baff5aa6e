"""One writer publishes in a loop while twenty readers read: no error, no mix, never backwards."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from schemas import core, mart
from schemas.table import polars_schema
from tests.warehouse.loop_reader import WAYS
from warehouse.publish import publish
from warehouse.store import Store

ROOT = Path(__file__).parents[2]


def generation(number: int) -> dict[type, pl.DataFrame]:
    """Two tables of `number` rows, each of which says `number`."""
    days = [date(2000, 1, 1) + timedelta(n) for n in range(number)]
    returns = [("ETH", "utc_day", day, float(number), 1) for day in days]
    levels = [("ETH", "utc_day", day, float(number)) for day in days]
    return {
        core.Returns: pl.DataFrame(returns, schema=polars_schema(core.Returns), orient="row"),
        mart.Normalized: pl.DataFrame(levels, schema=polars_schema(mart.Normalized), orient="row"),
    }


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [4, 60])
def test_readers_see_whole_generations_in_their_order(
    built_store: Store, tmp_path: Path, seconds: int, record_property: Callable[[str, object], None]
) -> None:
    data, number = tmp_path / "data", 1

    def publish_next() -> None:
        built_store.replace(generation(number))
        publish(built_store, data / "published", f"{number:06d}", {})

    publish_next()
    command = [sys.executable, "-m", "tests.warehouse.loop_reader"]
    readers = {
        way: subprocess.Popen([*command, way, str(data), str(seconds)], cwd=ROOT, stdout=subprocess.PIPE)
        for way in WAYS
    }
    until = time.monotonic() + seconds
    while time.monotonic() < until or any(reader.poll() is None for reader in readers.values()):
        number += 1
        publish_next()
    told = {way: json.loads(reader.communicate()[0]) for way, reader in readers.items()}
    record_property("readers", told)
    sys.stderr.write(f"{number} generations: {told}\n")
    assert {way: one["faults"] for way, one in told.items() if one["faults"]} == {}
    assert all(one["reads"] > 20 and one["generations"] > 1 for one in told.values())
