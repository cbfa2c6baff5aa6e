"""One run as a value: what to watch, where to keep it, and the clock."""

from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from flows.plan import KINDS
from flows.start import UniverseError
from flows.universe import Universe
from flows.versions import TICK
from warehouse.lake import Lake
from warehouse.landing import newest_run

AT_ONCE = timedelta(seconds=0.1)
RUN_ID = "%Y%m%dT%H%M%S%fZ"


@dataclass(frozen=True, slots=True)
class Job:
    """One run: what to watch, where to keep it, and the clock, which is read once.

    Attributes:
        universe: What is watched.
        data: The folder that holds landing zone, warehouse and publication.
        now: The instant of the run.
        as_of: Replay: build what was known at this instant beside the main copy.
        since, until: First and last date to fetch, both inclusive.
        universe_path: Where the universe was read from, for a later rebuild.
        wait: Seconds to wait for another run on the same folder.
        only: Kinds of sources to ask; the others keep what is stored.
        takes_over: Whether it may publish over what another universe made.
        lake: Where the warehouse is, if not in a file of the data folder.
        newest: The id of the newest run that has landed anything, behind which this one's id sorts.
    """

    universe: Universe
    data: Path
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    as_of: datetime | None = None
    since: date | None = None
    until: date | None = None
    universe_path: Path | None = None
    wait: float = 0.0
    only: tuple[str, ...] = KINDS
    takes_over: bool = False
    lake: Lake | None = None
    newest: str = ""

    def __post_init__(self) -> None:
        """Refuses what no clock allows."""
        if self.since and self.until and self.since > self.until:
            raise UniverseError(f"since {self.since} is after until {self.until}; exchange them")
        if self.as_of and self.as_of > self.now:
            raise UniverseError(
                f"as of {self.as_of:%Y-%m-%dT%H:%MZ} is still to come; name an instant that has passed"
            )

    def after(self, waited: timedelta) -> "Job":
        """The same run once its turn came: dated to that instant, and its id behind those of earlier runs."""
        now = self.now + waited if waited > AT_ONCE else self.now
        return replace(self, now=now, newest=newest_run(self.zone))

    @property
    def run_id(self) -> str:
        """The run's id: its instant, or the one after the newest run's where the clock went back.

        Ids sort in the order of the runs, whatever the clock says; `now` dates what they learn.
        """
        instant = f"{self.now:{RUN_ID}}"
        if instant > self.newest:
            return instant
        return f"{datetime.strptime(self.newest, RUN_ID).replace(tzinfo=UTC) + TICK:{RUN_ID}}"

    @property
    def zone(self) -> Path:
        """The landing zone."""
        return self.data / "landing"

    @property
    def warehouse(self) -> Path | Lake:
        """What the pipeline writes, and no reader opens."""
        return self.lake or self.file

    @property
    def file(self) -> Path:
        """The data folder's own warehouse."""
        return self.data / "warehouse.duckdb"

    @property
    def home(self) -> Path:
        """Where this run publishes: the data folder, or a replay's own folder below it."""
        return self.data / "as-of" / f"{self.as_of:%Y-%m-%dT%H%M%SZ}" if self.as_of else self.data

    @property
    def manifest(self) -> dict[str, Any]:
        """What the publication says of how it was made."""
        return {
            "as_of": (self.as_of or self.now).isoformat(),
            "study": self.universe.study.model_dump(mode="json"),
            "universe": {
                "path": str(self.universe_path.absolute()) if self.universe_path else None,
                "fingerprint": self.universe.fingerprint,
            },
        }
