"""The rows of one answer while they are checked: what passed, what was refused and why."""

import hashlib
import json
import math
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from flows.sources import Request
from schemas import ops, raw
from schemas.table import columns, name, polars_schema

FIGURES = {
    raw.Bars: ("open", "high", "low", "close", "adj_close", "volume"),
    raw.Macro: ("value",),
    raw.Actions: ("dividend", "split_ratio"),
    raw.Constituents: ("weight_pct",),
    raw.MarketSnapshot: (
        "total_market_cap_usd",
        "volume_24h_usd",
        "active_coins",
        "btc_dominance_pct",
        "eth_dominance_pct",
    ),
    raw.PolicyEvents: ("released_at", "kind", "target_low_pct", "target_high_pct", "tone"),
}
FUTURE = "not_in_the_future"  # a check that a row may pass tomorrow
NO_MEMBER = "is_ticker"  # a check that some lines of a good list fail


@dataclass(slots=True)
class Batch:
    """The rows of one answer, split as they are checked.

    Attributes:
        rows: Rows that passed so far, with `line`, their place in the answer.
        delivered: The answer as it came.
        refused: For each check that failed somewhere: its rows' `line`, `check_name` and `column_name`.
        running: Number of bars that were still running.
        frozen: Bars that the next one shows to be wrong; a stored one like it is withdrawn.
    """

    rows: pl.DataFrame
    delivered: pl.DataFrame
    refused: list[pl.DataFrame] = field(default_factory=list)
    running: int = 0
    frozen: pl.DataFrame = field(default_factory=pl.DataFrame)

    def refuse(self, is_bad: pl.Expr, check: str, column: str | None = None) -> None:
        """Set aside the rows of which `is_bad` holds; null counts as good."""
        bad = self.rows.filter(is_bad.fill_null(value=False))
        if bad.height:
            self.note(bad["line"], check, column)
            self.rows = self.rows.join(bad.select("line"), on="line", how="anti", maintain_order="left")

    def note(self, lines: pl.Series, check: str, column: str | None) -> None:
        """Record why some lines are set aside."""
        self.refused.append(
            pl.DataFrame({"line": lines.cast(pl.UInt32)}).with_columns(
                check_name=pl.lit(check), column_name=pl.lit(column, pl.String)
            )
        )

    @property
    def bad(self) -> int:
        """Number of rows set aside."""
        return pl.concat(self.refused)["line"].n_unique() if self.refused else 0

    @property
    def wrong(self) -> int:
        """How many of them speak against the answer: cash and escrow stand in every list of members."""
        if not self.refused:
            return 0
        return pl.concat(self.refused).filter(pl.col("check_name") != NO_MEMBER)["line"].n_unique()


def as_json(row: dict[str, Any]) -> str:
    """A delivered row as JSON, with what JSON has no word for (dates, NaN, infinity) as text."""
    said = {k: str(v) if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}
    return json.dumps(said, default=str, ensure_ascii=False)


def quarantine(batch: Batch, request: Request) -> pl.DataFrame:
    """The refused rows as `ops.quarantine`, each with its check and the row as it was delivered."""
    if not batch.refused:
        return pl.DataFrame(schema=polars_schema(ops.Quarantine))
    found = pl.concat(batch.refused).unique(["line", "check_name"], maintain_order=True)
    rows = pl.Series(
        "row_json", [as_json(row) for row in batch.delivered[found["line"]].iter_rows(named=True)]
    )
    table = name(request.model)
    stamped = found.with_columns(rows).with_columns(
        load_id=pl.lit(request.load_id),
        source=pl.lit(request.source),
        table_name=pl.lit(table),
        item=pl.lit(request.label),
    )
    marks = pl.concat_str(
        "table_name",
        "source",
        "item",
        "check_name",
        pl.col("column_name").fill_null(""),
        "row_json",
        separator="\x1f",
    )
    digest = marks.map_elements(
        lambda text: hashlib.sha256(text.encode()).hexdigest()[:32], return_dtype=pl.String
    )
    return (
        stamped.with_columns(quarantine_id=digest)
        .unique("quarantine_id", maintain_order=True)
        .select([column.name for column in columns(ops.Quarantine)])
    )
