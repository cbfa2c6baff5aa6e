"""The charts of a page, kept beside it for the next one.

A specification depends on the arguments of its chart and on what draws it, which a new day seldom changes; to
import Altair and to draw takes as long as all else that a page needs.
"""

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

from report.current import code
from warehouse.files import replace_text

KEPT = "charts.json"
Spec = dict[str, Any]


class Drawn:
    """The specifications that functions of `report.charts` give, each drawn once for its arguments."""

    def __init__(self, path: Path | None = None) -> None:
        """Take up what was kept in a file, if the same code and library drew it."""
        self._path = path
        self._kept = recalled(path) if path else {}
        self._asked: dict[str, Spec] = {}

    def __call__(self, name: str, *arguments: Any) -> Spec:
        """The specification of a chart, by the name of its function; read it, do not change it."""
        asked = json.dumps([name, *arguments])
        if asked not in self._asked:
            self._asked[asked] = self._kept.get(asked) or draw(name, *arguments)
        return self._asked[asked]

    def keep(self) -> None:
        """Write what this page asked for to the file, unless it is there."""
        if self._path and self._asked != self._kept:
            replace_text(self._path, json.dumps({"maker": maker(), "charts": self._asked}))


def recalled(path: Path) -> dict[str, Spec]:
    """The specifications in a file; none if it is not there, not whole or of another maker."""
    try:
        found = json.loads(path.read_bytes())
        return dict(found["charts"]) if found["maker"] == maker() else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def maker() -> str:
    """What draws: our own files and the library."""
    return f"{code()} {version('altair')}"


def draw(name: str, *arguments: Any) -> Spec:
    """Have Altair draw."""
    from altair.utils.schemapi import debug_mode

    from report import charts

    with debug_mode(arg=False):  # the shape of a chart is tested, not looked at whenever it is drawn
        drawn: Spec = getattr(charts, name)(*arguments)
    return drawn
