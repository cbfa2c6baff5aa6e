"""One policy for all providers: how fast they are asked, how long we wait, what is asked again, when we stop.

Every HTTP request of every adapter passes through `Policy.once`, most of them by `Policy.send`. Only what may
heal is asked again: time-outs, broken connections, 429, 5xx, and answers that break off or are a web page. A
certificate that does not hold, a 4xx or a redirect loop are final at once.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import urlsplit

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_exponential_jitter

from flows.sources.answers import FetchError, LeftAloneError
from flows.sources.bucket import RATES, Bucket

T = TypeVar("T")


@dataclass(slots=True)
class Meter:
    """What one fetch took: answered requests, and requests that were sent again."""

    pages: int = 0
    retries: int = 0


METER: ContextVar[Meter] = ContextVar("meter")


@contextmanager
def metered() -> Iterator[Meter]:
    """Count the requests of this thread until the block ends."""
    token = METER.set(Meter())
    try:
        yield METER.get()
    finally:
        METER.reset(token)


@dataclass(slots=True)
class Circuit:
    """How often in a row a source was down, and what it said last; `until` when it is left alone if it is."""

    failures: int = 0
    until: float | None = None
    last: str = ""
    is_unreachable: bool = False


@dataclass
class Policy:
    """The limits, and the state of this process towards each host and source.

    Attributes:
        attempts: Requests for one answer, the first included.
        idle_seconds, total_seconds: Longest silence, and longest duration, of one answer.
        wait_seconds, max_wait_seconds: First and longest wait before the next attempt; the wait doubles.
        max_retry_after_seconds: A provider that wants us to wait longer is left alone for that time.
        max_bytes: A larger answer is refused.
        reach_attempts: Requests for one answer where there is no connection at all.
        trip_after, rest_seconds: After so many failures in a row, or one without a connection, a source is
            left alone for so long.
        rate, rates: Requests a second, by default and by host.
        gateways: Hosts that are reached under another address (`https://host:port`).
        ca_file: Certificates to trust instead of the usual ones.
        sleep, clock: How to wait and to tell the time that passed.
    """

    attempts: int = 4
    reach_attempts: int = 2
    idle_seconds: float = 20.0
    total_seconds: float = 60.0
    wait_seconds: float = 1.0
    max_wait_seconds: float = 30.0
    max_retry_after_seconds: float = 120.0
    max_bytes: int = 64 << 20
    trip_after: int = 3
    rest_seconds: float = 300.0
    rate: float = 2.0
    rates: Mapping[str, float] = field(default_factory=lambda: RATES)
    gateways: Mapping[str, str] = field(default_factory=dict)
    ca_file: str | None = None
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    _buckets: dict[str, Bucket] = field(default_factory=dict)
    _circuits: dict[str, Circuit] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def send(self, source: str, url: str, attempt: Callable[[], T], attempts: int | None = None) -> T:
        """Call `attempt`, which sends one request to `url`, until it answers or no longer may heal.

        Raises:
            FetchError: the last failure, or at once where the source was down too often.
        """
        return self.repeat(source, lambda: self.once(source, url, attempt), attempts)

    def repeat(self, source: str, attempt: Callable[[], T], attempts: int | None = None) -> T:
        """Call `attempt`, whose requests wait for their turn by `once`, until it answers or cannot heal.

        Raises:
            FetchError: the last failure, or at once where the source was down too often.
        """
        self._refuse_open_circuit(source)
        retrying = Retrying(
            stop=self._is_enough if attempts is None else stop_after_attempt(attempts),
            retry=retry_if_exception(self._may_heal),
            wait=self._wait,
            sleep=self.sleep,
            before_sleep=count_retry,
            reraise=True,
        )
        try:
            answer: T = retrying(attempt)
        except LeftAloneError:
            raise
        except FetchError as error:
            self._note(source, error if error.is_down else None)
            raise
        self._note(source, None)
        return answer

    def once(self, source: str, url: str, attempt: Callable[[], T]) -> T:
        """Send one request to `url` in its turn, and count it; a host that wants a pause gets it from all."""
        bucket = self._bucket(urlsplit(url).hostname or "")
        wait = bucket.take() or bucket.paused()
        while wait:
            self.sleep(wait)
            wait = bucket.paused()
        self._refuse_open_circuit(source)  # it may have opened while this request waited for its turn
        try:
            answer = attempt()
        except FetchError as error:
            if error.retry_after and not self._is_too_long(error):
                bucket.pause(error.retry_after)
            raise
        METER.get(Meter()).pages += 1
        return answer

    def route(self, url: str) -> str:
        """The address under which a URL is really reached."""
        parts = urlsplit(url)
        gateway = self.gateways.get(parts.hostname or "")
        return url if gateway is None else gateway + url.split(parts.netloc, 1)[1]

    def _bucket(self, host: str) -> Bucket:
        with self._lock:
            if host not in self._buckets:
                self._buckets[host] = Bucket(self.rates.get(host, self.rate), self.clock)
            return self._buckets[host]

    def _may_heal(self, error: BaseException) -> bool:
        if isinstance(error, LeftAloneError):
            return False
        return isinstance(error, FetchError) and error.is_transient and not self._is_too_long(error)

    def _is_too_long(self, error: FetchError) -> bool:
        return (error.retry_after or 0.0) > self.max_retry_after_seconds

    def _is_enough(self, state: RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome else None
        is_unreachable = getattr(error, "is_unreachable", False)
        return state.attempt_number >= (self.reach_attempts if is_unreachable else self.attempts)

    def _wait(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        backoff = wait_exponential_jitter(self.wait_seconds, self.max_wait_seconds, jitter=self.wait_seconds)
        return max(backoff(state), getattr(error, "retry_after", None) or 0.0)

    def _refuse_open_circuit(self, source: str) -> None:
        circuit = self._circuits.get(source)
        if circuit and self._is_open(circuit):
            often = f" after {circuit.failures} failures in a row" if circuit.failures > 1 else ""
            raise LeftAloneError(
                f"{source}: left alone{often} (the last: {circuit.last})",
                is_unreachable=circuit.is_unreachable,
            )

    def _is_open(self, circuit: Circuit) -> bool:
        return circuit.until is not None and self.clock() < circuit.until

    def _note(self, source: str, failure: FetchError | None) -> None:
        with self._lock:
            circuit = self._circuits.setdefault(source, Circuit())
            if failure is None:
                self._circuits[source] = Circuit()
            elif not self._is_open(circuit):  # else it was under way already
                circuit.failures += 1
                circuit.last, circuit.is_unreachable = str(failure), failure.is_unreachable
                is_final = failure.is_unreachable or self._is_too_long(failure)
                if is_final or circuit.failures >= self.trip_after:
                    circuit.until = self.clock() + max(self.rest_seconds, failure.retry_after or 0.0)


def count_retry(state: RetryCallState) -> None:  # noqa: ARG001 - Tenacity's signature
    """One more request is sent again."""
    METER.get(Meter()).retries += 1


CURRENT = [Policy()]


def current() -> Policy:
    """The policy of this process."""
    return CURRENT[-1]


@contextmanager
def use(policy: Policy) -> Iterator[Policy]:
    """Another policy for all threads until the block ends."""
    CURRENT.append(policy)
    try:
        yield policy
    finally:
        CURRENT.remove(policy)
