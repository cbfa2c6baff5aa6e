"""Step boundaries: where a test may kill the process, to prove that nothing is lost there."""

import os
import signal

RUN = (
    "fetched",
    "landing-written",
    "landed-file",
    "landed",
    "loading",
    "loaded",
    "built",
    "copied",
    "exported",
    "database-replaced",
    "published",
)
UPKEEP = (
    "compacted",
    "compacted-loaded",
    "compacted-deleted",
    "rebuilt",
    "rebuild-log-removed",
    "rebuild-replaced",
    "backup-copied",
    "backup-named",
    "restore-copied",
    "restore-named",
)
STEPS = RUN + UPKEEP


def boundary(step: str) -> None:
    """Die here, as by kill -9, if the environment says `CRASH_AT=<step>`; otherwise do nothing."""
    if step not in STEPS:
        raise ValueError(f"{step}: no such step; it is not in warehouse.boundary.STEPS")
    if os.environ.get("CRASH_AT") == step:
        os.kill(os.getpid(), signal.SIGKILL)
