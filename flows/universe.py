"""The universe file as typed, validated objects: what is watched, and where each figure comes from.

`load` returns a `Universe` in which every reference resolves and every file opens, or raises a
`UniverseError` of one line. The form of the file is a public contract: a new key needs a default.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Self

import polars as pl
from pydantic import (
    AfterValidator,
    Field,
    ValidationInfo,
    model_validator,
)
from pydantic_core import ErrorDetails, ValidationError

from flows.start import UniverseError, document, one_line
from flows.universe_blocks import Asset, Block, Breadth, Events, Macro, Snapshot, StudyBlock
from flows.universe_values import refusal
from transforms.study import Study
from warehouse.files import digest
from warehouse.unknown import SHOWN_CHARACTERS, shown, unknown

PLAIN_WORDS = {  # for the types of pydantic's errors whose own words speak of Python
    "missing": "missing; add it",
    "model_type": "should be a block, such as [study] or [[asset]]",
    "tuple_type": "should be a list; the name of a repeated block stands in double brackets, as [[asset]]",
    "too_short": "empty; give at least one",
}


def _unique(key: str) -> AfterValidator:
    def check(blocks: tuple[Any, ...]) -> tuple[Any, ...]:
        names = [getattr(block, key) for block in blocks]
        for n, name in enumerate(names):
            if name in names[:n]:
                raise refusal(f"{shown(name)} is there more than once; keep one", n, key)
        return blocks

    return AfterValidator(check)


def _on_study_calendar(blocks: tuple[Any, ...], info: ValidationInfo) -> tuple[Any, ...]:
    if "study" not in info.data:  # it was refused, and that is what will be reported
        return blocks
    default = {"calendar": info.data["study"].calendar}
    return tuple(block if block.calendar else block.model_copy(update=default) for block in blocks)


class Universe(Block):
    """All that a run watches; the attributes are named as the blocks of the file."""

    study: StudyBlock
    asset: Annotated[
        tuple[Asset, ...], Field(min_length=1), _unique("id"), AfterValidator(_on_study_calendar)
    ]
    macro: Annotated[tuple[Macro, ...], _unique("id")] = ()
    breadth: Annotated[tuple[Breadth, ...], _unique("index"), AfterValidator(_on_study_calendar)] = ()
    events: tuple[Events, ...] = ()
    snapshot: tuple[Snapshot, ...] = ()
    _folder: Path = Path()

    def model_post_init(self, context: Any, /) -> None:
        """Remembers where the paths of the file start, which is no part of its content."""
        self._folder = (context or {}).get("folder", Path())

    @model_validator(mode="after")
    def _resolve_ids(self) -> Self:
        for name, at in self._references():
            if name not in self.assets_by_id:
                raise refusal(unknown("asset", name, self.assets_by_id), *at)
        return self

    def _references(self) -> Iterator[tuple[str, tuple[str | int, ...]]]:
        """Every use of an asset's id, and where it stands."""
        yield self.study.target, ("study", "target")
        yield self.study.benchmark, ("study", "benchmark")
        yield from ((name, ("study", "controls")) for name in self.study.controls)
        yield from ((name, ("study", "pairs")) for pair in self.study.pairs or () for name in pair)
        yield from ((asset.volume_from, ("asset", n, "volume_from")) for n, asset in enumerate(self.asset))
        yield from ((breadth.index, ("breadth", n, "index")) for n, breadth in enumerate(self.breadth))

    @property
    def assets_by_id(self) -> dict[str, Asset]:
        """The assets under their ids, in the order of the file."""
        return {asset.id: asset for asset in self.asset}

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """The pairs of the study, or all crypto against all other kinds; (target, benchmark) in any case."""
        crypto = [asset.id for asset in self.asset if asset.kind == "crypto"]
        others = [asset.id for asset in self.asset if asset.kind != "crypto"]
        given = self.study.pairs
        pairs = tuple(product(crypto, others)) if given is None else tuple((a, b) for a, b in given)
        own = (self.study.target, self.study.benchmark)
        return pairs if own in pairs else (own, *pairs)

    @property
    def study_parameters(self) -> Study:
        """What the transforms need to know of the study."""
        return Study(**self.study.model_dump() | {"pairs": self.pairs})

    @property
    def fingerprint(self) -> str:
        """SHA-256 in hex of the content with its defaults; blind to comments, layout and location."""
        content = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return digest(content)

    def resolve(self, path: str) -> Path:
        """A path that the file names, from where the process stands."""
        return self._folder / path

    def listings(self) -> pl.DataFrame:
        """`core.listings`: one row per source of an asset; in its interval, rank 0 serves first."""
        from schemas import core

        return _table(core.Listings, [row for asset in self.asset for row in _listed(asset)])

    def panels(self) -> pl.DataFrame:
        """`core.panels`: one row per breadth block."""
        from schemas import core

        rows = [
            {"index_id": one.index, "basis": basis, "source": one.source, "calendar": one.calendar}
            for one in self.breadth
            for basis, is_known in (("panel", one.members), ("constituents", one.constituents))
            if is_known
        ]
        return _table(core.Panels, rows)

    def series(self) -> pl.DataFrame:
        """`core.series`: one row per macro series."""
        from schemas import core

        rows = [one.model_dump() | {"series_id": one.symbol, "source": one.source} for one in self.macro]
        return _table(core.Series, rows)


def _table(model: Any, rows: list[dict[str, Any]]) -> pl.DataFrame:
    from schemas.table import polars_schema  # Pandera takes two seconds to import

    schema = polars_schema(model)
    return pl.DataFrame([{column: row[column] for column in schema} for row in rows], schema=schema)


def _listed(asset: Asset) -> Iterator[dict[str, Any]]:
    shared = asset.model_dump(exclude={"id", "sources"}) | {"asset": asset.id}
    rank: Counter[str] = Counter()
    for source in asset.sources:
        yield shared | source.model_dump() | {"source": source.source, "rank": rank[source.interval]}
        rank[source.interval] += 1


def load(path: Path | str) -> Universe:
    """The universe in the TOML file `path`; the files that it names lie relative to its folder.

    Raises:
        UniverseError: not readable, not TOML or not a universe; the text names the first problem.
    """
    said = document(path)
    try:
        return Universe.model_validate(said, context={"folder": Path(path).absolute().parent})
    except ValidationError as error:
        problem = _located(said, error.errors(include_url=False)[0])
    except RecursionError:
        problem = "is nested too deeply for a universe"
    raise UniverseError(one_line(f"{path}: {problem}"))


def _located(document: dict[str, Any], error: ErrorDetails) -> str:
    """`block: key: problem`, with the block as its author knows it, e.g. `asset "ETH" source 2`."""
    match (*error["loc"], *error.get("ctx", {}).get("at", ())):
        case "study", *keys:
            block = "[study]"
        case str(table), int(n), "sources", int(m), *keys:
            block = f"{_named(table, n, document[table][n])} source {m + 1}"
        case str(table), int(n), *keys:
            block = _named(table, n, document[table][n])
        case table, *keys if table in Universe.model_fields:
            block = f"[[{table}]]"
        case keys:
            block = "top level"
    key = [str(key)[:SHOWN_CHARACTERS] for key in keys[:1]]
    return ": ".join([block, *key, _problem(error)])


def _named(table: str, n: int, block: Any) -> str:
    name = block.get("id", block.get("index")) if isinstance(block, dict) else None
    return f"{table} {shown(name)}" if isinstance(name, str) else f"[[{table}]] {n + 1}"


def _problem(error: ErrorDetails) -> str:
    if error["type"] == "literal_error":
        known = re.findall(r"'(.*?)'|(-?\d+)", error["ctx"]["expected"])
        return unknown("value", error["input"], ("".join(names) for names in known))
    if error["type"] == "refused":
        return error["msg"]
    theirs = f"{error['msg'].removeprefix('Input ')}, not {shown(error['input'])}"
    return PLAIN_WORDS.get(error["type"], theirs)
