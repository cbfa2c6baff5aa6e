"""Ask every source: from where it left off, whole where history was restated, then side by side."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from flows import calendars, spool
from flows.crosscheck import checked
from flows.intake import RefusedError, take_in
from flows.job import Job
from flows.ledger import Outcome, land_attempts, load_landed
from flows.plan import KINDS, requests
from flows.progress import Progress
from flows.resume import Known, is_restated, known, resume
from flows.runners import Runner, ignore
from flows.sources import Answer, Request, SourceError, fetch
from flows.start import UniverseError
from flows.unchanged import answer_hashes, unchanged
from flows.universe import Universe
from schemas import Table
from schemas.table import name
from warehouse.store import Store

Note = Callable[[Request, Outcome | SourceError], None]


class NothingUsableError(RuntimeError):
    """No source of the study's pair answered: what is stored and published stays as it was."""


def fetched(job: Job, runner: Runner) -> list[Outcome]:
    """Ask every source; refuse to go on when the study's own pair has no answer at all.

    What they answer is on disk, in the landing zone's temporary folder, until `land` has landed it.
    """
    stored = stored_before(job)
    wanted = requests(job.universe, job.run_id, job.now, job.since, job.until, job.only)
    if not wanted and job.only != KINDS:
        raise UniverseError(f"the universe has no source of {' or '.join(job.only)}; leave --only out")
    asked = resume(wanted, stored, job.run_id)
    marks = answer_hashes(asked, job.now)
    same = unchanged(asked, marks, stored, job.universe, job.now)
    fresh = [request for request in asked if request.load_id not in same]
    found = [*same.values(), *ask(fresh, job, runner, Progress(fresh).note)]
    by_id = {one.request.load_id: replace(one, answer=marks.get(one.request.load_id)) for one in found}
    outcomes = [by_id[request.load_id] for request in asked]  # in the same order whatever was read again
    outcomes = compared(outcomes, stored, job, runner)
    refuse_without_pair(job, outcomes)
    return outcomes


def stored_before(job: Job) -> Known:
    """What is stored already; what a killed run left in the landing zone is loaded first."""
    if not job.warehouse.exists() and not job.zone.exists():
        return Known()
    with Store(job.warehouse) as store:
        load_landed(store, job.zone)
        calendars.remember(store, job.universe.fingerprint)
        return known(store, job.now, (job.since, job.until or job.now.date()) if job.since else None)


def ask(asked: list[Request], job: Job, runner: Runner, note: Note = ignore) -> list[Outcome]:
    """One outcome a request, failed or not; `note` is told of each as it comes."""

    def done(request: Request, result: Outcome | SourceError) -> None:
        if isinstance(result, SourceError):
            forget_frames(result)
        note(request, result)

    return [
        failed(request, job.now, result) if isinstance(result, SourceError) else result
        for request, result in zip(asked, runner.map(attempt, asked, job.zone, done=done), strict=True)
    ]


def failed(request: Request, started: datetime, error: SourceError) -> Outcome:
    """The outcome of a request that gave nothing."""
    took = {"seconds": error.seconds, "pages": error.pages, "retries": error.retries}
    return Outcome(request, started, error=error, **took)  # type: ignore[arg-type]


def forget_frames(error: BaseException | None) -> None:
    """Let go of what an error's tracebacks hold: the answer that it was raised over."""
    while error:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__


def compared(outcomes: list[Outcome], stored: Known, job: Job, runner: Runner) -> list[Outcome]:
    """The outcomes, and what came along, against what is stored and against an asset's other sources."""
    outcomes = whole_where_restated(outcomes, stored, job, runner)
    return checked(job.universe, [one for o in outcomes for one in (o, *o.also)], stored)


def whole_where_restated(outcomes: list[Outcome], stored: Known, job: Job, runner: Runner) -> list[Outcome]:
    """The outcomes; a source that restated what is stored is asked for its whole history instead.

    If that fails, its newer bars are left too: beside bars of the old basis they would make a jump that never
    was. What is stored stays as it is, so the next run sees the restatement again and asks again.
    """
    again = {
        n: replace(outcome.request, since=None, until=None)
        for n, outcome in enumerate(outcomes)
        if outcome.part and is_restated(outcome.request, outcome.part, stored)
    }
    asked = list(again.values())
    whole = dict(zip(again, ask(asked, job, runner, Progress(asked).note), strict=True))
    return [after(outcome, whole[n]) if n in whole else outcome for n, outcome in enumerate(outcomes)]


def after(first: Outcome, whole: Outcome) -> Outcome:
    """The second of two attempts, with what both took; a failure says what was left because of it."""
    if whole.error:
        left = "its history was restated and is needed whole, so no newer bar was stored either"
        whole.error.args = (f"{whole.error}; {left}, the next run asks again",)
    return replace(
        whole,
        started_at=first.started_at,
        seconds=first.seconds + whole.seconds,
        pages=first.pages + whole.pages,
        retries=first.retries + whole.retries,
    )


def refuse_without_pair(job: Job, outcomes: list[Outcome]) -> None:
    """Land the attempts and stop, if the study's own pair has no answer at all."""
    study = job.universe.study
    asked = of_assets(job.universe, outcomes, study.target, study.benchmark)
    is_other = bool(outcomes) and not asked and job.only != KINDS
    if not is_other and all(outcome.error for outcome in asked):
        land_attempts(outcomes, job.zone, job.run_id)
        raise NothingUsableError(
            f"no source of {study.target} and {study.benchmark} gave anything, nothing was changed: "
            f"{why(outcomes, asked)}"
        )


def of_assets(universe: Universe, outcomes: list[Outcome], *assets: str) -> list[Outcome]:
    """The outcomes of the sources of some assets."""
    sources = {
        (source.source, source.symbol, source.interval)
        for one in assets
        for source in universe.assets_by_id[one].sources
    }
    return [
        outcome
        for outcome in outcomes
        if (outcome.request.source, outcome.request.item, outcome.request.interval) in sources
    ]


def why(outcomes: list[Outcome], pair: list[Outcome]) -> str:
    """The reasons of the pair's sources, or one question where no provider at all could be reached."""
    live = [outcome for outcome in outcomes if outcome.request.is_live]
    if live and all(outcome.error and outcome.error.is_unreachable for outcome in live):
        return (
            f"none of {len({o.request.source for o in live})} providers can be reached; is there a network?"
        )
    return "; ".join(dict.fromkeys(str(outcome.error) for outcome in pair))


def attempt(request: Request, zone: Path) -> Outcome:
    """Fetch and check one request; its rows wait on disk.

    Raises:
        SourceError: if the source gave nothing that may be stored.
        LandingError: if the disk refuses.
    """
    started, clock = datetime.now(UTC), time.perf_counter()
    answer = None
    try:
        answer = fetch(request)
        part = spool.keep(take_in(request, answer), request, zone)
    except SourceError as error:
        error.seconds = time.perf_counter() - clock
        if answer:
            error.pages, error.retries = answer.pages, answer.retries
        keep_refused(error, request, zone)
        raise
    return Outcome(
        request,
        started,
        part,
        seconds=time.perf_counter() - clock,
        pages=answer.pages,
        retries=answer.retries,
        note=answer.note,
        also=tuple(
            beside(request, started, zone, *other) for other in answer.others.items() if other[1].height
        ),
    )


def beside(
    request: Request, started: datetime, zone: Path, model: type[Table], rows: pl.DataFrame
) -> Outcome:
    """What came along for another table, checked on its own: its faults do not cost the request its rows."""
    own = replace(request, model=model, interval=None, load_id=f"{request.load_id}-{name(model)}")
    try:
        return Outcome(own, started, spool.keep(take_in(own, Answer(rows)), own, zone))
    except SourceError as error:
        keep_refused(error, own, zone)
        forget_frames(error)
        return Outcome(own, started, error=error)


def keep_refused(error: SourceError, request: Request, zone: Path) -> None:
    """What was refused as a whole waits on disk too."""
    if isinstance(error, RefusedError) and error.batch:
        error.part, error.batch = spool.keep(error.batch, request, zone), None
