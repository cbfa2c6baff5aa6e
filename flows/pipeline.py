"""fetch -> land -> load -> build -> publish, with the steps in the order in which a price travels."""

import time
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from flows.build import build
from flows.intake import take_in
from flows.ledger import Outcome, land, land_attempts, load_landed
from flows.plan import requests
from flows.runners import Runner
from flows.sources import Request, SourceError, fetch
from flows.universe import Universe
from warehouse.publish import Publication, publish
from warehouse.store import Store


class NothingUsableError(RuntimeError):
    """No source of the study's pair answered: what is stored and published stays as it was."""


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
    """

    universe: Universe
    data: Path
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    as_of: datetime | None = None
    since: date | None = None
    until: date | None = None
    universe_path: Path | None = None

    @property
    def run_id(self) -> str:
        """The run's id: its instant, so that ids sort by time."""
        return f"{self.now:%Y%m%dT%H%M%S%fZ}"

    @property
    def zone(self) -> Path:
        """The landing zone."""
        return self.data / "landing"

    @property
    def warehouse(self) -> Path:
        """The file that the pipeline writes, and nobody else opens."""
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
            "universe": {"path": str(self.universe_path or ""), "fingerprint": self.universe.fingerprint},
        }


@dataclass(frozen=True, slots=True)
class Run:
    """What a run did."""

    job: Job
    outcomes: list[Outcome]
    publication: Publication
    before: dict[str, int]
    seconds: dict[str, float]


def run(job: Job, runner: Runner) -> Run:
    """The whole pipeline; a replay fetches only where nothing was ever loaded.

    Raises:
        NothingUsableError: if no source of the study's pair answered; the attempts are landed, the warehouse
            and the publication are untouched.
    """
    outcomes = [] if job.as_of and job.warehouse.exists() else fetched(job, runner)
    with Store(job.warehouse) as store:
        load_landed(store, job.zone)
        before = store.tables()
        if outcomes:
            runner.call(land, outcomes, store, job.zone, job.run_id, job.now)
            load_landed(store, job.zone)
        if job.as_of is None:
            return finish(job, runner, store, outcomes, before)
        past = past_warehouse(job, store, job.as_of)
    with Store(past) as store:
        return finish(job, runner, store, outcomes, before={})


def fetched(job: Job, runner: Runner) -> list[Outcome]:
    """Ask every source; refuse to go on when the study's own pair has no answer at all."""
    asked = requests(job.universe, job.run_id, job.now, job.since, job.until)
    answers = runner.map(attempt, asked)
    outcomes = [
        Outcome(request, job.now, error=answer) if isinstance(answer, SourceError) else answer
        for request, answer in zip(asked, answers, strict=True)
    ]
    study = job.universe.study
    pair = {
        source.source
        for one in (study.target, study.benchmark)
        for source in job.universe.assets_by_id[one].sources
    }
    of_pair = [outcome for outcome in outcomes if outcome.request.source in pair]
    if not any(outcome.batch for outcome in of_pair):
        land_attempts(outcomes, job.zone, job.run_id)
        reasons = "; ".join(dict.fromkeys(str(outcome.error) for outcome in of_pair))
        raise NothingUsableError(
            f"no source of {study.target} and {study.benchmark} gave anything, nothing was changed: {reasons}"
        )
    return outcomes


def attempt(request: Request) -> Outcome:
    """Fetch and check one request.

    Raises:
        SourceError: if the source gave nothing that may be stored.
    """
    started, clock = datetime.now(UTC), time.perf_counter()
    answer = fetch(request)
    batch = take_in(request, answer)
    return Outcome(
        request,
        started,
        batch,
        seconds=time.perf_counter() - clock,
        pages=answer.pages,
        retries=answer.retries,
    )


def finish(job: Job, runner: Runner, store: Store, outcomes: list[Outcome], before: dict[str, int]) -> Run:
    """Build and publish."""
    seconds = runner.call(build, store, job.universe, job.as_of or job.now)
    publication = runner.call(publish, store, job.home / "published", job.run_id, job.manifest)
    return Run(job, outcomes, publication, before, seconds)


def past_warehouse(job: Job, store: Store, as_of: datetime) -> Path:
    """A warehouse with what was known at an instant, made anew in the replay's own folder."""
    path = job.home / "warehouse.duckdb"
    path.parent.mkdir(parents=True, exist_ok=True)
    for old in (path, path.with_name(path.name + ".wal")):
        old.unlink(missing_ok=True)
    store.snapshot(path, as_of)
    return path
