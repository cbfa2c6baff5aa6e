"""Every table explains itself, and nothing that breaks its contract passes for it."""

import re
from datetime import UTC, date, datetime

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandera.errors import SchemaErrors

from flows.dictionary import PAGE, page
from schemas import BY_NAME, TABLES, core, mart, ops, raw, table
from schemas.table import InvalidTableError, Table, columns, conform, failures, grain, key, validate

PUBLIC = {
    "raw": "bars actions macro constituents market_snapshot policy_events",
    "core": "sessions closes returns",
    "mart": "assets normalized correlations conditional regimes regime_summary lead_lag indicators breadth "
    "liquidity policy_tone market_snapshot signals exposure scorecard overlay_scorecard claims dictionary",
    "ops": "loads quarantine freshness revisions",
}
NOON = datetime(2025, 10, 8, 12, tzinfo=UTC)
BAR = {
    "source": "files:x.csv",
    "symbol": "SPY",
    "interval": "1d",
    "opened_at": NOON,
    "known_at": NOON,
    "open": 100.0,
    "high": 102.0,
    "low": 99.0,
    "close": 101.0,
    "adj_close": None,
    "volume": 0.0,
    "is_known_at_assumed": True,
    "load_id": "1",
}
RETURN = {
    "asset": "ETH",
    "convention": "utc_day",
    "session": date(2025, 10, 8),
    "log_return": 0.01,
    "gap_days": 1,
}

each_table = pytest.mark.parametrize("model", TABLES, ids=BY_NAME)


def bars(**changes: object) -> pl.DataFrame:
    return pl.DataFrame([{**BAR, **changes}], schema=table.polars_schema(raw.Bars))


def test_the_public_tables_are_all_there() -> None:
    assert {f"{schema}.{word}" for schema, words in PUBLIC.items() for word in words.split()} <= set(BY_NAME)


def test_no_name_is_taken_twice() -> None:
    assert len(BY_NAME) == len(TABLES)


@each_table
def test_a_table_is_called_as_its_schema_and_class_are(model: type[Table]) -> None:
    words = re.sub(r"(?<!^)(?=[A-Z])", "_", model.__name__).lower()
    assert re.fullmatch(r"(raw|core|mart|ops)\." + words, table.name(model))


@each_table
def test_a_table_says_what_a_row_is(model: type[Table]) -> None:
    assert re.match(r"One row per ", grain(model)), grain(model)
    assert "\n" not in grain(model)


@each_table
def test_a_key_is_columns_that_are_never_null(model: type[Table]) -> None:
    nullable = {column.name: column.is_nullable for column in columns(model)}
    assert key(model)
    assert not [column for column in key(model) if nullable[column]]


@each_table
def test_every_column_is_described(model: type[Table]) -> None:
    assert not [column.name for column in columns(model) if len(column.description) < 4]


@each_table
def test_every_figure_has_a_unit(model: type[Table]) -> None:
    figures = [column for column in columns(model) if column.dtype in (pl.Float64(), pl.Int64())]
    assert not [column.name for column in figures if not column.unit]


@each_table
def test_instants_end_in_at_and_dates_do_not(model: type[Table]) -> None:
    for column in columns(model):
        is_instant = column.dtype == pl.Datetime("us", "UTC")
        assert column.name.endswith("_at") == is_instant or column.dtype == pl.Boolean(), column.name
        assert not (is_instant and column.unit != "UTC"), column.name


@each_table
def test_a_truth_value_is_named_as_one(model: type[Table]) -> None:
    for column in columns(model):
        if column.name.startswith(("is_", "has_")):
            assert column.dtype == pl.Boolean(), column.name


@each_table
def test_the_same_word_means_the_same_type_everywhere(model: type[Table]) -> None:
    shared = {"asset", "benchmark", "convention", "session", "source", "symbol", "load_id", "known_at"}
    types = {c.name: c.dtype for other in TABLES for c in columns(other)}
    assert not [c.name for c in columns(model) if c.name in shared and c.dtype != types[c.name]]


@each_table
def test_the_page_tells_of_every_table_and_column(model: type[Table]) -> None:
    section = page().split(f"## {table.name(model)}\n")[1].split("\n## ")[0]
    assert grain(model) in section
    for column in columns(model):
        label = f"**{column.name}**" if column.name in key(model) else column.name
        assert f"| {label} | {column.sql_type} | {column.unit or ''} |" in section


def test_the_committed_page_is_current() -> None:
    assert not PAGE.exists() or PAGE.read_text() == page(), "run `make docs`"


def test_the_ledger_says_that_an_error_may_be_a_note() -> None:
    (error,) = [column for column in columns(ops.Loads) if column.name == "error"]
    assert "unchanged" in error.description


def test_a_comment_is_the_description_and_the_unit() -> None:
    comments = {column.name: column.comment for column in columns(core.Returns)}
    assert comments["gap_days"] == "Calendar days that the return spans [days]"
    assert comments["asset"] == "Asset id of the universe; in a pair, the one whose link is measured"


def test_types_are_those_of_the_database() -> None:
    types = {column.name: column.sql_type for column in columns(core.Closes)}
    assert types["session"] == "DATE"
    assert types["close"] == "DOUBLE"
    assert types["price_at"] == "TIMESTAMPTZ"
    assert types["staleness_minutes"] == "INTEGER"
    assert types["asset"] == "VARCHAR"


def test_a_good_row_passes_unchanged() -> None:
    frame = bars()
    assert validate(frame, raw.Bars) is frame
    assert failures(frame, raw.Bars).is_empty()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("column", ["open", "high", "low", "close", "adj_close", "volume"])
def test_a_price_that_is_no_number_is_refused(column: str, value: float) -> None:
    with pytest.raises(InvalidTableError, match=r"raw\.bars.*nothing was written"):
        validate(bars(**{column: value}), raw.Bars)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_figure_without_a_check_of_its_own_must_be_finite_too(value: float) -> None:
    frame = pl.DataFrame([{**RETURN, "log_return": value}], schema=table.polars_schema(core.Returns))
    with pytest.raises(InvalidTableError, match=r"core\.returns: column log_return fails finite"):
        validate(frame, core.Returns)


def test_a_missing_figure_is_null_and_passes() -> None:
    frame = pl.DataFrame([{**RETURN, "log_return": None}], schema=table.polars_schema(core.Returns))
    assert validate(frame, core.Returns)["log_return"].to_list() == [None]


@pytest.mark.parametrize(
    ("column", "value"), [("open", 0.0), ("low", -1.0), ("close", 0.0), ("volume", -1.0), ("interval", "1m")]
)
def test_a_value_outside_its_range_is_refused(column: str, value: object) -> None:
    with pytest.raises(InvalidTableError, match=column):
        validate(bars(**{column: value}), raw.Bars)


@pytest.mark.parametrize(("off", "is_good"), [(0.0, True), (0.9e-6, True), (2e-6, False), (0.01, False)])
def test_a_high_may_lie_a_millionth_below_the_highest(off: float, is_good: bool) -> None:
    frame = bars(open=100.0, close=100.0, low=90.0, high=100.0 * (1 - off))
    assert failures(frame, raw.Bars).is_empty() == is_good


@pytest.mark.parametrize(("off", "is_good"), [(0.0, True), (0.9e-6, True), (2e-6, False), (0.01, False)])
def test_a_low_may_lie_a_millionth_above_the_lowest(off: float, is_good: bool) -> None:
    frame = bars(open=100.0, close=100.0, high=110.0, low=100.0 * (1 + off))
    assert failures(frame, raw.Bars).is_empty() == is_good


def test_bars_of_closes_alone_have_nothing_to_compare() -> None:
    assert failures(bars(open=None, high=None, low=None), raw.Bars).is_empty()


def test_a_failure_says_row_check_column_and_value() -> None:
    frame = pl.concat([bars(), bars(close=-3.0, low=None)])
    assert failures(frame, raw.Bars).rows(named=True) == [
        {"row": 1, "check": "greater_than(0)", "column": "close", "value": "-3.0"}
    ]


@pytest.mark.parametrize("dtype", [pl.Float32, pl.Int64, pl.String], ids=["shorter float", "integer", "text"])
def test_a_close_of_another_type_is_refused_not_cast(dtype: type[pl.DataType]) -> None:
    with pytest.raises(InvalidTableError, match="close"):
        validate(bars().with_columns(pl.col("close").cast(dtype)), raw.Bars)


@pytest.mark.parametrize(
    "dtype",
    [pl.Datetime("us"), pl.Datetime("us", "Etc/UTC"), pl.Datetime("ms", "UTC"), pl.Date()],
    ids=["naive", "another name of the zone", "coarser", "date"],
)
def test_an_instant_that_is_not_in_utc_microseconds_is_refused(dtype: pl.DataType) -> None:
    with pytest.raises(InvalidTableError, match="known_at"):
        validate(bars().with_columns(pl.lit(None, dtype).alias("known_at")), raw.Bars)


def test_a_missing_column_is_refused() -> None:
    with pytest.raises(InvalidTableError, match="load_id"):
        validate(bars().drop("load_id"), raw.Bars)


def test_a_column_too_many_is_refused() -> None:
    with pytest.raises(InvalidTableError, match="surprise"):
        validate(bars().with_columns(surprise=1), raw.Bars)


@pytest.mark.parametrize("column", ["source", "symbol", "interval", "opened_at", "known_at", "load_id"])
def test_a_null_where_none_may_be_is_refused(column: str) -> None:
    with pytest.raises(InvalidTableError, match=column):
        validate(bars(**{column: None}), raw.Bars)


def test_a_verdict_is_one_of_three_words() -> None:
    row = {
        "asset": "ETH",
        "benchmark": "RUT",
        "convention": "utc_day",
        "window_sessions": 30,
        "session": date(2025, 10, 8),
        "n": 30,
        "r": 0.2,
        "is_above_threshold": False,
        "verdict": "maybe",
    }
    frame = conform(pl.LazyFrame([row]), mart.Correlations).collect()
    with pytest.raises(InvalidTableError, match="verdict"):
        validate(frame, mart.Correlations)


def test_a_correlation_beyond_one_is_refused() -> None:
    row = {
        "asset": "ETH",
        "benchmark": "RUT",
        "convention": "utc_day",
        "window_sessions": 30,
        "session": date(2025, 10, 8),
        "n": 30,
        "r": 1.0000001,
    }
    frame = conform(pl.LazyFrame([row]), mart.Correlations).collect()
    with pytest.raises(InvalidTableError, match="column r "):
        validate(frame, mart.Correlations)


def test_to_conform_is_to_order_and_to_fill_but_not_to_lose() -> None:
    frame = pl.LazyFrame({"session": [date(2025, 10, 8)], "convention": ["utc_day"], "asset": ["ETH"]})
    made = conform(frame, core.Returns).collect()
    assert made.schema == pl.Schema(table.polars_schema(core.Returns))
    assert made.row(0) == ("ETH", "utc_day", date(2025, 10, 8), None, None)
    with pytest.raises(pl.exceptions.ColumnNotFoundError):
        conform(frame.drop("asset"), core.Returns).collect()
    with pytest.raises(pl.exceptions.InvalidOperationError):
        conform(frame.with_columns(gap_days=pl.lit(2**40)), core.Returns).collect()


def test_an_empty_table_is_a_valid_one() -> None:
    assert failures(pl.DataFrame(schema=table.polars_schema(ops.Loads)), ops.Loads).is_empty()


VALUES: dict[pl.DataType, st.SearchStrategy[object]] = {
    pl.String(): st.sampled_from(["", "ETH", "1d"]),
    pl.Float64(): st.sampled_from([-2.0, -0.5, 0.0, 0.5, 1.0, 99.0, 101.0, float("inf"), float("nan")]),
    pl.Int32(): st.sampled_from([-1, 0, 1, 90]),
    pl.Int64(): st.sampled_from([-1, 0, 1, 90]),
    pl.Boolean(): st.booleans(),
    pl.Date(): st.just(date(2025, 10, 8)),
    pl.Datetime("us", "UTC"): st.just(NOON),
}


def rows(data: st.DataObject, model: type[Table]) -> pl.DataFrame:
    """A few rows; of a column either all values are allowed ones, as far as a list says them, or any."""
    size, made = data.draw(st.integers(0, 3)), {}
    for label, column in model.to_schema().columns.items():
        words = [check.statistics.get("allowed_values") for check in column.checks]
        listed = next((st.sampled_from(sorted(some)) for some in words if some), VALUES[column.dtype.type])
        values = listed if data.draw(st.booleans()) else st.one_of(st.none(), VALUES[column.dtype.type])
        if data.draw(st.integers(0, 9)) and not column.nullable:
            values = listed
        made[label] = pl.Series(
            data.draw(st.lists(values, min_size=size, max_size=size)), dtype=column.dtype.type
        )
    return pl.DataFrame(made)


@each_table
@settings(max_examples=20)
@given(data=st.data())
def test_what_is_asked_at_once_is_what_pandera_asks_one_by_one(
    model: type[Table], data: st.DataObject
) -> None:
    frame = rows(data, model)
    try:
        model.validate(frame, lazy=True)
        is_valid = True
    except SchemaErrors:
        is_valid = False
    has_nan = any(frame[c].is_nan().any() for c in frame.columns if frame.schema[c].is_float())
    assert table.holds(frame, model) == (is_valid and not has_nan)


@each_table
def test_a_schema_asks_for_nothing_that_is_not_asked_at_once(model: type[Table]) -> None:
    schema = model.to_schema()
    assert not any([schema.unique, schema.coerce, schema.ordered, schema.parsers])
    for column in schema.columns.values():
        assert column.required
        assert not any([column.unique, column.coerce, column.regex, column.parsers])
