"""A range of dates again, piece by piece. `python -m flows.backfill --help` shows its flags.

Each piece is landed and loaded before the next is asked for, so a killed backfill goes on where it stopped;
what the ledger shows as loaded, by a backfill or by a daily run, is not asked for again.
"""

import sys

if __name__ == "__main__":  # before the imports that take seconds
    from flows.start import refuse_wrong_paths

    refuse_wrong_paths(sys.argv[1:], "universe.toml", is_new=True)

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from prefect import flow
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from flows import spool
from flows import universe as universes
from flows.command import DAY, day, exit_code, parser, quietly
from flows.fetching import ask, compared
from flows.job import Job
from flows.lakes import lake
from flows.last import refuse_another
from flows.ledger import Outcome, land, load_landed
from flows.lock import one_writer, wait_for_turn
from flows.parameters import Day, Days, Seconds
from flows.pieces import Range, chunks, covered, identity, is_covered, overlapping, widest
from flows.pipeline import finish
from flows.plan import in_panels, requests
from flows.resume import known
from flows.runners import Plain, Prefect, Runner, few_threads
from flows.sources import Request
from flows.sources.exchange import FIRST_DAY as FIRST_CANDLE
from flows.start import UniverseError
from flows.universe import Universe
from schemas import ops, raw
from warehouse.folder import complain
from warehouse.store import Store
from warehouse.unknown import unknown

CHUNK_DAYS = 365
Show = Callable[[int, int, str], None]  # pieces done, pieces in all, what is being fetched


@dataclass(frozen=True, slots=True)
class Filled:
    """What a backfill did: pieces fetched, skipped because they were landed, and why some failed."""

    fetched: int
    skipped: int
    failed: tuple[str, ...]


def fill(job: Job, assets: list[str], chunk_days: int, runner: Runner, show: Show) -> Filled:
    """Fetch every missing piece between the job's `since` and `until`, then build and publish.

    Raises:
        UniverseError: if the folder is that of another universe.
        LockedError: if another run is writing to the folder and does not end in time.
    """
    with one_writer(job.data, job.wait) as waited:
        refuse_another(job)
        return fill_alone(job.after(waited), assets, chunk_days, runner, show)


def fill_alone(job: Job, assets: list[str], chunk_days: int, runner: Runner, show: Show) -> Filled:
    """The backfill, once nobody else writes to the folder."""
    ranges = list(chunks(job.since or FIRST_CANDLE, job.until or job.now.date(), chunk_days))
    spool.clear(job.zone)
    with Store(job.warehouse) as store:
        load_landed(store, job.zone)
        done = covered(store.read(ops.Loads))
    wanted = [
        (piece, [r for r in series(job, assets) if not is_covered(piece, done.get(identity(r), []))])
        for piece in ranges
    ]
    total, failed, asked, fetched = sum(len(some) for _, some in wanted), [], 0, 0
    for number, (piece, some) in enumerate(wanted, start=1):
        if not some:
            continue
        show(asked, total, f"{piece[0]} to {piece[1]}")
        outcomes = fetch_piece(job, piece, some, number, runner)
        failed += [str(outcome.error) for outcome in outcomes if outcome.error]
        asked += len(some)
        fetched += sum(outcome.error is None for outcome in outcomes)
    show(asked, total, "building")
    with Store(job.warehouse) as store:
        finish(job, runner, store, [], store.digests())
    return Filled(fetched, len(ranges) * len(series(job, assets)) - total, tuple(dict.fromkeys(failed)))


def fetch_piece(job: Job, piece: Range, some: list[Request], number: int, runner: Runner) -> list[Outcome]:
    """Fetch, compare, land and load one range of some series, as a daily run does."""
    run_id = f"{job.run_id}-{number:04d}"
    with Store(job.warehouse) as store:
        stored = known(store, job.now, widest(piece))
    asked = []
    for n, request in enumerate(some, start=1):
        since, until = overlapping(piece, request, stored)
        asked.append(replace(request, since=since, until=until, load_id=f"{run_id}-{n:04d}"))
    outcomes = compared(ask(asked, job, runner), stored, job, runner)
    with Store(job.warehouse) as store:
        land(outcomes, store, job.zone, run_id, job.now)
        load_landed(store, job.zone)
    return outcomes


def series(job: Job, assets: list[str]) -> list[Request]:
    """The live series of the universe that have a range: those of some assets, or all."""
    own = {
        (source.source, source.symbol)
        for asset in job.universe.asset
        for source in asset.sources
        if asset.id in assets
    }
    return [
        panel
        for request in requests(job.universe, job.run_id, job.now)
        for panel in in_panels(request)
        if request.is_live
        and request.model in (raw.Bars, raw.Macro)
        and (not assets or (request.source, request.item) in own)
    ]


def refuse_unknown(assets: list[str], watched: Universe, path: Path) -> None:
    """An asset that the universe does not have would be a backfill of nothing.

    Raises:
        UniverseError: if there is one.
    """
    for asset in assets:
        if asset not in watched.assets_by_id:
            raise UniverseError(f"{path}: {unknown('asset', asset, watched.assets_by_id)}")


@flow(name="backfill", persist_result=False, task_runner=few_threads())
def backfill(
    since: Day,
    universe: Path = Path("universe.toml"),
    data: Path = Path("data"),
    until: Day | None = None,
    assets: list[str] | None = None,
    chunk_days: Days = CHUNK_DAYS,
    wait: Seconds = 600.0,
    warehouse: str | None = None,
) -> Filled:
    """Fetch a range again, in pieces, without what is landed; progress is an artifact of the run."""
    from prefect.artifacts import create_progress_artifact, update_progress_artifact

    watched = universes.load(universe)
    refuse_unknown(assets or [], watched, universe)
    job = Job(
        watched,
        data,
        since=since,
        until=until,
        universe_path=universe,
        wait=wait,
        lake=lake(warehouse),
    )
    artifact = create_progress_artifact(progress=0.0, key="backfill", description="pieces fetched")
    with bar() as show:

        def both(done: int, total: int, what: str) -> None:
            show(done, total, what)
            update_progress_artifact(artifact, progress=100.0 * done / max(total, 1))  # type: ignore[arg-type]

        return fill(job, assets or [], chunk_days, Prefect(), both)


@contextmanager
def bar() -> Iterator[Show]:
    """A progress bar on stderr."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("backfill", total=None)

        def show(done: int, total: int, what: str) -> None:
            progress.update(task, completed=done, total=total, description=what)

        yield show


def main(arguments: list[str] | None = None) -> int:
    """Backfill; 0 if every piece is there, 1 if some failed, 2 for bad input, 3 if locked out."""
    flags = flags_of(arguments)
    return exit_code(lambda: filled(flags))


def filled(flags: argparse.Namespace) -> int:
    """Run the backfill as the flags say, and print what it did."""
    watched = universes.load(flags.universe)
    refuse_unknown(flags.asset, watched, flags.universe)
    if flags.runner == "plain":
        job = Job(
            watched,
            flags.data,
            since=flags.since,
            until=flags.until,
            universe_path=flags.universe,
            wait=flags.wait,
            lake=lake(flags.warehouse),
        )
        with bar() as show:
            done = fill(job, flags.asset, flags.chunk_days, Plain(), show)
    else:
        wait_for_turn(flags.data, flags.wait)
        with quietly():
            done = backfill(
                flags.since,
                flags.universe,
                flags.data,
                flags.until,
                flags.asset,
                flags.chunk_days,
                flags.wait,
                flags.warehouse,
            )
    sys.stdout.write(f"pieces fetched: {done.fetched}; landed already: {done.skipped}\n")
    for reason in done.failed:
        complain(reason, 1)
    return 1 if done.failed else 0


def flags_of(arguments: list[str] | None) -> argparse.Namespace:
    """The flags."""
    made = parser("flows.backfill", "Fetch a range of dates again, piece by piece.")
    made.add_argument("--since", type=day, required=True, help=f"first date, e.g. {DAY}")
    made.add_argument("--until", type=day, help="last date (default: today)")
    made.add_argument("--asset", action="append", default=[], help="only this asset; may be repeated")
    made.add_argument(
        "--chunk-days", type=positive, default=CHUNK_DAYS, help=f"days in one piece (default: {CHUNK_DAYS})"
    )
    made.add_argument(
        "--runner",
        choices=["prefect", "plain"],
        default="prefect",
        help="who runs the steps (default: prefect)",
    )
    return made.parse_args(arguments)


def positive(text: str) -> int:
    """A number of days."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'"{text}" is not a number of days')
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
