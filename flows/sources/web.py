"""Plain HTTP for the providers that have no client library of their own, over httpx."""

import re
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextvars import ContextVar, copy_context
from functools import cache
from typing import TypeVar

import httpx

from flows.sources.answers import FetchError, Form, judge
from flows.sources.policy import Policy, current

T = TypeVar("T")
MAX_REDIRECTS = 3
WHAT: ContextVar[str] = ContextVar("what", default="source")  # source and item, where a client sits between
NOWHERE = re.compile(  # how the three clients say that no connection was made
    r"name or service not known|failure in name resolution|nodename nor servname|could not resolve \w+"
    r"|connection refused|could not connect|network is unreachable|no route to host"
    r"|all connection attempts failed",
    re.IGNORECASE,
)
AGENT = {"User-Agent": "comove/0.1"}


def get(
    what: str,
    url: str,
    form: Form,
    params: Mapping[str, str] | None = None,
    check: Callable[[str], None] | None = None,
) -> str:
    """The text of a URL, asked for politely.

    Args:
        what: Source and item, for errors; the source is its first word.
        url: Address without its parameters; errors name neither, because parameters may hold a key.
        form: What the answer should be.
        params: Query parameters.
        check: Looks into the text and raises a `FetchError` that may heal, so that it is asked again.

    Raises:
        FetchError: if there is no such answer.
    """
    policy = current()

    def attempt() -> str:
        text = judge(what, *in_time(what, policy, lambda: read(what, policy, url, params)), form)
        if check:
            check(text)
        return text

    return policy.send(what.split(" ", 1)[0], url, attempt)


def read(
    what: str, policy: Policy, url: str, params: Mapping[str, str] | None
) -> tuple[int, Mapping[str, str], bytes]:
    """Status, headers and body of one request, within the policy's time and size."""
    try:
        with (
            httpx.Client(
                timeout=policy.idle_seconds,
                follow_redirects=True,
                max_redirects=MAX_REDIRECTS,
                headers=AGENT,
                verify=trusted(policy.ca_file),
            ) as client,
            client.stream("GET", policy.route(url), params=params) as answer,
        ):
            pieces = within(what, policy, answer.iter_bytes())
            return answer.status_code, answer.headers, pieces
    except httpx.TimeoutException as error:
        raise timed_out(what) from error
    except httpx.TooManyRedirects as error:
        raise endless(what) from error
    except httpx.HTTPError as error:
        raise broken(what, error) from error


def in_time(what: str, policy: Policy, attempt: Callable[[], T]) -> T:
    """What an attempt gives, if it gives it within the policy's time.

    Clients only bound the silence between two bytes, so headers that drip would hold them for ever. A late
    attempt is left to itself; its thread does not keep the process alive.

    Raises:
        FetchError: if it takes longer.
    """
    done: Future[T] = Future()

    def run() -> None:
        try:
            done.set_result(attempt())
        except BaseException as error:  # whatever it is, it is raised in the thread that waits
            done.set_exception(error)

    threading.Thread(target=copy_context().run, args=(run,), daemon=True).start()
    try:
        return done.result(policy.total_seconds)
    except FutureTimeoutError as error:
        raise timed_out(what) from error


@cache
def trusted(ca_file: str | None) -> ssl.SSLContext:
    """The certificates to trust, read once."""
    return ssl.create_default_context(cafile=ca_file) if ca_file else httpx.create_ssl_context()


def within(what: str, policy: Policy, pieces: Iterable[bytes]) -> bytes:
    """The pieces of a body together, unless they take too long or grow too large."""
    body, until = bytearray(), time.monotonic() + policy.total_seconds
    for piece in pieces:
        body += piece
        if time.monotonic() > until:
            raise timed_out(what)
        if len(body) > policy.max_bytes:
            raise FetchError(f"{what}: the answer is larger than {policy.max_bytes >> 20} MB; ask for less")
    return bytes(body)


def timed_out(what: str) -> FetchError:
    """Silence, or a body that drips."""
    return FetchError(f"{what}: no whole answer in time; run again later", is_transient=True, is_down=True)


def endless(what: str) -> FetchError:
    """A redirect that never arrives."""
    return FetchError(f"{what}: redirects without end; check whether the provider moved", is_down=True)


def broken(what: str, error: BaseException) -> FetchError:
    """A connection that failed; one whose certificate does not hold is not tried again.

    Where there was no connection at all, it says so.
    """
    if "certificate" in str(error).lower():
        return FetchError(
            f"{what}: the certificate does not hold; check the machine's clock and its proxy",
            is_down=True,
        )
    kind = type(error).__name__
    if reason := NOWHERE.search(str(error)):
        return FetchError(
            f"{what}: cannot be reached ({reason[0].lower()}); check the network",
            is_transient=True,
            is_down=True,
            is_unreachable=True,
        )
    return FetchError(
        f"{what}: the connection broke ({kind}); run again later", is_transient=True, is_down=True
    )
