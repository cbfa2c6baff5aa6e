"""The session that yfinance's client works on: each request waits for its turn, is counted, and ends in time.

Failures of a price request are told in our words before the client can hide them. Cookie and crumb are no
condition: where they fail, the client is told in a way that it knows, and does without.
"""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from flows.sources.answers import FetchError, judge
from flows.sources.policy import current
from flows.sources.web import WHAT, broken, endless, timed_out

SOURCE = "yahoo"
CRUMB = re.compile(r"[\w./\\-]{1,40}")
RENEW = 401  # the client fetches a new crumb and asks again
Sent = Callable[[float], Any]  # sends the request, with so many seconds for all of it


def polite_session() -> Any:
    """A browser's session that keeps to the policy."""
    from curl_cffi.requests import Session  # takes a second to import

    class PoliteSession(Session[Any]):
        """A session as yfinance wants one."""

        def request(self, method: Any, url: str, *args: Any, **kwargs: Any) -> Any:
            policy, send = current(), super().request
            kwargs["verify"] = policy.ca_file or True

            def sent(seconds: float) -> Any:
                return send(method, policy.route(url), *args, **{**kwargs, "timeout": seconds})

            return prices(url, sent) if "/finance/" in url else handshake(url, sent)

    return PoliteSession(impersonate="chrome")


def prices(url: str, sent: Sent) -> Any:
    """The answer to a price request; who asked for it also asks again.

    Raises:
        FetchError: naming what came instead.
    """
    policy = current()

    def attempt() -> Any:
        answer = told(sent, policy.total_seconds)
        if answer.status_code != RENEW:
            judge(WHAT.get(), answer.status_code, answer.headers, answer.content, "json")
        return answer

    return policy.once(SOURCE, url, attempt)


def handshake(url: str, sent: Sent) -> Any:
    """The answer to a request for a cookie or a crumb; a host that fails is left alone like any source.

    Raises:
        ConnectionError: if it fails; the client goes on without.
        YFRateLimitError: if there is no crumb; else the text would be kept as the crumb.
    """
    from yfinance.exceptions import YFRateLimitError

    policy, host = current(), urlsplit(url).hostname or ""
    try:
        answer = policy.send(host, url, lambda: told(sent, policy.idle_seconds), attempts=1)
    except FetchError as error:
        raise ConnectionError(str(error)) from error
    if "getcrumb" in url and not is_crumb(answer):
        raise YFRateLimitError
    return answer


def told(sent: Sent, seconds: float) -> Any:
    """What was answered; failures in our words."""
    from curl_cffi.requests import exceptions as curl

    what = WHAT.get()
    try:
        return sent(seconds)
    except curl.Timeout as error:
        raise timed_out(what) from error
    except curl.TooManyRedirects as error:
        raise endless(what) from error
    except curl.RequestException as error:
        raise broken(what, error) from error


def is_crumb(answer: Any) -> bool:
    """True for a short word; throttled, Yahoo answers with a sentence or a page."""
    return bool(answer.ok and CRUMB.fullmatch(answer.text))
