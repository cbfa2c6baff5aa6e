"""The daily job: fetch -> land -> build -> publish -> report -> alert.

`python -m flows.refresh --help` shows its flags.
"""

import sys

if __name__ == "__main__":  # before the imports that take seconds
    from flows.start import refuse_wrong_paths

    refuse_wrong_paths(sys.argv[1:], "universe.toml", is_new=True)

from argparse import Namespace
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Literal

from prefect import flow

from flows import universe as universes
from flows.aftermath import observed
from flows.cluster import cluster, refuse_without_dask
from flows.command import DAY, INSTANT, console, day, exit_code, instant, parser, quietly
from flows.job import Job
from flows.lakes import lake
from flows.last import refuse_another
from flows.lock import wait_for_turn
from flows.parameters import Day, Instant, Kind, Seconds
from flows.pipeline import Run
from flows.plan import KINDS
from flows.runners import Plain, Prefect, few_threads
from flows.summary import refuse_unusable, show


@flow(name="refresh", persist_result=False, task_runner=few_threads())
def refresh(  # noqa: PLR0913, PLR0917 - a flow's parameters are the form that its deployments fill in
    universe: Path = Path("universe.toml"),
    data: Path = Path("data"),
    as_of: Instant | None = None,
    until: Day | None = None,
    since: Day | None = None,
    wait: Seconds = 0.0,
    only: list[Kind] | None = None,
    warehouse: str | None = None,
    runner: Literal["prefect", "dask"] = "prefect",
    dask: str | None = None,
    *,
    take_over: bool = False,
) -> Run:
    """Fetch what is new, land it, rebuild the tables and publish a verified copy."""
    if runner == "dask":  # whose workers stand elsewhere
        universe, data = universe.absolute(), data.absolute()
    asked = job(universe, data, as_of, until, since, wait, only, warehouse)
    asked = replace(asked, takes_over=take_over)
    with cluster(dask) if runner == "dask" else nullcontext(Prefect()) as steps:
        return observed(asked, steps, is_prefect=True)


def job(
    universe: Path,
    data: Path,
    as_of: datetime | None,
    until: date | None,
    since: date | None,
    wait: float,
    only: Sequence[str] | None,
    warehouse: str | None = None,
) -> Job:
    """A job out of its parameters.

    Raises:
        UniverseError: if the universe cannot be used.
        LakeError: if the warehouse is named so that it cannot be used.
    """
    watched = universes.load(universe)
    if as_of:
        as_of = as_of.astimezone(UTC) if as_of.tzinfo else as_of.replace(tzinfo=UTC)
    return Job(
        watched,
        data,
        as_of=as_of,
        since=since,
        until=until,
        universe_path=universe,
        wait=wait,
        only=tuple(only or KINDS),
        lake=lake(warehouse),
    )


def main(arguments: list[str] | None = None) -> int:
    """Run once; 0 if something usable was published, 2 for a bad universe or flag, 3 if locked out."""
    flags = flags_of(arguments)
    asked = (
        *(flags.universe, flags.data, flags.as_of, flags.until, flags.since, flags.wait, flags.only),
        flags.warehouse,
    )

    def once() -> int:
        plain = replace(job(*asked), takes_over=flags.take_over)
        if flags.runner == "plain":
            done = observed(plain, Plain(), is_prefect=False)
        else:
            if flags.runner == "dask":
                refuse_without_dask()  # before a server is started for the flow
            refuse_another(plain)
            wait_for_turn(flags.data, flags.wait)
            with quietly():
                done = refresh(*asked, runner=flags.runner, dask=flags.dask, take_over=flags.take_over)
        show(done, console())
        refuse_unusable(done)
        return 0

    return exit_code(once)


def flags_of(arguments: list[str] | None) -> Namespace:
    """The flags; each default is that of the flow."""
    made = parser("flows.refresh", "Fetch, land, build and publish once.")
    made.add_argument(
        "--as-of",
        type=instant,
        help=f"replay what was known at this instant, e.g. {INSTANT}, beside the main copy",
    )
    made.add_argument("--since", type=day, help=f"first date to fetch, e.g. {DAY}")
    made.add_argument("--until", type=day, help=f"last date to fetch, e.g. {DAY}")
    made.add_argument("--only", nargs="+", choices=KINDS, help="kinds of sources to ask (default: all)")
    made.add_argument(
        "--runner",
        choices=["prefect", "plain", "dask"],
        default="prefect",
        help="who runs the steps (default: prefect)",
    )
    made.add_argument("--dask", help="scheduler of a cluster (default: COMOVE_DASK, else processes here)")
    made.add_argument(
        "--take-over", action="store_true", help="publish over what another universe made in the folder"
    )
    return made.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
