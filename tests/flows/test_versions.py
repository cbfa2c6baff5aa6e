"""Whatever is delivered, in whatever order: the last word counts, nothing is lost, nothing is said twice."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.ledger import unsaid
from flows.sources import Request
from flows.versions import new_versions
from schemas import raw
from schemas.table import Table, polars_schema
from warehouse.store import Store

Delivery = dict[str, float]
FINAL_AT = datetime(2025, 10, 8, 20, 30, tzinfo=UTC)
START = datetime(2025, 10, 9, 6, tzinfo=UTC)
SHAPE = {
    **polars_schema(raw.Bars),
    "first_at": pl.Datetime("us", "UTC"),
    "said_at": pl.Datetime("us", "UTC"),
}
NOTHING = pl.DataFrame(schema=polars_schema(raw.Bars))
DELIVERIES = st.lists(
    st.dictionaries(st.sampled_from(["SPY", "IWM"]), st.sampled_from([1.0, 2.0, 3.0]), min_size=1), max_size=6
)


def checked(closes: Delivery, load_id: str = "1", *, is_recorded: bool = False) -> pl.DataFrame:
    """Rows as the intake leaves them: one bar of 8 October a symbol."""
    rows = [
        {
            "source": "yahoo",
            "symbol": symbol,
            "interval": "1d",
            "opened_at": datetime(2025, 10, 8, 13, 30, tzinfo=UTC),
            "known_at": START,
            "close": close,
            "is_known_at_assumed": is_recorded,
            "load_id": load_id,
            "first_at": FINAL_AT,
        }
        for symbol, close in closes.items()
    ]
    return pl.DataFrame(rows, schema=SHAPE)


def deliver(
    stored: pl.DataFrame,
    rows: pl.DataFrame,
    at: datetime,
    frozen: pl.DataFrame = NOTHING,
    model: type[Table] = raw.Bars,
) -> pl.DataFrame:
    """What is stored afterwards."""
    news = new_versions(model, rows, frozen.select(list(polars_schema(model))), stored, at)
    return pl.concat([stored, news.drop("is_new")])


def versions(stored: pl.DataFrame, symbol: str = "SPY") -> list[tuple[datetime, float | None]]:
    return stored.filter(symbol=symbol).sort("known_at").select("known_at", "close").rows()


def in_force(stored: pl.DataFrame, at: datetime) -> dict[str, float | None]:
    rows = stored.filter(pl.col("known_at") <= at).sort("known_at").select("symbol", "close").rows()
    return dict(rows)


FOREVER = datetime(2100, 1, 1, tzinfo=UTC)


@settings(deadline=None, max_examples=20)
@given(
    deliveries=DELIVERIES,
    hours=st.lists(st.integers(-48, 48), min_size=7, max_size=7),
    is_recorded=st.booleans(),
)
def test_the_newest_version_is_what_was_delivered_last(
    deliveries: list[Delivery], hours: list[int], is_recorded: bool
) -> None:
    stored, said = NOTHING, {}
    for closes, hour in zip(deliveries, hours, strict=False):  # the clock may go back
        height = stored.height
        changed = sum(said.get(symbol) != close for symbol, close in closes.items())
        stored = deliver(stored, checked(closes, is_recorded=is_recorded), START + timedelta(hours=hour))
        said |= closes
        assert in_force(stored, FOREVER) == said
        assert stored.height == height + changed
        assert stored.select("symbol", "known_at").is_duplicated().sum() == 0


@settings(deadline=None, max_examples=20)
@given(deliveries=DELIVERIES, hours=st.lists(st.integers(-48, 48), min_size=7, max_size=7))
def test_later_versions_are_known_later_whatever_the_clock_says(
    deliveries: list[Delivery], hours: list[int]
) -> None:
    stored = NOTHING
    for closes, hour in zip(deliveries, hours, strict=False):
        before = {symbol: max(known for known, _ in versions(stored, symbol)) for symbol in stored["symbol"]}
        height = stored.height
        stored = deliver(stored, checked(closes), START + timedelta(hours=hour))
        for symbol, known_at in stored[height:].select("symbol", "known_at").rows():
            assert symbol not in before or known_at > before[symbol]


@settings(deadline=None, max_examples=20)
@given(deliveries=DELIVERIES)
def test_a_look_back_shows_what_had_been_delivered_by_then(deliveries: list[Delivery]) -> None:
    stored, said, expected = NOTHING, {}, {START - timedelta(hours=1): {}}
    for n, closes in enumerate(deliveries):
        at = START + timedelta(hours=n)
        stored = deliver(stored, checked(closes), at)
        said = said | closes
        expected[at] = said
        expected[at + timedelta(minutes=59)] = said
    assert {at: in_force(stored, at) for at in expected} == expected


@settings(deadline=None, max_examples=20)
@given(deliveries=DELIVERIES, is_recorded=st.booleans())
def test_an_identical_delivery_adds_nothing(deliveries: list[Delivery], is_recorded: bool) -> None:
    stored = NOTHING
    for n, closes in enumerate(deliveries):
        rows = checked(closes, is_recorded=is_recorded)
        stored = deliver(stored, rows, START + timedelta(hours=n))
        assert deliver(stored, rows, START + timedelta(hours=n)).equals(stored)
        assert deliver(stored, rows.reverse(), START + timedelta(hours=n + 1)).equals(stored)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with Store(tmp_path_factory.mktemp("versions") / "warehouse.duckdb") as opened:
        yield opened


@settings(deadline=None, max_examples=40)
@given(deliveries=DELIVERIES, last=DELIVERIES, hours=st.integers(-48, 480))
def test_what_repeats_the_only_stored_version_need_not_be_compared(
    store: Store, deliveries: list[Delivery], last: list[Delivery], hours: int
) -> None:
    stored, at = NOTHING, START + timedelta(hours=hours)
    for number, closes in enumerate(deliveries):
        stored = deliver(stored, checked(closes, str(number)), START + timedelta(days=number))
    store.con.execute("DELETE FROM raw.bars")
    store._marked = {}  # it knows of no deletion
    store.append(raw.Bars, stored)
    rows = pl.concat([checked({}), *(checked(closes, "new") for closes in last[:2])])
    fewer = unsaid(rows, raw.Bars, ["source", "symbol", "interval", "opened_at"], store)
    whole, short = (new_versions(raw.Bars, one, NOTHING, stored, at) for one in (rows, fewer))
    assert short.equals(whole)
    if len(last) == 1:
        said = {symbol: [close for _, close in versions(stored, symbol)] for symbol in last[0]}
        assert set(fewer["symbol"]) == {
            symbol for symbol, close in last[0].items() if said[symbol] != [close]
        }


def test_a_value_that_comes_back_is_a_third_version() -> None:
    stored = NOTHING
    for n, close in enumerate([1.0, 2.0, 1.0]):
        stored = deliver(stored, checked({"SPY": close}), START + timedelta(hours=n))
    assert versions(stored) == [
        (START, 1.0),
        (START + timedelta(hours=1), 2.0),
        (START + timedelta(hours=2), 1.0),
    ]


def test_a_clock_that_went_back_puts_the_version_a_tick_after_the_last() -> None:
    stored = deliver(NOTHING, checked({"SPY": 1.0}), START)
    stored = deliver(stored, checked({"SPY": 2.0}), START - timedelta(days=3))
    assert versions(stored) == [(START, 1.0), (START + timedelta(microseconds=1), 2.0)]


def test_a_recorded_bar_was_known_when_it_was_final_and_later_versions_when_they_came() -> None:
    stored = deliver(NOTHING, checked({"SPY": 1.0}, is_recorded=True), START)
    stored = deliver(stored, checked({"SPY": 2.0}, is_recorded=True), START + timedelta(hours=1))
    assert stored.select("known_at", "is_known_at_assumed").rows() == [
        (FINAL_AT, True),
        (START + timedelta(hours=1), False),
    ]


def test_a_live_bar_was_known_when_it_was_loaded() -> None:
    stored = deliver(NOTHING, checked({"SPY": 1.0}), START)
    assert stored.select("known_at", "is_known_at_assumed").rows() == [(START, False)]


def test_only_a_first_version_is_new() -> None:
    stored = deliver(NOTHING, checked({"SPY": 1.0}), START)
    news = new_versions(raw.Bars, checked({"SPY": 2.0, "IWM": 2.0}), NOTHING, stored, START)
    assert dict(news.select("symbol", "is_new").rows()) == {"IWM": True, "SPY": False}


def test_a_figure_that_appears_or_vanishes_is_a_change() -> None:
    stored = deliver(NOTHING, checked({"SPY": 1.0}), START)
    with_volume = checked({"SPY": 1.0}).with_columns(volume=pl.lit(5.0))
    stored = deliver(stored, with_volume, START + timedelta(hours=1))
    stored = deliver(stored, checked({"SPY": 1.0}), START + timedelta(hours=2))
    assert stored["volume"].to_list() == [None, 5.0, None]


def test_the_load_is_no_figure() -> None:
    stored = deliver(NOTHING, checked({"SPY": 1.0}, load_id="1"), START)
    assert deliver(stored, checked({"SPY": 1.0}, load_id="2"), START).equals(stored)


def test_a_row_that_two_requests_brought_is_stored_once() -> None:
    both = pl.concat([checked({"SPY": 1.0}, load_id="1"), checked({"SPY": 1.0}, load_id="2")])
    assert versions(deliver(NOTHING, both, START)) == [(START, 1.0)]


# --- bars that the next one shows to be wrong ---


def test_a_stored_bar_that_proves_frozen_is_withdrawn() -> None:
    stored = deliver(NOTHING, checked({"SPY": 1.0}, load_id="1"), START)
    wrong = checked({"SPY": 1.0}, load_id="2")
    stored = deliver(stored, checked({}), START + timedelta(days=1), frozen=wrong)
    assert versions(stored) == [(START, 1.0), (START + timedelta(days=1), None)]
    withdrawn = stored.row(-1, named=True)
    assert withdrawn["load_id"] == "2"
    assert not withdrawn["is_known_at_assumed"]
    assert [withdrawn[c] for c in ("open", "high", "low", "close", "adj_close", "volume")] == [None] * 6


def test_a_withdrawn_bar_is_not_withdrawn_again_and_may_come_back_right() -> None:
    wrong = checked({"SPY": 1.0})
    stored = deliver(NOTHING, wrong, START)
    stored = deliver(stored, checked({}), START + timedelta(days=1), frozen=wrong)
    assert deliver(stored, checked({}), START + timedelta(days=2), frozen=wrong).equals(stored)
    stored = deliver(stored, checked({"SPY": 9.0}), START + timedelta(days=3))
    assert [close for _, close in versions(stored)] == [1.0, None, 9.0]


def test_a_frozen_bar_that_was_never_stored_leaves_nothing() -> None:
    assert deliver(NOTHING, checked({}), START, frozen=checked({"SPY": 1.0})).is_empty()


# --- vintages ---

MACRO = pl.DataFrame(schema=polars_schema(raw.Macro))
OBSERVED = date(2025, 10, 1)
PUBLIC_AT = datetime(2025, 11, 27, 23, 59, 59, 999999, tzinfo=UTC)  # a declared lag of 57 days


def end_of(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 23, 59, 59, 999999, tzinfo=UTC)


@pytest.fixture(scope="session")
def vintages(request_for: Callable[..., Request], taken: Callable[..., tuple]) -> Callable[..., pl.DataFrame]:
    """Checked rows of one observation as (vintage, value)."""
    request = request_for(model=raw.Macro, item="M2SL", interval=None, release_lag_days=57)

    def make(*said: tuple[date, float]) -> pl.DataFrame:
        rows = pl.DataFrame(
            [("M2SL", OBSERVED, value, day.isoformat()) for day, value in said],
            schema=["series_id", "observed_on", "value", "vintage"],
            orient="row",
        )
        batch, refused = taken(rows, request)
        assert refused == []
        return batch.rows

    return make


def macro_versions(stored: pl.DataFrame) -> list[tuple[datetime, float, bool]]:
    return stored.sort("known_at").select("known_at", "value", "is_known_at_assumed").rows()


def test_the_first_vintage_is_known_when_public_and_later_ones_at_the_end_of_their_day(
    vintages: Callable[..., pl.DataFrame],
) -> None:
    said = vintages((date(2025, 12, 1), 10.0), (date(2025, 12, 20), 10.0), (date(2026, 1, 20), 11.0))
    stored = deliver(MACRO, said, START, MACRO, raw.Macro)
    assert macro_versions(stored) == [(PUBLIC_AT, 10.0, True), (end_of(date(2026, 1, 20)), 11.0, False)]


def test_a_vintage_before_the_declared_lag_shows_that_it_was_out(
    vintages: Callable[..., pl.DataFrame],
) -> None:
    stored = deliver(MACRO, vintages((date(2025, 11, 20), 10.0)), START, MACRO, raw.Macro)
    assert macro_versions(stored) == [(end_of(date(2025, 11, 20)), 10.0, True)]


def test_the_same_vintages_again_add_nothing(vintages: Callable[..., pl.DataFrame]) -> None:
    said = vintages((date(2025, 12, 1), 10.0), (date(2025, 12, 20), 12.0), (date(2026, 1, 20), 11.0))
    stored = deliver(MACRO, said, START, MACRO, raw.Macro)
    assert stored.height == 3
    assert deliver(stored, said, START + timedelta(days=200), MACRO, raw.Macro).equals(stored)


@settings(deadline=None, max_examples=15)
@given(
    values=st.lists(st.sampled_from([1.0, 2.0]), min_size=1, max_size=6),
    cuts=st.sets(st.integers(1, 6)),
)
def test_vintages_give_the_same_history_however_they_are_cut_into_deliveries(
    vintages: Callable[..., pl.DataFrame], values: list[float], cuts: set[int]
) -> None:
    said = [(date(2025, 12, 1) + timedelta(10 * n), value) for n, value in enumerate(values)]
    stored = MACRO
    for end in sorted({min(cut, len(said)) for cut in cuts} | {len(said)}):
        stored = deliver(stored, vintages(*said[:end]), START + timedelta(days=end), MACRO, raw.Macro)
    changes = [said[0]] + [now for last, now in pairwise(said) if now[1] != last[1]]
    assert [value for _, value, _ in macro_versions(stored)] == [value for _, value in changes]
    assert [at for at, _, _ in macro_versions(stored)][1:] == [end_of(day) for day, _ in changes[1:]]


def test_a_vintage_that_is_corrected_on_its_own_day_is_a_further_version(
    vintages: Callable[..., pl.DataFrame],
) -> None:
    stored = MACRO
    for n, value in enumerate([10.0, 11.0, 12.0]):
        rows = vintages((date(2025, 12, 1), value))
        stored = deliver(stored, rows, datetime(2025, 12, 1, 8 + n, tzinfo=UTC), MACRO, raw.Macro)
    assert stored["known_at"].n_unique() == stored.height
    assert [value for _, value, _ in macro_versions(stored)] == [10.0, 11.0, 12.0]


def test_a_live_series_says_its_last_word_though_the_clock_went_back(
    request_for: Callable[..., Request], taken: Callable[..., tuple]
) -> None:
    stored = MACRO
    for at, value in ((START, 10.0), (START - timedelta(days=1), 11.0)):
        request = request_for(
            model=raw.Macro,
            provider="fred",
            source="fred",
            item="M2SL",
            interval=None,
            now=at,
            is_recorded=False,
        )
        rows = pl.DataFrame({"series_id": ["M2SL"], "observed_on": [date(2025, 8, 1)], "value": [value]})
        stored = deliver(stored, taken(rows, request)[0].rows, at, MACRO, raw.Macro)
    assert [value for _, value, _ in macro_versions(stored)] == [10.0, 11.0]
