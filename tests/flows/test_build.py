"""The order of the build follows from the signatures, and every table has exactly one maker."""

from collections import Counter
from datetime import UTC, datetime
from typing import Annotated

import polars as pl
import pytest

from flows.build import compute
from flows.dictionary import GIVEN, dictionary, made_by
from flows.steps import order, step, steps
from schemas import BY_NAME, TABLES, core, mart, ops, raw
from schemas.table import REVISED, columns, name, polars_schema
from transforms.registry import TRANSFORMS
from transforms.study import Study
from warehouse.definitions import views

MADE = [step(transform).made for transform in TRANSFORMS]
STORED = {label for label in BY_NAME if label.startswith("raw.")} | {
    "ops.loads",
    "ops.quarantine",
    "ops.landed",
}


def test_every_table_of_core_and_mart_is_made_or_given() -> None:
    derived = {label for label in BY_NAME if label.split(".")[0] in ("core", "mart")}
    assert {name(made) for made in MADE} | set(GIVEN) >= derived


def test_every_table_is_stored_made_or_given_and_only_one_of_them() -> None:
    places = Counter([*STORED, *(name(made) for made in MADE), *GIVEN])
    assert {label: count for label, count in places.items() if count > 1} == {}
    assert set(places) == set(BY_NAME)


def test_no_transform_reads_what_nobody_makes() -> None:
    known = STORED | set(GIVEN) | {name(made) for made in MADE}
    for one in steps().values():
        assert {name(read) for read in one.reads} <= known, one.run.__name__


def test_every_step_comes_once_and_after_what_it_reads() -> None:
    makers = steps()
    ordered = [makers[made] for made in order(makers).static_order() if made in makers]
    assert Counter(one.made for one in ordered) == Counter(MADE)
    names = {name(made) for made in MADE}
    done: set[str] = set()
    for one in ordered:
        assert {name(read) for read in one.reads} & names <= done, one.run.__name__
        done.add(name(one.made))


@pytest.mark.parametrize("transform", TRANSFORMS, ids=lambda one: one.__name__)
def test_a_transform_is_named_after_its_table(transform: object) -> None:
    assert name(step(transform).made).split(".")[1] == transform.__name__


def test_a_signature_says_what_is_read_and_what_is_made() -> None:
    def example(
        bars: Annotated[pl.LazyFrame, raw.Bars, REVISED],
        closes: Annotated[pl.LazyFrame, core.Closes],
        study: Study,
        as_of: datetime,
    ) -> Annotated[pl.LazyFrame, core.Returns]:
        raise NotImplementedError

    found = step(example)
    assert found.made is core.Returns
    assert found.reads == [raw.Bars, core.Closes]
    assert found.inputs["study"] == (Study,)
    assert REVISED in found.inputs["bars"]


def test_the_build_of_nothing_is_every_table_without_a_row() -> None:
    study = Study("ETH", "RUT", (), "XNYS", (30,), 0.5, (("ETH", "RUT"),))
    given = {
        BY_NAME[label]: pl.DataFrame(schema=polars_schema(BY_NAME[label]))
        for label in GIVEN
        if label != "mart.claims"
    }
    asked: list[tuple[str, bool]] = []

    def read(model: type, *, is_revised: bool) -> pl.DataFrame:
        asked.append((name(model), is_revised))
        return pl.DataFrame(schema=polars_schema(model))

    made, seconds = compute(read, given, study, datetime(2025, 10, 8, tzinfo=UTC))
    assert set(made) == set(given) | set(MADE)
    assert {name(model): frame.height for model, frame in made.items() if frame.height} == {}
    for model in MADE:
        assert made[model].schema == pl.Schema(polars_schema(model))
    assert set(seconds) == {"read", *(name(model) for model in MADE)}
    plain = [label for label, is_revised in asked if not is_revised]
    assert len(plain) == len(set(plain))  # each is read once, however many need it
    assert {("raw.bars", True), ("raw.macro", True)} <= set(asked)


def test_the_dictionary_has_a_row_a_column_of_every_table_and_view() -> None:
    found = dictionary()
    assert found.schema == pl.Schema(polars_schema(mart.Dictionary))
    labels = found.select("schema_name", "table_name", "column_name").rows()
    of_tables = [(*name(model).split("."), column.name) for model in TABLES for column in columns(model)]
    assert labels[: len(of_tables)] == of_tables
    of_view = found.filter(table_name="link_today").select("column_name", "type", "unit")
    assert of_view.row(0) == ("asset", "VARCHAR", None)
    assert of_view.row(5) == ("r", "DOUBLE", "-1..1")
    assert {f"mart.{table}" for _, table, _ in labels[len(of_tables) :]} == {view.name for view in views()}
    assert found["description"].str.len_chars().min() > 3


def test_the_dictionary_names_the_makers() -> None:
    assert made_by(core.Closes) == "transforms.closes.closes"
    assert made_by(core.Sessions) == "flows.calendars"
    assert made_by(raw.Bars) == "flows.intake"
    assert made_by(ops.Loads) == "flows.refresh"
    assert made_by(ops.Revisions) == "transforms.audit.revisions"
