"""Sources that fail with a seeded probability: in the end the warehouse says what they said last."""

import random
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from flows import fetching, pipeline, universe
from flows.fetching import NothingUsableError
from flows.job import Job
from flows.pipeline import run
from flows.runners import Plain
from flows.sources import Answer, Request, SourceError, fetch
from tests.faults.compare import twice
from tests.faults.conftest import NOW
from warehouse.reader import connect
from warehouse.verify import broken

DAYS = [date(2025, 10, 6), date(2025, 10, 7), date(2025, 10, 8)]
SEED, ROUNDS = 7, 5
LAST = """
SELECT opened_at::DATE, close FROM raw.bars WHERE symbol = '^RUT' AND list_contains($1, opened_at::DATE)
QUALIFY row_number() OVER (PARTITION BY opened_at ORDER BY known_at DESC) = 1 ORDER BY ALL
"""


@pytest.mark.slow
def test_the_last_word_arrives(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chance, path = random.Random(SEED), folder / "universe.toml"

    def flaky(request: Request) -> Answer:
        if chance.random() < share:
            raise SourceError(f"{request.source}: as the test has it")
        return fetch(request)

    monkeypatch.setattr(fetching, "fetch", flaky)
    monkeypatch.setattr(pipeline, "render", lambda home: home)
    for number in range(ROUNDS):
        share = 0.4 if number < ROUNDS - 1 else 0.0  # the last time all goes well
        frame = pl.read_csv(folder / "rut.csv", try_parse_dates=True)
        move = pl.when(pl.col("date").is_in(DAYS)).then(chance.choice([-0.25, 0.0, 0.25])).otherwise(0.0)
        frame.with_columns(pl.col("close") + move).write_csv(folder / "rut.csv")
        job = Job(
            universe.load(path), folder / "data", now=NOW + timedelta(days=1 + number), universe_path=path
        )
        try:
            run(job, Plain())
        except NothingUsableError:
            continue
    said = pl.read_csv(folder / "rut.csv", try_parse_dates=True).filter(pl.col("date").is_in(DAYS))
    with closing(connect(folder / "data")) as con:
        assert con.execute(LAST, [DAYS]).fetchall() == said.select("date", "close").rows()
        failed = con.execute("SELECT count(*) FROM ops.loads WHERE status = 'failed'").fetchall()[0][0]
    assert failed > 3
    assert (twice(folder / "data"), list(broken(folder / "data"))) == ({}, [])
