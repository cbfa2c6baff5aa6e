"""Alerts: a change of regime or signal, a stale source, a refused batch, a failed run; each told once.

Where to: the Prefect notification blocks that `COMOVE_ALERTS` names, comma-separated, e.g.
`slack-webhook/comove,sendgrid-email/desk,custom-webhook/ops` (their secrets stay in Prefect), and, in a
Prefect run, events named `comove.<topic>`, for automations. `COMOVE_PAGE_URL` is the page's address.
"""

import json
import os
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.job import Job
from warehouse.files import replace_text
from warehouse.reader import connect

if TYPE_CHECKING:
    from flows.pipeline import Run

MEMORY = "alerts.json"
EVENTS = "events"  # the name of Prefect's events among the channels
CHANGES = ("regime", "signal")  # topics whose value may change; of the others it counts that they are there

LAST_READING = """
SELECT headline, session, regime, state, reason FROM mart.page_as_of
WHERE asset = $1 AND benchmark = $2 AND r IS NOT NULL ORDER BY session DESC LIMIT 1
"""
STALE = """
SELECT asset || ' from ' || source || ' (' || symbol || ', ' || interval || ')',
  coalesce(sessions_behind || ' sessions behind, newest ' || last_session, 'no bar at all')
FROM ops.freshness WHERE is_stale ORDER BY 1
"""
REFUSED = """
SELECT source || ' ' || item, coalesce(error, rows_quarantined || ' rows') FROM ops.loads
WHERE run_id = $1 AND status = 'refused' ORDER BY 1
"""


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that holds after a run: a topic, what it is about, its value, and words for people."""

    topic: str
    about: str
    value: str
    words: str

    @property
    def key(self) -> str:
        """What identifies it from run to run."""
        return f"{self.topic}: {self.about}"


@dataclass(frozen=True, slots=True)
class Alert:
    """What is told."""

    topic: str
    about: str
    subject: str
    body: str


@dataclass(frozen=True, slots=True)
class Channel:
    """Where alerts go; `send` raises if it could not deliver."""

    name: str
    send: Callable[[Alert], Any]


Facts = dict[str, str]


def facts_of(run: "Run") -> list[Fact]:
    """What a run's publication says that is worth an alert, when it is new."""
    study = run.job.universe.study
    pair = f"{study.target}/{study.benchmark}"
    with closing(connect(run.job.home)) as con:
        readings = con.execute(LAST_READING, [study.target, study.benchmark]).fetchall()
        stale = con.execute(STALE).fetchall()
        refused = con.execute(REFUSED, [run.job.run_id]).fetchall()
    found = [Fact("stale", about, "stale", f"{about}: {words}") for about, words in stale]
    found += [Fact("refused", about, "refused", f"{about}: {words}") for about, words in refused]
    for headline, session, regime, state, reason in readings:
        if regime:
            found.append(Fact("regime", pair, regime, f"as of {session}. {headline}"))
        found.append(Fact("signal", pair, state, f"as of {session}: {reason}. {headline}"))
    return found


def failure(error: BaseException) -> list[Fact]:
    """A run that published nothing."""
    return [Fact("failed", "run", "failed", f"{type(error).__name__}: {' '.join(str(error).split())}")]


def news(facts: Iterable[Fact], known: Facts, link: str) -> list[Alert]:
    """The alerts among the facts: a topic of change whose value is another one, any other that is new."""
    return [
        Alert(fact.topic, fact.about, subject(fact, known.get(fact.key)), f"{fact.words}\n{link}")
        for fact in facts
        if (known.get(fact.key, fact.value) != fact.value if fact.topic in CHANGES else fact.key not in known)
    ]


def subject(fact: Fact, before: str | None) -> str:
    """One line."""
    if fact.topic in CHANGES:
        return f"comove: {fact.topic} of {fact.about}: {before} -> {fact.value}"
    return f"comove: {fact.topic}: {fact.about}"


def tell(facts: list[Fact], job: Job, channels: Iterable[Channel], *, is_failure: bool = False) -> list[str]:
    """Send what is new to every channel, and remember what each was told.

    Returns:
        Troubles: a channel that could not be reached, in words; it is told again after the next run.
    """
    path = job.data / MEMORY
    memory, troubles = recalled(path)
    for channel in channels:
        known = memory.get(channel.name, {})
        # a failed run says nothing of the rest, so that stays known; a good one makes the facts anew
        told = dict(known) if is_failure else {}
        alerts = {f"{alert.topic}: {alert.about}": alert for alert in news(facts, known, link(job))}
        for fact in facts:
            try:
                if fact.key in alerts:
                    channel.send(alerts[fact.key])
                told[fact.key] = fact.value
            except Exception as error:
                troubles.append(f"{channel.name}: could not send ({type(error).__name__}: {error})")
                told |= {fact.key: known[fact.key]} if fact.key in known else {}
        memory[channel.name] = told
    try:
        if memory:
            path.parent.mkdir(parents=True, exist_ok=True)  # a first run may have failed before it was there
            replace_text(path, json.dumps(memory, indent=1, sort_keys=True))
    except OSError as error:
        troubles.append(f"{path}: cannot remember what was told ({error}); it will be told again")
    return troubles


def recalled(path: Path) -> tuple[dict[str, Facts], list[str]]:
    """What each channel was told, and what is wrong with the file that says so, which is then begun anew."""
    try:
        memory = json.loads(path.read_text())
        return {channel: {**known} for channel, known in memory.items()}, []
    except FileNotFoundError:
        return {}, []
    except (OSError, ValueError, TypeError, AttributeError) as error:
        said = f"{path}: cannot be read ({type(error).__name__}: {error})"
        return {}, [f"{said}; begun anew, so what holds is told once more and a change may go untold"]


def link(job: Job) -> str:
    """Where the page is."""
    return os.environ.get("COMOVE_PAGE_URL") or page_path(job).as_uri()


def page_path(job: Job) -> Path:
    """The page's file."""
    return (job.home / "report" / "index.html").absolute()


def channels(*, has_events: bool) -> list[Channel]:
    """The blocks that `COMOVE_ALERTS` names, and Prefect's events if a Prefect run is going on."""
    names = [name.strip() for name in os.environ.get("COMOVE_ALERTS", "").split(",") if name.strip()]
    return [Channel(name, block(name)) for name in names] + ([Channel(EVENTS, emit)] if has_events else [])


def block(name: str) -> Callable[[Alert], Any]:
    """Sends through a Prefect notification block, e.g. `slack-webhook/comove`; loaded when there is news."""

    def send(alert: Alert) -> None:
        from prefect.blocks.core import Block  # asks Prefect's server; a run without news need not

        loaded: Any = Block.load(name)
        loaded.notify(alert.body, subject=alert.subject)

    return send


def emit(alert: Alert) -> None:
    """Emit a Prefect event, for automations."""
    from prefect.events import emit_event  # Prefect takes two seconds to import

    emit_event(
        event=f"comove.{alert.topic}",
        resource={"prefect.resource.id": f"comove.{alert.topic}.{alert.about}"},
        payload={"subject": alert.subject, "body": alert.body},
    )
