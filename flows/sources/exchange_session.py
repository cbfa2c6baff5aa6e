"""The session that ccxt works on: every request is sent by the policy, whole or not at all."""

from collections.abc import Iterator
from typing import Any

from flows.sources.answers import FetchError, judge
from flows.sources.policy import Policy, current
from flows.sources.web import WHAT, broken, endless, in_time, timed_out, within

CHUNK = 1 << 16
THROTTLED = ("rate limit", "too many requests")  # Kraken says so with status 200


def polite_session(name: str) -> Any:
    """A requests session, as ccxt wants one, that keeps to the policy."""
    import requests
    from urllib3.exceptions import HTTPError, ReadTimeoutError

    class PoliteSession(requests.Session):
        """Each request is sent by the policy, whole or not at all."""

        def request(self, method: Any, url: Any, **kwargs: Any) -> Any:  # type: ignore[override]
            policy, what = current(), WHAT.get()

            def attempt() -> requests.Response:
                return in_time(what, policy, lambda: self.attempt(what, policy, method, url, kwargs))

            return policy.send(f"ccxt:{name}", url, attempt)

        def attempt(
            self, what: str, policy: Policy, method: str, url: str, kwargs: dict[str, Any]
        ) -> requests.Response:
            kwargs |= {"timeout": policy.idle_seconds, "verify": policy.ca_file or True, "stream": True}
            try:
                with super().request(method, policy.route(url), **kwargs) as answer:
                    body = within(what, policy, pieces(answer.raw))
            except (requests.Timeout, ReadTimeoutError) as error:
                raise timed_out(what) from error
            except requests.TooManyRedirects as error:
                raise endless(what) from error
            except (requests.RequestException, HTTPError, OSError) as error:
                raise broken(what, error) from error
            answer._content = body  # noqa: SLF001 - so that ccxt reads what was checked
            answer._content_consumed = True  # noqa: SLF001
            refuse_throttled(what, judge(what, answer.status_code, answer.headers, body, "json"))
            return answer

    return PoliteSession()


def pieces(raw: Any) -> Iterator[bytes]:
    """A body as it arrives, without waiting for a piece to fill."""
    return iter(lambda: raw.read1(CHUNK, decode_content=True), b"")


def refuse_throttled(what: str, text: str) -> None:
    """Kraken says with status 200 that it was asked too often."""
    if '"error"' in text[:200] and any(words in text[:400].lower() for words in THROTTLED):
        raise FetchError(f"{what}: asks us to slow down", is_transient=True, is_down=True)
