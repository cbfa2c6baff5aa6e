"""How fast, how long, how often, and when not at all."""

import json
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from adapters import CASES, GECKO, VINTAGES
from clock import Clock
from server import Provider, Said, error
from world import FRIDAY, START, World

from flows.sources import SourceError, fetch
from flows.sources.answers import FetchError, retry_after
from flows.sources.bucket import Bucket
from flows.sources.exchange import opened
from flows.sources.policy import Policy
from flows.sources.secret import masked
from warehouse.store import Store

KEY = "0123456789abcdef0123456789abcdef"


def test_bucket_gives_a_second_at_once_and_then_the_rate(clock: Clock) -> None:
    bucket = Bucket(2.0, clock)
    waits = []
    for _ in range(5):
        waits.append(bucket.take())
        clock.now += waits[-1]
    assert waits == [0, 0, 0.5, 0.5, 0.5]
    clock.now += 60
    assert [bucket.take() for _ in range(3)] == [0, 0, 0.5]


def test_waits_double_up_to_the_longest(make_policy: Callable[..., Policy], clock: Clock) -> None:
    policy = make_policy("", attempts=6, wait_seconds=1.0, max_wait_seconds=6.0)

    def fail() -> None:
        raise FetchError("x", is_transient=True)

    with pytest.raises(FetchError):
        policy.send("x", "https://x.test/", fail)
    floors = [1, 2, 4, 6, 6]
    assert all(low <= waited <= low + 1 for low, waited in zip(floors, clock.slept, strict=True))
    assert len({round(waited % 1, 6) for waited in clock.slept[:3]}) > 1  # jitter


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "Sat, 21 Nov 2026 08:00:30 GMT", "date": "Sat, 21 Nov 2026 08:00:00 GMT"}, 30.0),
        ({"retry-after": "Sat, 21 Nov 2026 08:00:30 GMT"}, None),
        ({"retry-after": "soon"}, None),
        ({}, None),
    ],
)
def test_retry_after_in_both_forms(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


def test_provider_that_wants_an_hour_is_left_for_the_next_run(provider: Provider, clock: Clock) -> None:
    GECKO.serve(provider, Said("{}", 429, {"Retry-After": "3600"}))
    with pytest.raises(SourceError, match="HTTP 429"):
        fetch(GECKO.request)
    assert (len(provider.seen), clock.slept) == (1, [])


def test_provider_that_wants_an_hour_is_asked_by_nobody_until_then(provider: Provider, clock: Clock) -> None:
    GECKO.serve(provider, [Said("{}", 429, {"Retry-After": "3600"}), GECKO.good])
    with pytest.raises(SourceError, match="HTTP 429"):
        fetch(GECKO.request)
    clock.now += 3599
    with pytest.raises(SourceError, match=r"left alone \(the last: coingecko \*: HTTP 429"):
        fetch(GECKO.request)
    assert len(provider.seen) == 1
    clock.now += 2
    assert fetch(GECKO.request).rows.height == 1


def test_pause_that_a_host_wants_holds_for_all(make_policy: Callable[..., Policy], clock: Clock) -> None:
    policy = make_policy("", attempts=1)

    def busy() -> None:
        raise FetchError("x A: HTTP 429", is_transient=True, retry_after=7.0)

    with pytest.raises(FetchError):
        policy.send("x", "https://x.test/a", busy)
    assert policy.send("y", "https://other.test/", lambda: clock.now) == 0  # another host
    assert policy.send("x", "https://x.test/b", lambda: clock.now) == 7
    assert clock.slept == [7]


def test_request_that_waits_for_its_turn_waits_for_a_pause_too(
    make_policy: Callable[..., Policy], clock: Clock
) -> None:
    policy = make_policy("", rate=1.0)
    policy.send("x", "https://x.test/", lambda: None)

    def sleep(seconds: float) -> None:  # meanwhile another thread is told to slow down
        clock.sleep(seconds)
        if len(clock.slept) == 1:
            policy._buckets["x.test"].pause(30)

    policy.sleep = sleep
    assert policy.send("x", "https://x.test/", lambda: clock.now) == 31


def test_source_that_fails_again_and_again_is_left_alone_and_tried_later(
    provider: Provider, clock: Clock
) -> None:
    GECKO.serve(provider, [*[Said("", 500)] * 9, GECKO.good])
    for _ in range(3):
        with pytest.raises(SourceError, match="HTTP 500"):
            fetch(GECKO.request)
    with pytest.raises(SourceError, match="left alone after 3 failures in a row") as caught:
        fetch(GECKO.request)
    assert not caught.value.is_transient
    assert len(provider.seen) == 9
    clock.now += 301
    assert fetch(GECKO.request).rows.height == 1


def test_requests_under_way_do_not_count_once_the_source_is_left_alone(
    make_policy: Callable[..., Policy],
) -> None:
    policy, together = make_policy("", attempts=1), threading.Barrier(8)

    def fail() -> None:
        together.wait()
        raise FetchError("yahoo X: HTTP 500", is_transient=True, is_down=True)

    def send(_: int) -> str:
        with pytest.raises(FetchError) as caught:
            policy.send("yahoo", "https://x.test/", fail)
        return str(caught.value)

    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(send, range(8)))
    assert told == ["yahoo X: HTTP 500"] * 8
    with pytest.raises(FetchError, match="left alone after 3 failures in a row"):
        policy.send("yahoo", "https://x.test/", fail)


def test_request_that_waits_for_its_turn_is_not_sent_to_a_source_that_went_down(
    make_policy: Callable[..., Policy], clock: Clock
) -> None:
    policy = make_policy("", rate=1.0)
    sent = []

    def gone() -> None:
        sent.append(clock.now)
        raise FetchError("x X: cannot be reached", is_transient=True, is_down=True, is_unreachable=True)

    def sleep(seconds: float) -> None:  # meanwhile another thread finds that there is no connection
        clock.sleep(seconds)
        policy._note("x", FetchError("x Y: cannot be reached", is_down=True, is_unreachable=True))

    policy.sleep = sleep
    with pytest.raises(FetchError, match="left alone"):
        policy.send("x", "https://x.test/", gone)
    assert len(sent) == 1


def test_unknown_symbol_does_not_open_the_circuit(provider: Provider) -> None:
    GECKO.serve(provider, [*[Said("", 404)] * 5, GECKO.good])
    for _ in range(5):
        with pytest.raises(SourceError, match="HTTP 404"):
            fetch(GECKO.request)
    assert fetch(GECKO.request).rows.height == 1


def test_answer_that_never_ends_is_cut_off(provider: Provider, make_policy: Callable[..., Policy]) -> None:
    from flows.sources import policy as policies

    GECKO.serve(provider, Said("[" + " " * 3_000_000))
    with (
        policies.use(make_policy(provider.url, max_bytes=1 << 20)),
        pytest.raises(SourceError, match="larger"),
    ):
        fetch(GECKO.request)


@pytest.mark.parametrize("nth", [0, 1])
def test_key_is_nowhere(
    provider: Provider, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, nth: int
) -> None:
    monkeypatch.setenv("FRED_API_KEY", KEY)
    said = error("fred", 400, nth)
    VINTAGES.serve(provider, Said(f"{said.body} you sent api_key={KEY}", 400, content_type=said.content_type))
    with caplog.at_level(logging.DEBUG), pytest.raises(SourceError, match="HTTP 400") as caught:
        fetch(VINTAGES.request)
    assert f"api_key={KEY}" in provider.seen[0]
    assert KEY not in str(caught.value) + caplog.text
    assert "HTTP Request" in caplog.text  # httpx did log the address


@pytest.mark.parametrize(
    "said",
    [Said(json.dumps({"error": [f"EAPI:Invalid key:{KEY}"]})), Said(f"no {KEY}", 400)],
    ids=["200", "400"],
)
def test_key_that_an_exchange_repeats_is_masked(
    provider: Provider, monkeypatch: pytest.MonkeyPatch, said: Said
) -> None:
    monkeypatch.setenv("KRAKEN_APIKEY", KEY)
    kraken = next(case for case in CASES if case.name == "kraken")
    kraken.serve(provider, said)
    with pytest.raises(SourceError) as caught:
        fetch(kraken.request)
    assert opened("kraken").apiKey == KEY
    assert KEY not in str(caught.value)


def test_key_in_an_answer_of_another_form_is_masked(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRED_API_KEY", KEY)
    strange = json.dumps({"count": KEY, "observations": [{}]})
    VINTAGES.serve(provider, Said(strange))
    with pytest.raises(SourceError, match="another form") as caught:
        fetch(VINTAGES.request)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("is_served", [True, False])
def test_run_writes_its_key_nowhere(
    world: World, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], *, is_served: bool
) -> None:
    monkeypatch.setenv("FRED_API_KEY", KEY)
    monkeypatch.setenv("COINBASEEXCHANGE_APIKEY", KEY)
    series = {"id": "DGS10", "provider": "fred", "unit": "percent", "sign": -1, "release_lag_days": 1}
    lines = [f"{name} = {json.dumps(value)}" for name, value in series.items()]
    world.path.write_text("\n".join([world.path.read_text(), "[[macro]]", *lines]))
    repeated = Said(f"you sent api_key={KEY}, that is {KEY}", 500)
    VINTAGES.serve(world.provider, None if is_served else repeated)
    world.run(FRIDAY, since=START.date())
    assert world.provider.asked(f"api_key={KEY}")
    loads = world.sql("SELECT * FROM ops.loads WHERE source = 'fred'")
    assert loads["status"].to_list() == ["loaded" if is_served else "failed"]
    with Store(world.data / "warehouse.duckdb") as store:
        for table in store.tables():
            assert KEY not in store.con.sql(f"FROM {table}").pl().write_json(), table
    assert KEY not in "".join(capfd.readouterr())
    assert not [
        path for path in world.data.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()
    ]


def test_mask_knows_keys_by_name() -> None:
    assert masked("https://x/?a=1&api_key=s3cret&b=2") == "https://x/?a=1&api_key=***&b=2"


def test_secret_block_serves_within_a_flow(monkeypatch: pytest.MonkeyPatch) -> None:
    from prefect.blocks.system import Secret
    from prefect.context import FlowRunContext

    from flows.sources.secret import secret

    class Block:
        def get(self) -> str:
            return "from the block"

    monkeypatch.setattr(Secret, "load", lambda label: Block() if label == "fred-api-key" else None)
    assert secret("FRED_API_KEY") is None
    monkeypatch.setattr(FlowRunContext, "get", object)
    assert secret("FRED_API_KEY") == "from the block"
