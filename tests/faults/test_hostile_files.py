"""A file that a user names is data: whatever it holds ends in one clear line or in quarantine."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from flows import refresh, universe
from flows.fetching import attempt
from flows.sources import Request, SourceError
from flows.universe import UniverseError
from schemas import raw
from tests.faults.hostile import FILES, OUTCOMES, UNIVERSES, table

NOW = datetime(2026, 1, 5, 6, tzinfo=UTC)
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("case", FILES)
def test_a_file(case: str, tmp_path: Path) -> None:
    name, make = FILES[case]
    make(tmp_path / name)
    request = Request(
        raw.Bars,
        "files",
        f"files:{name}",
        "X",
        NOW,
        load_id="1",
        interval="1d",
        calendar="XNYS",
        kind="stock",
        path=tmp_path / name,
        is_recorded=True,
    )
    wanted = OUTCOMES[case]
    if isinstance(wanted, str):
        with pytest.raises(SourceError) as refused:
            attempt(request, tmp_path)
        text = str(refused.value)
        assert wanted in text
        assert text.isprintable(), "one line"
        assert len(text) < 600
    else:
        part = attempt(request, tmp_path).part
        assert part is not None
        refused = part.refused
        checks = [] if refused is None else refused.select("check_name", "column_name").unique().rows()
        assert (part.height, part.bad, sorted(checks)) == wanted


@pytest.mark.parametrize("case", UNIVERSES)
def test_a_universe(
    case: str, tiny_universe: Callable[[Path], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content, words = UNIVERSES[case]
    path = tiny_universe(tmp_path)
    is_block = content.startswith(b"\n[[asset]]")
    path.write_bytes(path.read_bytes() + content if is_block else content)
    with pytest.raises(UniverseError) as refused:
        universe.load(path)
    assert words in str(refused.value)
    assert len(str(refused.value)) < 1000
    assert refresh.main(["--universe", str(path), "--data", str(tmp_path / "data"), "--runner", "plain"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("comove: ")
    assert said.count("\n") == 1
    assert not (tmp_path / "data").exists()


def test_the_table_of_the_documentation_is_this_one() -> None:
    assert len(FILES) + len(UNIVERSES) >= 40
    assert table() in (ROOT / "docs" / "reliability.md").read_text()
