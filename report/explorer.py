"""The page's panels for any pair, window and convention of a publication; `report/notebook.py` shows them."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from report import queries, words
from report.drawn import Drawn, Spec
from report.panel import Figure, Pair, Panel
from report.panels import panels
from report.queries import Connection, ask

CHOICES = """
SELECT DISTINCT asset, benchmark, window_sessions, convention FROM mart.correlations WHERE r IS NOT NULL
ORDER BY asset, benchmark, window_sessions, convention
"""
VEGA_LITE = "application/vnd.vegalite.v6+json"


def choices(con: Connection) -> pl.DataFrame:
    """Every asset, benchmark, window and convention that has a correlation."""
    return ask(con, CHOICES, {}).rows


def pair_of(
    con: Connection, target: str, benchmark: str, window: int, convention: str, study: Mapping[str, Any]
) -> Pair:
    """A pair to look at, with the names of all assets and the threshold and calendar of the study."""
    rows = ask(con, queries.NAMES, {}).rows.iter_rows()
    names = {asset: words.titled(name, kind) for asset, name, kind in rows}
    known = {target: target, benchmark: benchmark} | names
    return Pair(target, benchmark, known, window, study["threshold"], study["calendar"], convention)


def shown(con: Connection, pair: Pair) -> Iterator[tuple[Panel, list["Chart"]]]:
    """The panels of a pair with their charts, in the page's order."""
    for panel in panels(con, pair, Drawn()):
        yield panel, [Chart(complete(figure), figure.description) for figure in panel.figures]


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart as a notebook takes it: a specification with its data, and what a screen reader says of it."""

    spec: Spec
    description: str

    def _mime_(self) -> tuple[str, str]:
        """The notebook's protocol: a MIME type and the text to show under it."""
        return VEGA_LITE, json.dumps(self.spec | {"description": self.description}, allow_nan=False)


def complete(figure: Figure) -> Spec:
    """A specification that needs no page round it: the rows are in it, and the colours are those of the page.

    Values are data to Vega, never a piece of the specification.
    """
    rows = {name: plain(frame) for name, frame in figure.data.items()}
    text = re.sub(r"var\((--[\w-]+)\)", lambda found: colours()[found[1]], json.dumps(figure.spec))
    spec: dict[str, Any] = json.loads(text)
    return spec | {"datasets": {**spec.get("datasets", {}), **rows}}


def plain(frame: pl.DataFrame) -> list[dict[str, Any]]:
    """Rows as JSON has them: days as text, figures to four digits."""
    dates = [name for name, kind in frame.schema.items() if kind == pl.Date]
    floats = pl.selectors.float().round_sig_figs(4)
    return frame.with_columns(floats, *(pl.col(name).dt.to_string("%Y-%m-%d") for name in dates)).to_dicts()


def colours() -> dict[str, str]:
    """The page's colours by daylight."""
    root = (Path(__file__).parent / "page.css").read_text().split("}", 1)[0]
    return dict(re.findall(r"(--[\w-]+): ([^;]+);", root))
