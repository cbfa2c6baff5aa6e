"""What follows a run: alerts and, in a Prefect run, artifacts. None of it can fail what was published."""

from dataclasses import replace

from flows import alerts, artifacts
from flows.job import Job
from flows.lock import LockedError
from flows.pipeline import Run, run
from flows.runners import Runner


def observed(job: Job, runner: Runner, *, is_prefect: bool) -> Run:
    """Run, then tell what is new; a run that fails is told too, and raises as it did.

    A replay tells nothing: what it shows was news once. Neither does a run that another one locked out.
    """
    channels = alerts.channels(has_events=is_prefect)
    try:
        done = run(job, runner)
    except LockedError:
        raise
    except Exception as error:
        for trouble in alerts.tell(alerts.failure(error), job, channels, is_failure=True):
            error.add_note(trouble)
        raise
    troubles = [] if job.as_of else alerts.tell(alerts.facts_of(done), done.job, channels)
    if is_prefect:
        troubles += left_artifacts(done)
    return replace(done, troubles=done.troubles + troubles)


def left_artifacts(done: Run) -> list[str]:
    """Leave the artifacts; if Prefect refuses them, the run says so."""
    try:
        artifacts.leave(done)
    except Exception as error:
        return [f"artifacts could not be made ({type(error).__name__}: {error})"]
    return []
