"""What follows a run: alerts, and in a Prefect run artifacts and lineage; none can undo a publication."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from flows import alerts, artifacts, lineage
from flows.alerts import Channel
from flows.job import Job
from flows.lock import LockedError
from flows.pipeline import Run, run
from flows.runners import Runner


def observed(job: Job, runner: Runner, *, is_prefect: bool) -> Run:
    """Run, then tell what is new; a run that fails is told too, and raises as it did.

    A replay tells nothing and leaves no artifact, for what it shows was news once; nor does a run that was
    locked out.
    """
    channels = alerts.channels(has_events=is_prefect)
    with failure_told(job, channels):
        done = run(job, runner)
    troubles = [] if job.as_of else alerts.tell(alerts.facts_of(done), done.job, channels)
    if is_prefect and not job.as_of:
        troubles += left_artifacts(done)
    return replace(done, troubles=done.troubles + troubles)


@contextmanager
def failure_told(job: Job, channels: Iterable[Channel]) -> Iterator[None]:
    """Whatever ends the block is told to the channels, and raised as it was; a lock-out is no failure."""
    try:
        yield
    except LockedError:
        raise
    except Exception as error:
        for trouble in alerts.tell(alerts.failure(error), job, channels, is_failure=True):
            error.add_note(trouble)
        raise


def left_artifacts(done: Run) -> list[str]:
    """Leave the artifacts and the lineage; if Prefect refuses them, the run says so."""
    try:
        artifacts.leave(done)
        lineage.leave(done)
    except Exception as error:
        return [f"artifacts could not be made ({type(error).__name__}: {error})"]
    return []
