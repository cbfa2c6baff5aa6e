"""What the figures say, in words: the headline and a title for each panel that states its finding."""

from collections.abc import Mapping
from datetime import date

import polars as pl

from report.figures import Row, day, interval, number, share

ENTER, LEAVE = 0.05, 0.10  # what mart.regimes adds to and takes from the threshold
NEUTRAL = 0.25  # standard deviations; less is not told as looser or tighter
VERDICTS = {
    "strong": "The whole interval lies above {threshold:g}: the link is strong.",
    "weak": "The whole interval lies below {threshold:g}: the link is not strong.",
    "undetermined": "The interval lies on both sides of {threshold:g}, so the data do not decide whether the "
    "link is strong.",
}

TROUBLED = {  # of a source: how one and how several of them stand
    "empty": ("has brought nothing yet", "have brought nothing yet"),
    "stale": ("is stale", "are stale"),
    "failed": ("failed at the last load", "failed at the last load"),
}
CITIES = {  # of the exchanges whose calendar a study may follow; another is told by its calendar's name
    "XNYS": "New York", "XLON": "London", "XETR": "Frankfurt", "XFRA": "Frankfurt", "XPAR": "Paris",
    "XAMS": "Amsterdam", "XSWX": "Zurich", "XMIL": "Milan", "XMAD": "Madrid", "XSTO": "Stockholm",
    "XTSE": "Toronto", "BVMF": "Sao Paulo", "XTKS": "Tokyo", "XHKG": "Hong Kong", "XSHG": "Shanghai",
    "XKRX": "Seoul", "XBOM": "Mumbai", "XSES": "Singapore", "XASX": "Sydney",
}  # fmt: skip


def titled(name: str, kind: str) -> str:
    """A name as it stands in a sentence."""
    return f"the {name}" if kind == "index" and not name.lower().startswith("the ") else name


def sentence(text: str) -> str:
    """With a capital at its start; ids and the rest stay as they are."""
    return text[:1].upper() + text[1:]


def deck(row: Row, threshold: float) -> str:
    """The headline's reading for someone without statistics."""
    said = (
        f"Over the {row['window_sessions']} sessions up to {day(row['session'])} their daily returns "
        f"correlated at {number(row['r'])}. With that many sessions the data allow anything "
        f"from {number(row['lo95'])} to {number(row['hi95'])}. "
    )
    return said + VERDICTS[row["verdict"]].format(threshold=threshold)


def regime(row: Row, threshold: float) -> tuple[str, str]:
    """Since when the link has been in its state, and what it takes to change that."""
    if row["regime"] is None:
        return "Regime: none yet", "It forms after five sessions clearly above or below the threshold"
    turn = (
        f"or below {threshold - LEAVE:.2f}"
        if row["regime"] == "linked"
        else f"or above {threshold + ENTER:.2f}"
    )
    return (
        f"Regime: {row['regime']} since {day(row['regime_since'])}",
        f"It follows the correlation, not its interval, and slowly: it turns after five sessions at {turn}",
    )


def changes(rows: list[Row], session: date, clocks: Mapping[str, str]) -> list[tuple[str, list[Row]]]:
    """What differs from the session before, by when; `session` is that of the headline."""
    if not rows:
        return [("Nothing changed", [])]
    told: dict[tuple[date, date], list[Row]] = {}
    for row in rows:
        what = row["what"].replace(":", "")
        for convention, clock in clocks.items():
            what = what.replace(convention, clock)
        told.setdefault((row["session"], row["session_before"]), []).append({**row, "what": what})
    return [(since(*when, session), told[when]) for when in sorted(told)]


def since(newest: date, before: date, session: date) -> str:
    """When a word changed, for a reader of the headline's session."""
    if newest > session:
        return f"Since then, on {day(newest)}, without a correlation"
    on = "" if newest == session else f" on {day(newest)}"
    return f"Changed{on} since {day(before)}"


def clocks(calendar: str) -> dict[str, str]:
    """When each convention takes its prices; the close is that of the study's exchange."""
    return {"session_close": f"{CITIES.get(calendar, calendar)} close", "utc_day": "midnight UTC"}


def two_clocks(rows: pl.DataFrame, names: Mapping[str, str]) -> str:
    """How much the hour of the price matters."""
    newest = rows.sort("session").row(-1, named=True)
    told = {clock: f"{number(newest[clock])} {interval(newest, of=f'{clock}_')}" for clock in names}
    return (
        f"The clock matters: {told['session_close']} at the {names['session_close']}, {told['utc_day']} at "
        f"{names['utc_day']}"
    )


def apart(rows: pl.DataFrame) -> str:
    """Of which session the two clocks are told, and how far they have been apart."""
    gap = (rows["session_close"] - rows["utc_day"]).abs().max()
    first, newest = rows.sort("session")["session"].gather([0, -1])
    return (
        f"Both on {day(newest)}, the newest session that both clocks have; since {day(first)} they were up "
        f"to {number(float(str(gap)))} apart. "
    )


def growth(rows: pl.DataFrame, target: str, benchmark: str) -> str:
    """What 100 became."""
    newest = rows.sort("session").row(-1, named=True)
    return (
        f"100 in {target} became {number(newest['target'], ',.0f')}, in {benchmark} "
        f"{number(newest['benchmark'], ',.0f')}"
    )


def stretches(regimes: pl.DataFrame, since: date) -> str:
    """How often, and for how much of the time, the two were linked; regimes oldest first."""
    linked = regimes.filter(pl.col("state") == "linked")
    if regimes.is_empty():
        return "No regime of the link has formed yet"
    share = int(linked["sessions"].sum()) / int(regimes["sessions"].sum())
    times = "one stretch" if linked.height == 1 else f"{linked.height} stretches"
    year = max(since, regimes["since"][0]).year
    return f"Since {year} the two were linked in {times}, {number(share, '.0%')} of the time"


def momentum(rows: pl.DataFrame, target: str, benchmark: str, names: Mapping[str, str]) -> str:
    """Where RSI stands, and whether the histograms have one sign."""
    newest = {row["asset"]: row for row in rows.sort("session").iter_rows(named=True)}
    if {target, benchmark} - newest.keys():
        return "Momentum of the two"
    a, b = newest[target], newest[benchmark]
    ways = "the same way" if (a["macd_hist_pct"] or 0) * (b["macd_hist_pct"] or 0) > 0 else "two ways"
    return (
        f"RSI stands at {number(a['rsi_14'], '.0f')} for {names[target]} and "
        f"{number(b['rsi_14'], '.0f')} for {names[benchmark]}; momentum points {ways}"
    )


def breadth(rows: pl.DataFrame) -> str:
    """The newest share of members above their mean."""
    known = rows.drop_nulls("share_above_50").sort("session")
    if known.is_empty():
        return "Breadth is still warming up"
    row = known.row(-1, named=True)
    share = number(row["share_above_50"], ".0%")
    return f"{share} of the members with a 50-session mean stand above it"


def liquidity(rows: pl.DataFrame) -> str:
    """Looser or tighter, and by how much."""
    value = rows.sort("session")["composite"][-1]
    lean = (
        "close to neutral"
        if abs(value) < NEUTRAL
        else "looser than usual"
        if value > 0
        else "tighter than usual"
    )
    return f"Money and credit are {lean}: the composite stands at {number(value, '+.2f')}"


def lead_lag(rows: pl.DataFrame) -> str:
    """Whether any shift in time stands out from chance."""
    shifted = rows.filter(pl.col("lag_sessions") != 0).with_columns(size=pl.col("r").abs()).sort("size")
    if shifted.is_empty():
        return "Lead and lag"
    row = shifted.row(-1, named=True)
    if row["band95"] is None:
        return "There are too few sessions to say whether one of the two leads"
    lag = number(row["lag_sessions"], "+d")
    if row["size"] <= row["band95"]:
        return (
            f"Neither leads: away from lag 0 the strongest is {number(row['r'])} at {lag} sessions, inside "
            f"the \N{PLUS-MINUS SIGN}{number(row['band95'])} that chance reaches"
        )
    return f"One lag stands out: {number(row['r'])} at {lag} sessions"


def conditions(row: Row | None) -> str:
    """How many of the signal's conditions are met, and the state that follows."""
    if row is None:
        return "The signal is not known yet"
    met = row["conditions_met"]
    counted = "None" if met == 0 else "One" if met == 1 else str(met)
    return f"{counted} of six conditions {'is' if met == 1 else 'are'} met: {row['state'].replace('_', ' ')}"


def strongest(rows: pl.DataFrame) -> str:
    """The pair with the largest correlation."""
    row = rows.with_columns(size=pl.col("r").abs()).sort("size").row(-1, named=True)
    both = f"{row['asset']} and {row['benchmark']}"
    return f"Of all pairs, {both} stand closest: {number(row['r'])} {interval(row)}"


def standing(row: Row) -> str:
    """How a source stands; one that failed is fresh no more, though what is stored may be."""
    if row["last_session"] is None:
        return "empty"
    if row["is_stale"]:
        return "stale"
    return "failed" if row["last_load"] in {"failed", "refused"} else "fresh"


def freshness(rows: list[Row], names: Mapping[str, str]) -> str:
    """How many sources are not as they should be, and of which assets."""
    told = []
    for state, (one, several) in TROUBLED.items():
        found = [row for row in rows if standing(row) == state]
        assets = ", ".join(dict.fromkeys(names.get(row["asset"], row["asset"]) for row in found))
        told += [f"{len(found)} {one if len(found) == 1 else several}: {assets}"] if found else []
    return f"Of {len(rows)} sources, {'; '.join(told)}" if told else "Every source is fresh"


def not_known(rows: list[Row], both: Mapping[str, str], *, by_utc_days: bool) -> str:
    """Why there is no headline, by how the sources of the two assets stand; `both` are their names by id."""
    if by_utc_days:
        return (
            "By UTC days their correlation is known, and shown here. Headline, signal and claims go by "
            "prices at the exchange's close, which come of hourly candles: there are too few."
        )
    known = {row["asset"] for row in rows if standing(row) != "empty"}
    if lacking := [name for asset, name in both.items() if asset not in known]:
        return f"No price of {' and '.join(lacking)} was stored yet. What was asked for is listed below."
    return "There are fewer joint sessions than the shortest window needs. What was loaded is listed below."


def sure(verdicts: Mapping[str, int], threshold: float) -> str:
    """On how many of some sessions the data decided; nothing is said of none."""
    total = sum(verdicts.values())
    if not total:
        return ""
    strong, weak, open_ = (share(verdicts.get(v, 0), total) for v in ("strong", "weak", "undetermined"))
    return (
        f"The whole interval lay above {threshold:g} on {strong} of the sessions, below it on {weak}, and on "
        f"both sides of it, undetermined, on {open_}. "
    )


def claims(rows: list[Row]) -> str:
    """How the claims fared."""
    counts = {verdict: sum(row["verdict"] == verdict for row in rows) for verdict in ("held", "not held")}
    undecided = len(rows) - sum(counts.values())
    return (
        f"Of {len(rows)} claims of the article, {counts['held']} held, {counts['not held']} did not, "
        f"and {undecided} the data do not decide"
    )
