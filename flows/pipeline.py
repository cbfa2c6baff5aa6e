"""fetch -> land -> load -> build -> publish -> report, in the order in which a price travels."""

import gc
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from flows import spool
from flows.build import build
from flows.fetching import fetched
from flows.job import Job
from flows.last import refuse_another
from flows.ledger import Outcome, land, load_landed
from flows.lock import one_writer
from flows.runners import Runner
from report.current import current_page
from warehouse.boundary import boundary
from warehouse.landing import landed
from warehouse.publish import Publication, publish
from warehouse.store import Store
from warehouse.transactions import interruption


@dataclass(frozen=True, slots=True)
class Run:
    """What a run did.

    `before` are the digests of every table when it began; `troubles` say what failed after the publication.
    """

    job: Job
    outcomes: list[Outcome]
    publication: Publication
    before: dict[str, str]
    seconds: dict[str, float]
    page: Path | None
    troubles: list[str]

    @property
    def after(self) -> dict[str, str]:
        """The digests of every table as they were published."""
        return self.publication.digests

    @property
    def rows_before(self) -> dict[str, int]:
        """Rows per table when the run began."""
        return {table: int(digest.split(":")[0]) for table, digest in self.before.items()}


def run(job: Job, runner: Runner) -> Run:
    """The whole pipeline; a replay fetches only where nothing was ever landed.

    Raises:
        NothingUsableError: if no source of the study's pair answered; the attempts are landed, the warehouse
            and the publication are untouched.
        UniverseError: if the folder is that of another universe.
        LockedError: if another run is writing to the folder and does not end in time.
    """
    if not gc.get_freeze_count():
        gc.freeze()  # to look through all that was imported again and again takes a twentieth of a run
    with one_writer(job.data, job.wait) as waited, spool.kept(job.zone):
        refuse_another(job)
        return run_alone(job.after(waited), runner)


def run_alone(job: Job, runner: Runner) -> Run:
    """The steps, once nobody else writes to the folder."""
    is_kept = job.warehouse.exists() or any(landed(job.zone))
    outcomes = [] if job.as_of and is_kept else fetched(job, runner)
    boundary("fetched")
    with Store(job.warehouse) as store:
        load_landed(store, job.zone)
        before = store.digests()
        if outcomes:
            runner.call(land, outcomes, store, job.zone, job.run_id, job.now)
            boundary("landed")
            load_landed(store, job.zone)
        if job.as_of is None:
            return finish(job, runner, store, outcomes, before)
        past = past_warehouse(job, store, job.as_of)
    with Store(past) as store:
        return finish(job, runner, store, outcomes, before={})


def finish(job: Job, runner: Runner, store: Store, outcomes: list[Outcome], before: dict[str, str]) -> Run:
    """Build, publish and leave a page."""
    seconds = runner.call(build, store, job.universe, job.now, job.as_of)
    boundary("built")
    publication = runner.call(publish, store, job.home / "published", job.run_id, job.manifest)
    page, troubles = leave_page(job.home, runner)
    return Run(job, outcomes, publication, before, seconds, page, troubles)


def leave_page(home: Path, runner: Runner) -> tuple[Path | None, list[str]]:
    """Render the page from what was published; if that fails, the publication stands and the run says so."""
    try:
        return runner.call(render, home), []
    except Exception as error:  # whatever the page's libraries raise, the data are out already
        if interruption(error):
            raise
        trouble = (
            f"the page could not be rendered ({type(error).__name__}: {error}); what was published is whole"
        )
        return None, [f"{trouble}; look with `python -m report.page --data {home}`"]


def render(home: Path) -> Path:
    """Render the page of a data folder, unless the one that is there shows the same."""
    if (shown := current_page(home)) is not None:
        return shown
    from report import page  # charts take two seconds to import; a run that fails before needs none

    return page.render(home)


def past_warehouse(job: Job, store: Store, as_of: datetime) -> Path:
    """A warehouse with what was known at an instant, made anew in the replay's own folder."""
    path = job.home / "warehouse.duckdb"
    path.parent.mkdir(parents=True, exist_ok=True)
    for old in (path, path.with_name(path.name + ".wal")):
        old.unlink(missing_ok=True)
    store.snapshot(path, as_of)
    return path
