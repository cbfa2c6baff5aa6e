"""Ask every source: from where it left off, whole where history was restated, then side by side."""

import time
from dataclasses import replace
from datetime import UTC, datetime

import polars as pl

from flows.crosscheck import checked
from flows.intake import take_in
from flows.job import Job
from flows.ledger import Outcome, land_attempts, load_landed
from flows.plan import KINDS, requests
from flows.resume import Known, is_restated, known, resume
from flows.runners import Runner
from flows.sources import Answer, Request, SourceError, fetch
from schemas import Table
from schemas.table import name
from warehouse.store import Store


class NothingUsableError(RuntimeError):
    """No source of the study's pair answered: what is stored and published stays as it was."""


def fetched(job: Job, runner: Runner) -> list[Outcome]:
    """Ask every source; refuse to go on when the study's own pair has no answer at all."""
    stored = stored_before(job)
    wanted = requests(job.universe, job.run_id, job.now, job.since, job.until, job.only)
    asked = resume(wanted, stored, job.run_id)
    outcomes = whole_where_restated(ask(asked, job, runner), stored, job, runner)
    outcomes = checked(job.universe, [one for o in outcomes for one in (o, *o.also)], stored)
    refuse_without_pair(job, outcomes)
    return outcomes


def stored_before(job: Job) -> Known:
    """What is stored already; what a killed run left in the landing zone is loaded first."""
    if not job.warehouse.exists() and not job.zone.exists():
        return Known()
    with Store(job.warehouse) as store:
        load_landed(store, job.zone)
        return known(store, job.now)


def ask(asked: list[Request], job: Job, runner: Runner) -> list[Outcome]:
    """One outcome a request, failed or not."""
    return [
        Outcome(
            request,
            job.now,
            error=answer,
            seconds=answer.seconds,
            pages=answer.pages,
            retries=answer.retries,
        )
        if isinstance(answer, SourceError)
        else answer
        for request, answer in zip(asked, runner.map(attempt, asked), strict=True)
    ]


def whole_where_restated(outcomes: list[Outcome], stored: Known, job: Job, runner: Runner) -> list[Outcome]:
    """The outcomes; a source that restated what is stored is asked for its whole history instead."""
    again = {
        n: replace(outcome.request, since=job.since)
        for n, outcome in enumerate(outcomes)
        if outcome.batch and is_restated(outcome.request, outcome.batch.rows, stored)
    }
    whole = dict(zip(again, ask(list(again.values()), job, runner), strict=True))
    return [whole.get(n, outcome) for n, outcome in enumerate(outcomes)]


def refuse_without_pair(job: Job, outcomes: list[Outcome]) -> None:
    """Land the attempts and stop, if the study's own pair has no answer at all."""
    study = job.universe.study
    pair = {
        (source.source, source.symbol, source.interval)
        for one in (study.target, study.benchmark)
        for source in job.universe.assets_by_id[one].sources
    }
    of_pair = [
        one for one in outcomes if (one.request.source, one.request.item, one.request.interval) in pair
    ]
    is_other = bool(outcomes) and not of_pair and job.only != KINDS
    if not is_other and not any(outcome.batch for outcome in of_pair):
        land_attempts(outcomes, job.zone, job.run_id)
        reasons = "; ".join(dict.fromkeys(str(outcome.error) for outcome in of_pair))
        raise NothingUsableError(
            f"no source of {study.target} and {study.benchmark} gave anything, nothing was changed: {reasons}"
        )


def attempt(request: Request) -> Outcome:
    """Fetch and check one request.

    Raises:
        SourceError: if the source gave nothing that may be stored.
    """
    started, clock = datetime.now(UTC), time.perf_counter()
    answer = None
    try:
        answer = fetch(request)
        batch = take_in(request, answer)
    except SourceError as error:
        error.seconds = time.perf_counter() - clock
        if answer:
            error.pages, error.retries = answer.pages, answer.retries
        raise
    return Outcome(
        request,
        started,
        batch,
        seconds=time.perf_counter() - clock,
        pages=answer.pages,
        retries=answer.retries,
        note=answer.note,
        also=tuple(beside(request, started, *other) for other in answer.others.items() if other[1].height),
    )


def beside(request: Request, started: datetime, model: type[Table], rows: pl.DataFrame) -> Outcome:
    """What came along for another table, checked on its own: its faults do not cost the request its rows."""
    own = replace(request, model=model, interval=None, load_id=f"{request.load_id}-{name(model)}")
    try:
        return Outcome(own, started, take_in(own, Answer(rows)))
    except SourceError as error:
        return Outcome(own, started, error=error)
