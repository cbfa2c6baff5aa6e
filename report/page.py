"""The page that a run leaves behind. `python -m report.page --data DIR` renders it from what is published."""

import sys

if __name__ == "__main__":  # before the imports that take seconds
    from warehouse.folder import refuse_unpublished

    refuse_unpublished(sys.argv[1:])

import argparse
import base64
import hashlib
import json
from collections.abc import Iterable
from contextlib import closing, suppress
from datetime import datetime
from functools import cache
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from report import drawn, figures, queries, words
from report.checklist import checklist
from report.current import HEAD, PAGE, mark
from report.panel import Figure, Pair, columns
from report.panels import panels
from report.queries import Answer, Connection, ask
from warehouse.files import replace_text
from warehouse.folder import default
from warehouse.manifest import Content, unsealed
from warehouse.publish import POINTER
from warehouse.reader import connect

HERE = Path(__file__).parent
MAIN_WINDOW = 60
VEGA = "vl-convert-python"  # the library that brings Vega
SNIPPET = "window.vegaEmbed = vegaEmbed;"  # the one name that page.js calls
UNBROKEN = 20  # letters of a name that stay on one line


def render(home: Path) -> Path:
    """Write `report/index.html` of a data folder (or a replay's own) from its publication; returns its path.

    Raises:
        FileNotFoundError: if nothing was published there.
    """
    pointer, path = unsealed(home / "published" / POINTER), home / "report" / PAGE
    with closing(connect(home)) as con:
        text = page(con, pointer, path)
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_text(path, text)
    return path


def page(con: Connection, pointer: Content, before: Path | None = None) -> str:
    """The whole page as text; what it says is from the publication alone.

    Args:
        con: A connection to the publication.
        pointer: Its manifest.
        before: The page that is there, whose Vega is used again if it was made by the same `maker`, and its
            charts likewise (`report.drawn`).
    """
    study = pointer["study"]
    names = {
        asset: words.titled(name, kind) for asset, name, kind in ask(con, queries.NAMES, {}).rows.iter_rows()
    }
    window = min(study["windows"], key=lambda length: abs(length - MAIN_WINDOW))
    target, benchmark = study["target"], study["benchmark"]
    known = {target: target, benchmark: benchmark} | names
    pair = Pair(target, benchmark, known, window, study["threshold"], study["calendar"])
    shown = list(panels(con, pair, drawn.Drawn(before)))
    styles = (HERE / "page.css").read_text()
    scripts = [vega(before), (HERE / "page.js").read_text()]
    return template().render(
        csp=policy(styles, scripts),
        styles=Markup(styles),  # noqa: S704 - our own files, no data
        scripts=[Markup(script) for script in scripts],  # noqa: S704 - the same
        vega=maker(),
        charts=drawn.mark(figure.spec for panel in shown for figure in panel.figures),
        pointer=pointer,
        shows=mark(pointer),
        pair=pair,
        panels=shown,
        figures={panel.panel_id: [payload(figure) for figure in panel.figures] for panel in shown},
        **headline(con, pair),
        **ledger(con, pair),
    )


def headline(con: Connection, pair: Pair) -> dict[str, Any]:
    """The newest reading, its checklist, and what changed."""
    answers = {
        "headline": ask(con, queries.HEADLINE, pair.values),
        "evidence": ask(con, queries.EVIDENCE, pair.values),
        "changes": ask(con, queries.CHANGES, pair.values),
    }
    rows = {name: answer.rows.to_dicts() for name, answer in answers.items()}
    if not rows["headline"]:
        return {"now": None, "conditions": [], "changes": [], "asked": sql(answers)}
    now = rows["headline"][0]
    conditions = checklist(now, rows["evidence"][0], pair.threshold)
    return {"now": now, "conditions": conditions, "changes": rows["changes"], "asked": sql(answers)}


def ledger(con: Connection, pair: Pair) -> dict[str, Any]:
    """The claims by day of reading, and the state of the data."""
    answers = {
        "claims": ask(con, queries.CLAIMS, pair.values),
        "freshness": ask(con, queries.FRESHNESS, pair.values),
        "quarantine": ask(con, queries.QUARANTINE, pair.values),
    }
    rows = {name: answer.rows.to_dicts() for name, answer in answers.items()}
    days = {day: list(of_day) for day, of_day in groupby(rows["claims"], lambda row: row["as_of_session"])}
    earlier = {row["claim_id"]: row for row in days[min(days)]} if len(days) > 1 else {}
    newest = days[max(days)] if days else []
    return {
        "claims": newest,
        "earlier": earlier,
        "claims_days": sorted(days),
        "freshness": rows["freshness"],
        "quarantine": rows["quarantine"],
        "ledger_asked": sql(answers),
    }


def sql(answers: dict[str, Answer]) -> dict[str, str]:
    """The text of each question."""
    return {name: f"{answer.sql};" for name, answer in answers.items()}


def payload(figure: Figure) -> Markup:
    """A chart's specification and data as JSON that cannot end its script element."""
    data = {name: columns(rows) for name, rows in figure.data.items()}
    text = json.dumps({"spec": figure.spec, "data": data}, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # noqa: S704 - escaped above


def vega(before: Path | None) -> str:
    """Vega's scripts, out of the page before if it has them whole: making them takes more than a second."""
    text = ""
    with suppress(OSError):
        text = before.read_bytes().decode(errors="replace") if before else ""
    if f'name="vega" content="{maker()}"' in text[:HEAD]:
        found = text.partition("<script>")[2].partition("</script>")[0]
        if hashed(found) in text[:HEAD]:
            return found
    return bundle()


def maker() -> str:
    """What makes Vega's scripts: the library's version, and what it is asked for."""
    return f"{version(VEGA)} {hashed(SNIPPET)}"


@cache
def bundle() -> str:
    """Vega's scripts, made by the library."""
    import vl_convert  # it takes a second to import; a failed run need not wait for it

    return str(vl_convert.javascript_bundle(SNIPPET)).replace("</script", "<\\/script")


def policy(styles: str, scripts: Iterable[str]) -> str:
    """The page may run and show what is in it, and reach nothing outside."""
    ours = " ".join(f"'{hashed(script)}'" for script in scripts)
    return (
        f"default-src 'none'; script-src {ours}; style-src '{hashed(styles)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def hashed(text: str) -> str:
    """The hash of a script or a style sheet as a policy names it."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def template() -> Template:
    """The template with the filters that it uses; everything is escaped."""
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "day": figures.day,
        "short_day": figures.short_day,
        "number": figures.number,
        "interval": figures.interval,
        "curly": lambda text: str(text).replace("'", "\N{RIGHT SINGLE QUOTATION MARK}"),
        "unbroken": lambda text: (
            str(text).replace(" ", "\N{NO-BREAK SPACE}") if len(text) < UNBROKEN else text
        ),
        "cell": cell,
        "cells": lambda rows: rows.rows(),
        "moment": lambda text: f"{datetime.fromisoformat(text):%d %B %Y, %H:%M} UTC".lstrip("0"),
    }
    environment.globals |= {"words": words, "claim_figures": figures.claim_figures}
    return environment.get_template("template.html")


def cell(value: Any) -> str:
    """A value in a table."""
    if value is None:
        return "\N{EN DASH}"
    if isinstance(value, float):
        return figures.number(value, ".3g" if abs(value) < 1 else ",.2f")
    return str(value)


def main() -> int:
    """Render the page of a data folder anew."""
    parser = argparse.ArgumentParser("python -m report.page", description="Render the page anew.")
    parser.add_argument("--data", type=Path, default=default())
    sys.stdout.write(f"{render(parser.parse_args().data)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
