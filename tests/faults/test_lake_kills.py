"""Kill -9 while a lake is written: it holds whole transactions only, and one rerun heals it."""

import shutil
import signal
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from tests.faults.compare import acknowledged, digests, lost, published, stored, twice
from tests.faults.conftest import NOW, Undisturbed
from tests.faults.forks import Forks
from tests.servers import Postgres
from warehouse.lake import Lake
from warehouse.store import Store
from warehouse.verify import broken

STEPS = ["loading", "loaded", "built"]
CASES = [(kind, step) for kind in ("sqlite", "postgres") for step in STEPS]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "step"), CASES)
def test_a_lake_whose_writer_was_killed_is_healed_by_one_rerun(
    kind: str,
    step: str,
    request: pytest.FixtureRequest,
    forks: Forks,
    empty: Path,
    undisturbed: Undisturbed,
    lake_of: Callable[[str], Lake],
    tmp_path: Path,
) -> None:
    home, data = tmp_path / "home", tmp_path / "home" / "data"
    shutil.copytree(empty, home)
    lake = lake_of(kind)
    words = f"{lake}?data_path={lake.data_path}"
    if kind == "postgres":
        server: Postgres = request.getfixturevalue("server")
        words = words.replace(lake.catalog, server.url(lake.catalog.replace("'", "")))
    wanted = stored(undisturbed["empty"] / "data")
    env = {"COMOVE_WAREHOUSE": words}
    killed = forks.run(home, NOW + timedelta(days=1), env={**env, "CRASH_AT": step})
    assert killed["code"] == -signal.SIGKILL, killed["err"]
    with Store(lake) as store:
        marks = dict(
            store.con.execute("SELECT table_name, sum(rows)::INT FROM ops.landed GROUP BY ALL").fetchall()
        )
        counts = store.tables()
    assert {table: counts[table] for table in marks} == marks
    said = acknowledged(data)
    healed = forks.run(home, NOW + timedelta(days=1, minutes=5), env=env)
    assert healed["code"] == 0, healed["err"]
    with Store(lake) as store:
        assert digests(store.con) == wanted
    assert published(data) == wanted
    assert (lost(data, said), twice(data), list(broken(data))) == (0, {}, [])
