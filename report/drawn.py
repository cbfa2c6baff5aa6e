"""The charts of a page, taken from the page before where they would be drawn alike.

A specification depends on the arguments of its chart and on what draws it, which a new day seldom changes; to
import Altair and to draw takes as long as all else that a page needs.
"""

import hashlib
import json
import re
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from report.current import HEAD, code

SCRIPT = re.compile(r'<script type="application/json">(.*?)</script>', re.DOTALL)
Spec = dict[str, Any]


class Drawn:
    """The specifications that functions of `report.charts` give, each drawn once for its arguments."""

    def __init__(self, before: Path | None = None) -> None:
        """Take up what a page shows, if it is whole and the same code and library drew it."""
        self._drawn = recalled(before) if before else {}

    def __call__(self, name: str, *arguments: Any) -> Spec:
        """The specification of a chart, by the name of its function; read it, do not change it."""
        asked = json.dumps([name, *arguments])
        if asked not in self._drawn:
            self._drawn[asked] = draw(asked)
        return self._drawn[asked]


def recalled(page: Path) -> dict[str, Spec]:
    """The charts of a page by what was asked for; none if they are not what its mark says."""
    try:
        text = page.read_bytes().decode(errors="replace")
        shown = [json.loads(found)["spec"] for found in SCRIPT.findall(text)]
        is_whole = f'name="charts" content="{mark(shown)}"' in text[:HEAD]
        return {spec["usermeta"]["asked"]: spec for spec in shown} if is_whole else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def mark(charts: Iterable[Spec]) -> str:
    """Hash of the charts of a page, and of what draws them: our own files and the library."""
    drawn = json.dumps([code(), version("altair"), *charts], sort_keys=True)
    return hashlib.sha256(drawn.encode()).hexdigest()


def draw(asked: str) -> Spec:
    """Have Altair draw; the specification says what was asked for."""
    from altair.utils.schemapi import debug_mode

    from report import charts

    name, *arguments = json.loads(asked)
    arguments = [tuple(one) if isinstance(one, list) else one for one in arguments]
    with debug_mode(arg=False):  # the shape of a chart is tested, not looked at whenever it is drawn
        spec: Spec = getattr(charts, name)(*arguments)
    return spec | {"usermeta": {**spec["usermeta"], "asked": asked}}
