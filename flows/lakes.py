"""Which warehouse a run writes: the data folder's own file, or the lake that it is told of."""

import os

from flows.sources.secret import secret
from warehouse.address import parse
from warehouse.extensions import LakeError
from warehouse.lake import Lake

VARIABLE = "COMOVE_WAREHOUSE"


def lake(words: str | None) -> Lake | None:
    """The lake that a flag, a flow's parameter or else the environment names; None for the folder's own file.

    The keys of a bucket come from the environment or from Prefect's Secret blocks.

    Raises:
        LakeError: if the words name no lake, its extensions are missing, or a flag holds a password.
    """
    named = words or os.environ.get(VARIABLE)
    if not named:
        return None
    found = parse(named, secret)
    if words and found.password:
        raise LakeError(
            f"{found}: a password in a flag is seen by all; set {VARIABLE} or PGPASSWORD, or use ~/.pgpass"
        )
    return found
