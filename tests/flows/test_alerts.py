"""Each alert is told once to each channel, arrives at a webhook, and never fails a run."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from flows import aftermath, alerts, universe
from flows.aftermath import observed
from flows.alerts import Alert, Channel, Fact, news, tell
from flows.fetching import NothingUsableError
from flows.job import Job
from flows.lock import LockedError, one_writer
from flows.rebuild import rebuild
from flows.runners import Plain
from tests.flows.webhook import Webhook
from warehouse.landing import LandingError

LINKED = Fact("regime", "ETH/RUT", "linked", "as of today")
UNLINKED = replace(LINKED, value="unlinked")
STALE = Fact("stale", "RSP", "stale", "RSP: 3 sessions behind")


@pytest.fixture
def blocks(webhook: Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    """`custom-webhook/test` is a notification block of Prefect that posts to the local server."""
    from prefect.blocks.core import Block
    from prefect.blocks.notifications import CustomWebhookNotificationBlock

    data = {"subject": "{{subject}}", "body": "{{body}}"}
    block = CustomWebhookNotificationBlock(name="test", url=webhook.url, json_data=data)
    monkeypatch.setattr(Block, "load", lambda name: {"custom-webhook/test": block}[name])
    monkeypatch.setenv("COMOVE_ALERTS", " custom-webhook/test ")


@pytest.fixture
def job(tiny_universe: Callable[[Path], Path], tmp_path: Path) -> Job:
    path = tiny_universe(tmp_path)
    return Job(universe.load(path), tmp_path / "data", universe_path=path)


def again(job: Job) -> Job:
    """The next run of the same."""
    return Job(job.universe, job.data, universe_path=job.universe_path)


def test_a_first_reading_is_no_change() -> None:
    assert news([LINKED], {}, "link") == []


def test_a_change_is_told_with_both_values_and_the_link() -> None:
    told = news([UNLINKED], {LINKED.key: "linked"}, "https://page")
    assert [one.subject for one in told] == ["comove: regime of ETH/RUT: linked -> unlinked"]
    assert told[0].body == "as of today\nhttps://page"


def test_a_state_that_is_there_is_told_the_first_time() -> None:
    assert [one.subject for one in news([STALE], {}, "link")] == ["comove: stale: RSP"]
    assert news([STALE], {STALE.key: "stale"}, "link") == []


def test_each_channel_hears_each_alert_once(job: Job) -> None:
    heard: dict[str, list[str]] = {"a": [], "b": []}
    both = [Channel(name, lambda alert, name=name: heard[name].append(alert.subject)) for name in heard]
    for facts in (
        [LINKED, STALE],
        [LINKED, STALE],
        [UNLINKED, STALE],
        [UNLINKED],
        [UNLINKED, STALE],
        [UNLINKED, STALE],
    ):
        assert tell(facts, job, both) == []
    wanted = ["comove: stale: RSP", "comove: regime of ETH/RUT: linked -> unlinked", "comove: stale: RSP"]
    assert heard == {"a": wanted, "b": wanted}


@pytest.mark.parametrize("content", ['{"events": ', "[]", "null", '{"a": 7}', "\xff"])
def test_a_broken_memory_is_begun_anew_and_named(content: str, job: Job) -> None:
    heard: list[str] = []
    channel = Channel("a", lambda alert: heard.append(alert.subject))
    job.data.mkdir(parents=True)
    (job.data / alerts.MEMORY).write_text(content, encoding="latin-1")
    (trouble,) = tell([LINKED, STALE], job, [channel])
    assert str(job.data / alerts.MEMORY) in trouble
    assert "begun anew" in trouble
    assert tell([LINKED, STALE], job, [channel]) == []
    assert heard == ["comove: stale: RSP"]


def test_a_channel_that_fails_is_told_again_and_the_others_are_not(job: Job) -> None:
    heard: list[str] = []
    is_down = True

    def shaky(alert: Alert) -> None:
        if is_down:
            raise ConnectionError("refused")
        heard.append(f"shaky {alert.subject}")

    both = [Channel("shaky", shaky), Channel("sure", lambda alert: heard.append(f"sure {alert.subject}"))]
    tell([LINKED], job, both)
    troubles = tell([UNLINKED, STALE], job, both)
    assert [trouble.split(":")[0] for trouble in troubles] == ["shaky", "shaky"]
    is_down = False
    assert tell([UNLINKED, STALE], job, both) == []
    change = "comove: regime of ETH/RUT: linked -> unlinked"
    assert heard == [
        f"sure {change}",
        "sure comove: stale: RSP",
        f"shaky {change}",
        "shaky comove: stale: RSP",
    ]


@pytest.mark.usefixtures("blocks")
def test_a_run_tells_the_webhook_once(job: Job, webhook: Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMOVE_PAGE_URL", "https://desk.example/comove")
    monkeypatch.setattr(alerts, "STALE", "SELECT 'RSP', '3 sessions behind'")
    for _ in range(2):
        assert observed(again(job), Plain(), is_prefect=False).troubles == []
    assert webhook.posted == [
        {"subject": "comove: stale: RSP", "body": "RSP: 3 sessions behind\nhttps://desk.example/comove"}
    ]


@pytest.mark.slow
@pytest.mark.usefixtures("blocks")
def test_a_change_of_regime_and_of_signal_reaches_the_webhook(
    job: Job, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    observed(again(job), Plain(), is_prefect=False)
    reading = "SELECT 'said', DATE '2025-11-20', 'linked', 'watch', 'why' WHERE $1 = 'ETH' AND $2 = 'RUT'"
    monkeypatch.setattr(
        alerts, "LAST_READING", reading.replace("linked", "unlinked").replace("watch", "neutral")
    )
    observed(again(job), Plain(), is_prefect=False)
    webhook.posted.clear()
    monkeypatch.setattr(alerts, "LAST_READING", reading)
    observed(again(job), Plain(), is_prefect=False)
    assert [one["subject"] for one in webhook.posted] == [
        "comove: regime of ETH/RUT: unlinked -> linked",
        "comove: signal of ETH/RUT: neutral -> watch",
    ]
    assert webhook.posted[0]["body"].endswith("/data/report/index.html")


@pytest.mark.slow
@pytest.mark.usefixtures("blocks")
def test_a_failed_run_is_told_once_until_one_succeeds(
    job: Job, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    for is_broken in (True, True, False, True):
        with monkeypatch.context() as broken:
            if is_broken:
                broken.setattr(aftermath, "run", raiser(NothingUsableError("no source\nanswered")))
            with pytest.raises(NothingUsableError) if is_broken else nullcontext():
                observed(again(job), Plain(), is_prefect=False)
    failures = [one for one in webhook.posted if one["subject"] == "comove: failed: run"]
    assert len(failures) == 2
    assert failures[0]["body"].startswith("NothingUsableError: no source answered\n")


@pytest.mark.slow
@pytest.mark.usefixtures("blocks")
def test_a_failed_run_does_not_make_old_news_new(
    job: Job, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alerts, "STALE", "SELECT 'RSP', '3 sessions behind'")
    observed(again(job), Plain(), is_prefect=False)
    with monkeypatch.context() as broken:
        broken.setattr(aftermath, "run", raiser(LandingError("disk full")))
        with pytest.raises(LandingError):
            observed(again(job), Plain(), is_prefect=False)
    observed(again(job), Plain(), is_prefect=False)
    assert [one["subject"] for one in webhook.posted] == ["comove: stale: RSP", "comove: failed: run"]


@pytest.mark.usefixtures("blocks")
def test_a_failed_rebuild_is_told_as_a_failed_run_is(job: Job, webhook: Webhook) -> None:
    observed(again(job), Plain(), is_prefect=False)
    webhook.posted.clear()
    landed = next((job.zone / "raw.macro").rglob("*.parquet"))
    landed.write_bytes(landed.read_bytes() + b"x")
    with pytest.raises(LandingError):
        rebuild(again(job))
    with one_writer(job.data, 0), pytest.raises(LockedError):
        rebuild(again(job))
    assert [one["subject"] for one in webhook.posted] == ["comove: failed: run"]
    assert landed.name in webhook.posted[0]["body"]


def raiser(error: Exception) -> Callable[..., None]:
    def refuse(*arguments: object) -> None:
        raise error

    return refuse


@pytest.mark.slow
@pytest.mark.usefixtures("blocks")
def test_a_webhook_that_refuses_does_not_fail_the_run(
    job: Job, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alerts, "STALE", "SELECT 'RSP', '3 sessions behind'")
    webhook.status = 500
    done = observed(again(job), Plain(), is_prefect=False)
    assert done.publication.database.exists()
    assert len(done.troubles) == 1
    assert "custom-webhook/test" in done.troubles[0]
    webhook.status = 200
    assert observed(again(job), Plain(), is_prefect=False).troubles == []
    assert len(webhook.posted) == 1


@pytest.mark.slow
@pytest.mark.usefixtures("blocks")
def test_a_replay_tells_nothing(job: Job, webhook: Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    done = observed(again(job), Plain(), is_prefect=False)
    webhook.posted.clear()
    monkeypatch.setattr(alerts, "STALE", "SELECT 'RSP', '3 sessions behind'")
    monkeypatch.setattr(aftermath, "left_artifacts", None)  # of the live copy, in Prefect
    observed(replace(again(job), as_of=done.job.now), Plain(), is_prefect=True)
    assert webhook.posted == []


@pytest.mark.slow
def test_without_channels_nothing_is_remembered(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COMOVE_ALERTS", raising=False)
    observed(again(job), Plain(), is_prefect=False)
    assert not (job.data / alerts.MEMORY).exists()
