"""Thirty rebuilds do not make the warehouse grow, because no read outlives its step."""

from datetime import timedelta
from pathlib import Path

import pytest

from tests.faults.conftest import NOW
from tests.faults.forks import Forks


@pytest.mark.slow
def test_thirty_runs(forks: Forks, folder: Path) -> None:
    sizes = []
    for number in range(30):
        assert forks.run(folder, NOW + timedelta(days=1, minutes=5 * number))["code"] == 0
        sizes.append((folder / "data" / "warehouse.duckdb").stat().st_size)
    print(sizes)  # noqa: T201
    assert sizes[-1] <= 1.1 * sizes[2], sizes
