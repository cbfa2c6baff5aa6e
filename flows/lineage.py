"""What a Prefect run says of descent: an asset for each table that it wrote, and what that was made of."""

from typing import TYPE_CHECKING, Any

from flows.build import DERIVED
from flows.steps import steps
from schemas import BY_NAME, Table, mart
from schemas.table import grain, name

if TYPE_CHECKING:
    from flows.pipeline import Run

MAKER = "comove"


def leave(run: "Run") -> None:
    """Materialize, as Prefect calls it, every published table whose rows are others than before the run."""
    made_of = parents()
    for table in written(run):
        facts = {"rows": run.publication.tables[table], "run_id": run.job.run_id}
        materialized(table, made_of.get(BY_NAME[table], []), facts)


def written(run: "Run") -> list[str]:
    """The published tables that the run changed."""
    return [table for table in run.publication.tables if run.before.get(table) != run.after[table]]


def parents() -> dict[type[Table], list[type[Table]]]:
    """Of each table that the build makes out of others, these; as the transforms' signatures say."""
    return {one.made: one.reads for one in steps().values()} | {mart.Claims: DERIVED}


def materialized(table: str, made_of: list[type[Table]], facts: dict[str, Any]) -> None:
    """Say it as a task of the running flow, for that is how Prefect learns of assets."""
    from prefect.assets import Asset, AssetProperties, add_asset_metadata, materialize
    from prefect.cache_policies import NO_CACHE

    asset = Asset(
        key=address(table), properties=AssetProperties(name=table, description=grain(BY_NAME[table]))
    )
    upstream: list[str | Asset] = [address(name(model)) for model in made_of]

    @materialize(asset, by=MAKER, asset_deps=upstream, name=table, cache_policy=NO_CACHE)
    def note() -> None:
        add_asset_metadata(asset, facts)

    note()


def address(table: str) -> str:
    """The key of a table's asset."""
    return f"duckdb://{MAKER}/{table}"
