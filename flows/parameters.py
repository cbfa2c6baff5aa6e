"""Types of the flows' parameters, which say in JSON schema what Prefect checks before a run exists.

Prefect does not look at JSON schema's `format`, so dates and instants carry a pattern.
"""

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import Field

_DAY = r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"
_TIME = r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,6})?)?"
_ZONE = r"(Z|[+-]([01]\d|2[0-3]):?[0-5]\d)"

Day = Annotated[date, Field(json_schema_extra={"pattern": f"^{_DAY}$"})]
Instant = Annotated[datetime, Field(json_schema_extra={"pattern": f"^{_DAY}T{_TIME}{_ZONE}$"})]
Seconds = Annotated[float, Field(ge=0)]
Days = Annotated[int, Field(ge=1)]
Place = Annotated[str, Field(json_schema_extra={"pattern": "^(?![^/]*://[^/]*@)"})]  # no key in an address
Kind = Literal["crypto", "exchange", "macro", "events", "snapshot"]


def closed(schema: dict[str, Any]) -> dict[str, Any]:
    """The JSON schema of a flow's parameters, with all that it does not name forbidden."""
    return {**schema, "additionalProperties": False}
