"""Makes `policy_events.parquet`: the FOMC's decisions as figures, from its calendar, FRED and its statements.

    python samples/make_policy_events.py STATEMENTS.parquet

The argument is a Parquet file with `released_on` and `text`; only the tone of a text goes into the sample.
A scheduled meeting has two rows: `meeting` from the day on which the calendar was out, `statement` from its
release. Statements come at 14:00 New York since March 2013; the exceptions are in `UNSCHEDULED`.
"""

import sys
from datetime import UTC, date, datetime, time
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from flows.sources.tone import tone  # noqa: E402 - the repository's root is known only now

NEW_YORK = ZoneInfo("America/New_York")
RELEASE = time(14)
RANGE_WIDTH = 0.25  # of the target since December 2008; FRED's sample has its upper end only
RECORDED_ON = date(2026, 8, 22)
UNSCHEDULED = {  # date of the decision: the release, from the Federal Reserve's press releases
    date(2019, 10, 4): datetime(2019, 10, 11, 11, tzinfo=NEW_YORK),  # by notation vote, out a week later
    date(2020, 3, 3): datetime(2020, 3, 3, 10, tzinfo=NEW_YORK),
    date(2020, 3, 15): datetime(2020, 3, 15, 17, tzinfo=NEW_YORK),
    date(2020, 3, 23): datetime(2020, 3, 23, 8, tzinfo=NEW_YORK),
}
SCHEMA = {
    "event_id": pl.String,
    "known_at": pl.Datetime("us", "UTC"),
    "released_at": pl.Datetime("us", "UTC"),
    "kind": pl.String,
    "target_low_pct": pl.Float64,
    "target_high_pct": pl.Float64,
    "tone": pl.Float64,
}


def main(statements: Path) -> None:
    """Write the sample."""
    texts = dict(pl.read_parquet(statements, columns=["released_on", "text"]).iter_rows())
    calendar = pl.read_csv(HERE / "fomc_meetings.csv", try_parse_dates=True)["decision_date"].to_list()
    targets = dict(
        pl.read_parquet(HERE / "macro.parquet")
        .filter(pl.col("series_id") == "DFEDTARU")
        .select(pl.col("observed_on").dt.offset_by("-1d"), "value")  # a new target holds from the next day
        .iter_rows()
    )
    days = sorted({*calendar, *texts})
    planned = [meeting(day) for day in days if day not in UNSCHEDULED]
    decided = [decision(day, texts.get(day), targets[day]) for day in days if day < RECORDED_ON]
    events = pl.DataFrame([*planned, *decided], schema=SCHEMA).sort("released_at", "known_at")
    events.write_parquet(HERE / "policy_events.parquet", compression="zstd")


def meeting(day: date) -> dict[str, object]:
    """A planned meeting; the calendar of a year is out by the October before (its first days are older)."""
    out = datetime(day.year - 1, 10, 1, tzinfo=UTC)
    return {"event_id": f"fomc-{day}", "known_at": out, "released_at": release(day), "kind": "meeting"}


def decision(day: date, text: str | None, target_high: float) -> dict[str, object]:
    """A decision with the target range that it leaves and the tone of its statement, where there is one."""
    return {
        "event_id": f"fomc-{day}",
        "known_at": release(day),
        "released_at": release(day),
        "kind": "unscheduled" if day in UNSCHEDULED else "statement",
        "target_low_pct": target_high - RANGE_WIDTH,
        "target_high_pct": target_high,
        "tone": tone(text) if text else None,
    }


def release(day: date) -> datetime:
    """The instant of the release, in UTC."""
    local = UNSCHEDULED.get(day, datetime.combine(day, RELEASE, NEW_YORK))
    return local.astimezone(UTC)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
