"""Keys of providers: from the environment, or from Prefect's Secret blocks within a flow; never shown."""

import logging
import os
import re
import sys
from typing import Any

HIDDEN = "***"
KNOWN: set[str] = set()
IN_URL = re.compile(r"((?:api_?key|token|secret|signature)=)[^&\s'\"]+", re.IGNORECASE)


def secret(name: str) -> str | None:
    """The secret `FRED_API_KEY` from the environment, else from the Secret block `fred-api-key`."""
    found = os.environ.get(name) or from_block(name.lower().replace("_", "-"))
    if found:
        KNOWN.add(found)
    return found


def from_block(label: str) -> str | None:
    """A Secret block's value; outside a flow no server is started only to ask it."""
    context = sys.modules.get("prefect.context")
    if context is None or not (context.FlowRunContext.get() or context.TaskRunContext.get()):
        return None
    from prefect.blocks.system import Secret

    try:
        block: Any = Secret.load(label)
        return str(block.get())
    except ValueError:  # there is no such block
        return None


def masked(text: str) -> str:
    """The text without keys that were read, and without the values of parameters that hold keys."""
    for key in KNOWN:
        text = text.replace(key, HIDDEN)
    return IN_URL.sub(rf"\1{HIDDEN}", text)


class Mask(logging.Filter):
    """Takes keys out of log lines; httpx logs every URL with its parameters."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Every line passes, without keys."""
        record.msg, record.args = masked(record.getMessage()), ()
        return True


MASK = Mask()
for logger in ("httpx", "urllib3.connectionpool", "ccxt.base.exchange"):
    logging.getLogger(logger).addFilter(MASK)
