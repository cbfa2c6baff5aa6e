"""Thirty builds do not make the warehouse grow, because no read outlives its step."""

from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from schemas import ops
from tests.faults.conftest import NOW
from tests.faults.forks import Forks
from tests.flows.test_pipeline import revise
from warehouse.store import Store


@pytest.mark.slow
def test_thirty_runs(forks: Forks, folder: Path) -> None:
    sizes = []
    for number in range(30):
        now = NOW + timedelta(days=1, minutes=5 * number)
        revise(folder / "rut.csv", date(2025, 9, 3), 0.01)  # or its tables would be left as they are
        assert forks.run(folder, now)["code"] == 0
        sizes.append((folder / "data" / "warehouse.duckdb").stat().st_size)
        with Store(folder / "data" / "warehouse.duckdb", read_only=True) as store:
            made = store.read(ops.Built).filter(pl.col("built_at") == now)["table_name"].to_list()
        assert {"core.closes", "core.returns", "mart.correlations", "mart.claims"} <= set(made)
    print(sizes)  # noqa: T201
    assert sizes[-1] <= 1.1 * sizes[2], sizes
