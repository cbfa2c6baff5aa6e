"""Every adapter, through its real client, against everything that a provider may say instead of data."""

import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from adapters import CASES, Case
from clock import Clock
from server import Provider, Said

from flows.sources import Answer, SourceError, fetch
from flows.sources import policy as policies
from flows.sources.exchange import opened
from flows.sources.policy import Policy

ATTEMPTS = 3
HTML = "<!DOCTYPE html><html><body>Sign in to the hotel's network</body></html>"
SLOW = {
    "timeout": lambda good: Said(good, silence=1.5),
    "slow drip": lambda _: Said("[" + " " * 60, drip=0.03),
    "dripping headers": lambda good: Said(good, header_drip=0.03),
}
each_adapter = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "_"))

# what is answered, what the error says, and whether it may heal; made from the good answer's text and type
FAILURES: dict[str, tuple[Callable[[str, str], Said], str, bool]] = {
    "429 with Retry-After": (
        lambda *_: Said("Too Many Requests\r\n", 429, {"Retry-After": "7"}, "text/plain"),
        "HTTP 429",
        True,
    ),
    "429": (lambda *_: Said('{"code": -1003}', 429), "HTTP 429", True),
    "451": (lambda *_: Said('{"msg": "restricted location"}', 451), "HTTP 451", False),
    "403": (lambda *_: Said("<html>WAF</html>", 403, content_type="text/html"), "HTTP 403", False),
    "400": (
        lambda *_: Said('<error code="400" message="Bad Request."/>', 400, content_type="text/xml"),
        "HTTP 400",
        False,
    ),
    "500": (lambda *_: Said("oops", 500), "HTTP 500", True),
    "cut body": (
        lambda good, kind: Said(good.rstrip()[: len(good) // 2].rstrip(">\n"), content_type=kind),
        "breaks off",
        True,
    ),
    "cut connection": (
        lambda good, kind: Said(good, content_type=kind, missing=10),
        "the connection broke",
        True,
    ),
    "empty body": (lambda *_: Said(""), "an empty body", True),
    "redirect loop": (
        lambda *_: Said("", 302, {"Location": "/loop/api/v3/global"}),
        "redirects without end",
        False,
    ),
}


def make_good(case: Case) -> str:
    """Some text as the provider would send."""
    asked = {
        "symbols": "A,B",
        "start": "2026-03-01T00:00:00.000Z",
        "end": "2026-03-02T00:00:00.000Z",
        "pair": "X",
    }
    asked |= {"startTime": "0", "limit": "9", "realtime_start": "2025-01-01"}
    if case.name in {"bitstamp", "coinbase"}:
        asked |= {"start": "0", "end": "9999999999"}
    return case.body(asked)


def said(case: Case) -> Answer:
    answer = fetch(case.request)
    for row, expected in zip(answer.rows.to_dicts(), case.rows, strict=True):
        assert {key: row.get(key) for key in expected} == expected
    return answer


@pytest.fixture(autouse=True)
def _key(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "fred_vintages" in request.node.name:
        monkeypatch.setenv("FRED_API_KEY", "0123456789abcdef0123456789abcdef")


@each_adapter
def test_happy_path(case: Case, provider: Provider, clock: Clock) -> None:
    case.serve(provider)
    answer = said(case)
    assert answer.retries == 0
    assert clock.slept == []
    assert len(provider.asked(case.path)) == case.asks


@each_adapter
@pytest.mark.parametrize("failure", FAILURES)
def test_failure_stores_nothing_and_asks_again_only_what_may_heal(
    case: Case, failure: str, provider: Provider, clock: Clock
) -> None:
    make, words, may_heal = FAILURES[failure]
    case.serve(provider, make(make_good(case), case.content_type))
    provider.routes["/loop"] = Said("", 302, {"Location": "/loop"})
    with pytest.raises(SourceError, match=words) as caught:
        fetch(case.request)
    error = caught.value
    assert error.is_transient == may_heal
    assert str(error).startswith(case.request.source)
    assert "\n" not in str(error)
    if "redirect" not in failure:
        assert len(provider.asked(case.path)) == (ATTEMPTS if may_heal else 1)
    assert error.retries == (ATTEMPTS - 1 if may_heal else 0)
    if failure == "429 with Retry-After":
        assert all(waited >= 7 for waited in clock.slept)


@each_adapter
@pytest.mark.parametrize("failure", [name for name, (_, _, may_heal) in FAILURES.items() if may_heal])
def test_second_attempt_is_a_request_and_brings_the_rows(
    case: Case, failure: str, provider: Provider
) -> None:
    make, _, _ = FAILURES[failure]
    case.serve(provider, [make(make_good(case), case.content_type), case.good])
    answer = said(case)
    assert answer.retries == 1
    assert len(provider.asked(case.path)) == case.asks + 1


@each_adapter
@pytest.mark.parametrize("failure", SLOW)
def test_patience_ends(
    case: Case, failure: str, provider: Provider, make_policy: Callable[..., Policy]
) -> None:
    case.serve(provider)
    said(case)  # so that markets and crumbs are there, and only the answer itself is slow
    provider.seen.clear()
    provider.routes[case.path] = SLOW[failure](make_good(case))
    impatient = make_policy(provider.url, attempts=2, idle_seconds=0.2, total_seconds=0.4)
    started = time.perf_counter()
    with policies.use(impatient), pytest.raises(SourceError, match="no whole answer in time") as caught:
        fetch(case.request)
    assert time.perf_counter() - started < 3
    assert caught.value.is_transient
    while len(provider.asked(case.path)) < 2 and time.perf_counter() - started < 5:
        time.sleep(0.02)  # on a busy machine the server may read a request after the client has given up
    assert len(provider.asked(case.path)) == 2


@each_adapter
@pytest.mark.parametrize("address", ["refused", "unknown"])
def test_without_a_connection_one_short_retry_and_the_source_is_left_alone(
    case: Case, address: str, clock: Clock, make_policy: Callable[..., Policy]
) -> None:
    opened.cache_clear()
    where = f"http://127.0.0.1:{closed_port()}" if address == "refused" else "http://nosuch.invalid"
    with policies.use(make_policy(where)):
        with pytest.raises(SourceError, match=r"cannot be reached \(.*\); check the network") as caught:
            fetch(case.request)
        assert (caught.value.is_unreachable, caught.value.retries) == (True, 1)
        assert sum(clock.slept) <= 2
        with pytest.raises(SourceError, match=r"left alone \(the last: .* cannot be reached") as caught:
            fetch(case.request)
        assert (caught.value.is_unreachable, caught.value.retries) == (True, 0)


def closed_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@each_adapter
def test_web_page_with_status_200(case: Case, provider: Provider) -> None:
    case.serve(provider, Said(HTML, content_type="text/html"))
    words = "shows no meeting" if case.is_page else "a web page instead of data"
    with pytest.raises(SourceError, match=words) as caught:
        fetch(case.request)
    assert caught.value.is_transient != case.is_page


@each_adapter
def test_content_type_is_not_trusted_either_way(case: Case, provider: Provider) -> None:
    case.serve(provider, lambda asked: Said(case.body(asked), content_type="application/octet-stream"))
    said(case)


@each_adapter
def test_redirect_is_followed(case: Case, provider: Provider) -> None:
    def moved(asked: dict[str, str]) -> Said:
        from urllib.parse import urlencode

        return Said("", 302, {"Location": f"/moved?{urlencode(asked)}"})

    case.serve(provider, moved)
    provider.routes = {"/moved": case.good, **provider.routes}
    said(case)


@each_adapter
def test_certificate_that_nobody_vouches_for(
    case: Case, secure_provider: Provider, make_policy: Callable[..., Policy]
) -> None:
    case.serve(secure_provider)
    with (
        policies.use(make_policy(secure_provider.url)),
        pytest.raises(SourceError, match="certificate") as caught,
    ):
        fetch(case.request)
    assert not caught.value.is_transient
    assert secure_provider.seen == []


@each_adapter
def test_certificate_that_is_trusted(
    case: Case, secure_provider: Provider, certificate: Path, make_policy: Callable[..., Policy]
) -> None:
    case.serve(secure_provider)
    with policies.use(make_policy(secure_provider.url, ca_file=str(certificate))):
        said(case)


def test_every_live_source_is_here() -> None:
    from flows.sources import SOURCES

    assert {case.request.provider for case in CASES} == set(SOURCES) - {"files"}
