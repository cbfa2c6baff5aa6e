"""The run after the close: nothing on a day without a session, otherwise once its last bars are final.

The day is that for which the run was scheduled, so a run that starts late, even days later, is not lost.
"""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_fixed

from flows import calendars
from flows import universe as universes
from flows.fetching import NothingUsableError
from flows.lock import LockedError
from flows.parameters import Seconds
from flows.refresh import refresh
from flows.universe import Universe
from transforms.finality import daily_final_at

DEFAULT_SETTLING = timedelta(minutes=30)
ATTEMPTS, PAUSE = 4, timedelta(minutes=15)


@flow(name="close", persist_result=False)
def close(
    universe: Path = Path("universe.toml"),
    data: Path = Path("data"),
    wait: Seconds = 600.0,
    warehouse: str | None = None,
) -> State[Any]:
    """Refresh once the day's session is final; Completed as "NoSession" where the calendar has none that day.

    Where all sources of the pair are down, or another run keeps the folder, it tries again every 15 minutes.
    """
    final_at = final_on_day_of(universes.load(universe), flow_run.scheduled_start_time)
    if final_at is None:
        return Completed(name="NoSession", message="no session")
    time.sleep(max(0.0, (final_at - datetime.now(UTC)).total_seconds()))
    Retrying(
        retry=retry_if_exception_type((NothingUsableError, LockedError)),
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait_fixed(PAUSE),
        sleep=time.sleep,
        reraise=True,
    )(refresh, universe, data, wait=wait, warehouse=warehouse)
    return Completed(message="published")


def final_on_day_of(universe: Universe, moment: datetime) -> datetime | None:
    """When the last daily bar of that day's session on the study calendar is final; None without a session.

    The day is the date where the exchange is. Early closes and the later prices of the VIX are allowed for.
    """
    calendar = universe.study.calendar
    today = calendars.local_date(calendar, moment)
    session = calendars.sessions(calendar, today.year, today.year).filter(pl.col("session") == today)
    if session.is_empty():
        return None
    finals: list[pl.DataFrame] = [
        session.select(daily_final_at(pl.col("close_at"), pl.lit(asset.kind), pl.lit(source.settle_minutes)))
        for asset in universe.asset
        if asset.calendar == calendar
        for source in asset.sources
        if source.interval == "1d"
    ]
    moments: list[datetime] = [final.item() for final in finals]
    return max(moments, default=session["close_at"][0] + DEFAULT_SETTLING)
