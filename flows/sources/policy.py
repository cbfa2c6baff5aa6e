"""One policy for all providers: how fast they are asked, how long we wait, what is asked again, when we stop.

Every HTTP request of every adapter passes through `Policy.send`. Only what may heal is asked again:
time-outs, broken connections, 429, 5xx, and answers that break off or are a web page instead of data. A
certificate that does not hold, a 4xx or a redirect loop are final at once.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeVar
from urllib.parse import urlsplit

from tenacity import RetryCallState, Retrying, retry_if_exception, wait_exponential_jitter

from flows.sources.answers import FetchError, LeftAloneError

T = TypeVar("T")
RATES = MappingProxyType(  # requests a second, below what the providers publish or tolerate
    {
        "query1.finance.yahoo.com": 2.0,
        "query2.finance.yahoo.com": 2.0,
        "api.exchange.coinbase.com": 5.0,
        "api.coinbase.com": 5.0,
        "api.kraken.com": 1.0,
        "api.binance.com": 8.0,
        "www.bitstamp.net": 8.0,
        "api.stlouisfed.org": 1.5,  # 120 a minute
        "api.coingecko.com": 0.2,
    }
)


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


class Bucket:
    """A token bucket: so many requests a second on average, a second's worth at once."""

    def __init__(self, rate: float, clock: Callable[[], float]) -> None:
        """Start full."""
        self.rate, self.clock = rate, clock
        self.tokens, self.at = max(rate, 1.0), clock()
        self.lock = threading.Lock()

    def take(self) -> float:
        """Take a token; returns the seconds until it is really there."""
        with self.lock:
            now = self.clock()
            self.tokens = min(max(self.rate, 1.0), self.tokens + (now - self.at) * self.rate) - 1
            self.at = now
            return max(0.0, -self.tokens / self.rate)


@dataclass(slots=True)
class Circuit:
    """How often in a row a source was down, since when, and what it said last."""

    failures: int = 0
    opened_at: float = 0.0
    last: str = ""
    is_unreachable: bool = False


@dataclass
class Policy:
    """The limits, and the state of this process towards each host and source.

    Attributes:
        attempts: Requests for one answer, the first included.
        idle_seconds, total_seconds: Longest silence, and longest duration, of one answer.
        wait_seconds, max_wait_seconds: First and longest wait before the next attempt; the wait doubles.
        max_retry_after_seconds: A provider that wants us to wait longer has failed for this run.
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

    def send(self, source: str, url: str, attempt: Callable[[], T]) -> T:
        """Call `attempt`, which sends one request to `url`, until it answers or no longer may heal.

        Raises:
            FetchError: the last failure, or at once where the source was down too often.
        """
        self._refuse_open_circuit(source)
        retrying = Retrying(
            stop=self._is_enough,
            retry=retry_if_exception(self._may_heal),
            wait=self._wait,
            sleep=self.sleep,
            before_sleep=count_retry,
            reraise=True,
        )
        try:
            answer: T = retrying(self._once, source, urlsplit(url).hostname or "", attempt)
        except LeftAloneError:
            raise
        except FetchError as error:
            self._note(source, error if error.is_down else None)
            raise
        self._note(source, None)
        return answer

    def route(self, url: str) -> str:
        """The address under which a URL is really reached."""
        parts = urlsplit(url)
        gateway = self.gateways.get(parts.hostname or "")
        return url if gateway is None else gateway + url.split(parts.netloc, 1)[1]

    def _once(self, source: str, host: str, attempt: Callable[[], T]) -> T:
        with self._lock:
            if host not in self._buckets:
                self._buckets[host] = Bucket(self.rates.get(host, self.rate), self.clock)
        if wait := self._buckets[host].take():
            self.sleep(wait)
        self._refuse_open_circuit(source)  # it may have opened while this request waited for its turn
        answer = attempt()
        METER.get(Meter()).pages += 1
        return answer

    def _may_heal(self, error: BaseException) -> bool:
        if isinstance(error, LeftAloneError):
            return False
        is_patient = (getattr(error, "retry_after", None) or 0) <= self.max_retry_after_seconds
        return isinstance(error, FetchError) and error.is_transient and is_patient

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
            often = "" if circuit.is_unreachable else f" after {circuit.failures} failures in a row"
            raise LeftAloneError(
                f"{source}: left alone{often} (the last: {circuit.last})",
                is_unreachable=circuit.is_unreachable,
            )

    def _is_open(self, circuit: Circuit) -> bool:
        is_tripped = circuit.is_unreachable or circuit.failures >= self.trip_after
        return is_tripped and self.clock() - circuit.opened_at < self.rest_seconds

    def _note(self, source: str, failure: FetchError | None) -> None:
        with self._lock:
            circuit = self._circuits.setdefault(source, Circuit())
            if failure is None:
                circuit.failures, circuit.is_unreachable = 0, False
            elif not self._is_open(circuit):  # else it was under way already
                circuit.failures += 1
                circuit.opened_at, circuit.last = self.clock(), str(failure)
                circuit.is_unreachable = failure.is_unreachable


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
