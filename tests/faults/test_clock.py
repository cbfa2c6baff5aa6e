"""The clock jumps back and forth: the provider's last word stays the last word."""

from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from tests.faults.compare import published, stored, twice
from tests.faults.conftest import NOW
from tests.faults.forks import Forks
from warehouse.reader import connect
from warehouse.verify import broken

DAY = date(2025, 10, 8)
JUMPS = [timedelta(days=2), timedelta(days=-40), timedelta(days=-40, seconds=1), timedelta(days=400)]
CLOSE = "SELECT close FROM core.closes WHERE asset = 'RUT' AND session = $1 AND convention = 'session_close'"


@pytest.mark.slow
def test_the_last_word_holds_whatever_the_clock_says(forks: Forks, folder: Path) -> None:
    data, source = folder / "data", folder / "rut.csv"
    for number, jump in enumerate(JUMPS):
        frame = pl.read_csv(source, try_parse_dates=True)
        (before,) = frame.filter(date=DAY)["close"]
        said = round(before + (0.25 if number % 2 else -0.25), 2)
        close = pl.when(pl.col("date") == DAY).then(said).otherwise("close")
        frame.with_columns(close=close).write_csv(source)
        done = forks.run(folder, NOW + jump)
        assert done["code"] == 0, done["err"]
        with closing(connect(data)) as con:
            assert con.execute(CLOSE, [DAY]).fetchall() == [(said,)]
    assert (twice(data), list(broken(data))) == ({}, [])
    assert published(data) == stored(data)
    before = stored(data)
    assert forks("rebuild", folder=folder, now=NOW - timedelta(days=1))["code"] == 0
    assert stored(data) == before
