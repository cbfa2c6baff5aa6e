"""The Federal Reserve's pages as figures: meetings, releases, targets, tone."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from adapters import CALENDAR, FED, STATEMENT
from server import Provider, Said

from flows.fetching import attempt
from flows.intake import take_in
from flows.ledger import land, load_landed
from flows.resume import known
from flows.sources import SourceError, fetch
from flows.sources.fed import calendar, release_time, target
from flows.sources.tone import tone
from schemas import raw
from warehouse.store import Store

SAMPLE = Path(__file__).parents[3] / "samples" / "policy_events.parquet"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "lower the target range for the federal funds rate by 1/4 percentage point to 3-3/4 to 4 percent",
            (3.75, 4.0),
        ),
        ("maintain the target range for the federal funds rate at 0 to 1/4 percent.", (0.0, 0.25)),
        (
            "the target range for the federal funds rate by 1/2 percentage point, to 1 to 1\u20111/4 percent",
            (1.0, 1.25),
        ),
        (
            "who preferred to lower the target range for the federal funds rate by 1/2 percentage point",
            (None, None),
        ),
        ("", (None, None)),
    ],
)
def test_target_range_in_words(text: str, expected: tuple[float | None, float | None]) -> None:
    assert target(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Inflation has moved up.", 1.0),
        ("Job gains have slowed.", -1.0),
        ("The unemployment rate has declined.", 1.0),
        ("Economic growth slowed, while inflation remains elevated.", 0.0),
        ("Spending rose, prices fell, investment weakened, wages fell.", -0.5),
        ("The Committee seeks maximum employment and price stability.", None),
        ("Downside risks to employment rose.", None),
        ("", None),
    ],
)
def test_tone_counts_hawkish_against_dovish_phrases(text: str, expected: float | None) -> None:
    assert tone(text) == expected


HAWKISH = """The economy has grown at a solid pace. Job gains have been strong, and unemployment has declined.
Inflation remains elevated; wages have slowed. The Committee seeks stable prices and low inflation."""
DOVISH = """Household spending has weakened (exports fell). Prices have moved down, employment has dropped.
Risks to growth have increased. The Committee will vote to lower the target range."""


@pytest.mark.parametrize(
    ("statement", "hawkish", "dovish"),
    [
        # economy solid, job strong, gains strong, unemployment declined, inflation elevated against wages
        # slowed; what is sought does not count
        (HAWKISH, 5, 1),
        # spending weakened, prices down, employment dropped; risks, the target and exports do not count
        (DOVISH, 0, 3),
    ],
)
def test_tone_of_a_whole_statement(statement: str, hawkish: int, dovish: int) -> None:
    assert tone(statement) == (hawkish - dovish) / (hawkish + dovish)


def test_sample_is_dovish_in_the_pandemic_and_hawkish_in_the_inflation() -> None:
    events = pl.read_parquet(SAMPLE).filter(pl.col("tone").is_not_null())
    year = pl.col("released_at").dt.year()
    means = dict(events.group_by(year).agg(pl.col("tone").mean()).iter_rows())
    later_2020 = events.filter(pl.col("released_at") > datetime(2020, 4, 1, tzinfo=UTC), year == 2020)
    assert later_2020["tone"].mean() < -0.5
    assert means[2022] > 0.7
    assert events["tone"].is_between(-1, 1).all()


def test_sample_follows_the_targets_and_new_york_time() -> None:
    events = pl.read_parquet(SAMPLE).filter(pl.col("kind") != "meeting")
    assert (events["target_high_pct"] - events["target_low_pct"]).unique().to_list() == [0.25]
    cut = events.filter(pl.col("event_id") == "fomc-2025-10-29").row(0, named=True)
    assert (cut["target_high_pct"], cut["released_at"]) == (4.0, datetime(2025, 10, 29, 18, tzinfo=UTC))
    planned = events.filter(pl.col("kind") == "statement")["released_at"].dt.convert_time_zone(
        "America/New_York"
    )
    assert planned.dt.hour().unique().to_list() == [14]


def test_calendar_names_the_last_day_and_leaves_out_votes_by_notation() -> None:
    assert [(m.day, m.is_unscheduled, m.statement) for m in calendar(CALENDAR)] == [
        (date(2026, 1, 28), False, "/newsevents/pressreleases/monetary20260128a.htm"),
        (date(2026, 5, 1), False, None),
    ]
    odd = CALENDAR.replace("27-28", "15 (unscheduled)")
    assert next(calendar(odd)).is_unscheduled


@pytest.mark.parametrize(
    ("words", "hour"), [("2:00 p.m. EST", 19), ("10:00 a.m. EST", 15), ("12:30 p.m. EST", 17)]
)
def test_release_time(words: str, hour: int) -> None:
    found = release_time(f"For release at {words}", date(2026, 1, 28))
    assert found is not None
    assert found.hour == hour


def test_feed_gives_the_instant_before_the_page_does(provider: Provider) -> None:
    FED.serve(provider)
    feed = provider.routes["press_monetary.xml"]
    provider.routes["press_monetary.xml"] = Said(str(feed.body).replace("19:00:00", "19:00:07"))
    assert fetch(FED.request).rows["released_at"][0] == datetime(2026, 1, 28, 19, 0, 7, tzinfo=UTC)


@pytest.mark.parametrize("page", FED.beside)
def test_page_of_a_hotel_is_neither_a_feed_nor_a_statement(provider: Provider, page: str) -> None:
    hotel = Said("<html><body><p>Sign in to the network</p></body></html>", content_type="text/html")
    FED.serve(provider)
    good, provider.routes[page] = provider.routes[page], hotel
    with pytest.raises(SourceError, match="answered a page without") as caught:
        fetch(FED.request)
    assert caught.value.is_transient
    provider.routes[page] = [hotel, good]
    assert fetch(FED.request).rows.height == 2


def test_statements_from_before_the_range_are_not_read_again(provider: Provider) -> None:
    FED.serve(provider)
    answer = fetch(replace(FED.request, since=date(2026, 2, 1)))
    assert answer.rows["event_id"].to_list() == ["fomc-2026-05-01"]
    assert provider.asked("pressreleases") == []


def test_plan_becomes_a_decision(provider: Provider) -> None:
    FED.serve(provider)
    rows = take_in(FED.request, fetch(FED.request)).rows
    assert rows.select("event_id", "kind").rows() == [
        ("fomc-2026-01-28", "statement"),
        ("fomc-2026-05-01", "meeting"),
    ]
    assert "unemployment" in STATEMENT


class Diary:
    """The calendar page as it changes from run to run, and what is stored of it."""

    def __init__(self, provider: Provider, folder: Path) -> None:
        self.provider, self.folder, self.now = provider, folder, FED.request.now
        FED.serve(provider)

    def learn(self, page: str, **more: object) -> None:
        self.now += timedelta(days=1)
        self.provider.routes[FED.path] = Said(page, content_type="text/html")
        asked = replace(FED.request, now=self.now, load_id=f"{self.now:%d}", **more)
        outcome = attempt(asked, self.folder / "landing")
        with Store(self.folder / "warehouse.duckdb") as store:
            land([outcome], store, self.folder / "landing", f"{self.now:%d}", self.now)
            load_landed(store, self.folder / "landing")

    def kinds(self, as_of: datetime) -> dict[str, str]:
        with Store(self.folder / "warehouse.duckdb") as store:
            events = store.newest(raw.PolicyEvents, as_of)
        return dict(events.select(pl.col("event_id").str.slice(5), "kind").iter_rows())

    @property
    def versions(self) -> int:
        with Store(self.folder / "warehouse.duckdb") as store:
            return store.tables()["raw.policy_events"]


def test_meeting_that_is_moved_is_cancelled_under_its_old_day(provider: Provider, tmp_path: Path) -> None:
    diary = Diary(provider, tmp_path)
    diary.learn(CALENDAR)
    first, moved = diary.now, CALENDAR.replace("30-1*", "5-6")
    diary.learn(moved, since=date(2026, 1, 21))
    assert diary.kinds(diary.now) == {
        "2026-01-28": "statement",
        "2026-05-01": "cancelled",
        "2026-05-06": "meeting",
    }
    assert diary.kinds(first) == {"2026-01-28": "statement", "2026-05-01": "meeting"}  # believed then
    assert diary.versions == 4
    diary.learn(moved)
    assert diary.versions == 4
    diary.learn(CALENDAR)  # and back
    assert diary.kinds(diary.now)["2026-05-01"] == "meeting"
    assert diary.kinds(diary.now)["2026-05-06"] == "cancelled"


def test_part_of_the_calendar_cancels_nothing(provider: Provider, tmp_path: Path) -> None:
    diary = Diary(provider, tmp_path)
    diary.learn(CALENDAR)
    diary.learn(CALENDAR, until=date(2026, 2, 1))
    assert diary.kinds(diary.now)["2026-05-01"] == "meeting"


def test_cancelled_meeting_is_no_decision_to_resume_from(provider: Provider, tmp_path: Path) -> None:
    diary = Diary(provider, tmp_path)
    diary.learn(CALENDAR)
    diary.learn(CALENDAR.replace("30-1*", "30-1 (cancelled)"))
    assert diary.kinds(diary.now)["2026-05-01"] == "cancelled"
    with Store(tmp_path / "warehouse.duckdb") as store:
        assert known(store, diary.now).decided == {"fed": date(2026, 1, 28)}
