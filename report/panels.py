"""The panels of the page: question, finding, chart and table of each, in reading order."""

from collections.abc import Callable, Iterator

import polars as pl

from report import queries, words
from report.drawn import Drawn
from report.figures import day
from report.layout import layout
from report.panel import SINCE, Figure, Pair, Panel, with_words
from report.queries import Answer, Connection, ask


def panels(con: Connection, pair: Pair, draw: Drawn) -> Iterator[Panel]:
    """Every panel with something to show, or that says why it has nothing."""
    for make in (
        today,
        link,
        windows,
        conventions,
        overlay,
        momentum,
        breadth,
        liquidity,
        lead_lag,
        all_pairs,
    ):
        yield make(pair, lambda query: ask(con, query, pair.values), draw)


Ask = Callable[[str], Answer]


def today(pair: Pair, ask: Ask, draw: Drawn) -> Panel:
    """Every window and convention, with its interval."""
    answer = ask(queries.TODAY)
    clock = pl.col("convention").replace(pair.clocks)
    label = pl.format("{} sessions, {}", "window_sessions", clock)
    rows = with_words(answer.rows.with_columns(label=label))
    rows = rows.select("label", "convention", "r", "lo95", "hi95", "said", "range")
    said = "; ".join(" ".join(row) for row in rows.select("label", "said", "range").iter_rows())
    figure = Figure(
        "", f"Correlation and 95% interval. {said}", draw("today", pair.threshold), {"rows": rows}
    )
    return Panel(
        "today",
        "How strong, and how sure",
        "Dot: the correlation of daily log returns. Bar: its 95% interval, with fat tails allowed for. "
        f"Dashed: {pair.threshold:g}, above which a link counts as strong.",
        [answer],
        [figure] if rows.height else [],
    )


def link(pair: Pair, ask: Ask, draw: Drawn) -> Panel:
    """The link over time."""
    answer, regimes = ask(queries.LINK), ask(queries.REGIMES)
    known = answer.rows.drop_nulls("r")
    title = words.stretches(regimes.rows, SINCE) if pair.is_same_instant else "The link by UTC days"
    said = f"Rolling correlation over {pair.window} sessions since {SINCE.year}. {title}."
    shown = answer.rows.filter(pl.col("r").is_not_null().cum_sum() > 0).drop(
        "verdict"
    )  # from the first that is known
    data = {"rows": shown, "regimes": regimes.rows.drop("sessions")}
    counts = dict(known.group_by("verdict").len().iter_rows())
    return Panel(
        "link",
        title,
        f"Rolling correlation over {pair.window} sessions with its 95% interval. "
        f"{words.sure(counts, pair.threshold)}"
        "Windows overlap, so neighbouring days tell much the same story.",
        [answer, regimes],
        [Figure("", said, draw("link", pair.threshold, pair.window), data)] if known.height else [],
        [("target", "correlation"), ("band", "95% interval"), ("shade", "linked")],
        is_wide=True,
    )


def windows(pair: Pair, ask: Ask, draw: Drawn) -> Panel:
    """The other windows."""
    answer = ask(queries.WINDOWS)
    figures = [
        Figure(
            f"{window} sessions",
            f"Rolling correlation over {window} sessions with its 95% interval.",
            draw("windows", pair.threshold, window),
            {"rows": answer.rows.filter(pl.col("window_sessions") == window)},
        )
        for window in answer.rows["window_sessions"].unique(maintain_order=True)
    ]
    note = "A short window reacts sooner and knows less; a long one is surer and late."
    return Panel("windows", "The same link through other windows", note, [answer], figures)


def conventions(pair: Pair, ask: Ask, draw: Drawn) -> Panel:
    """The same correlation by two clocks."""
    answer = ask(queries.CONVENTIONS)
    figure = Figure(
        "",
        f"Correlation over {pair.window} sessions by two clocks, the last {answer.rows.height} sessions.",
        draw("conventions", pair.threshold, *pair.clocks.values()),
        {"rows": answer.rows.sort("session").select("session", *pair.clocks)},
    )
    apart = words.apart(answer.rows) if answer.rows.height else ""
    return Panel(
        "conventions",
        words.two_clocks(answer.rows, pair.clocks) if answer.rows.height else "Two clocks",
        f"{apart}Crypto priced at the instant of the exchange's close, against the daily candle that "
        "most charts use, which ends at midnight UTC.",
        [answer],
        [figure] if answer.rows.height else [],
        [("target", pair.clocks["session_close"]), ("other", pair.clocks["utc_day"])],
    )


def overlay(pair: Pair, ask: Ask, draw: Drawn) -> Panel:
    """Both prices as growth of 100."""
    answer = ask(queries.OVERLAY)
    rows = answer.rows
    title = words.growth(rows, *pair.both) if rows.height else "Growth of 100"
    first = f" since {day(rows.sort('session')['session'][0])}" if rows.height else ""
    said = f"{title}{first}. Logarithmic scale."
    return Panel(
        "overlay",
        title,
        f"Growth{first} with dividends, if the source has them: an index is a price. On a logarithmic scale, "
        "where equal distances are equal percentages. Two lines that "
        "rise together are no correlation; that is measured on daily returns above.",
        [answer],
        [Figure("", said, draw("overlay", *pair.both, *layout(rows)), {"rows": rows})] if rows.height else [],
        is_wide=True,
    )


def momentum(pair: Pair, ask: Ask, draw: Drawn) -> Panel:
    """RSI and MACD of both."""
    answer = ask(queries.MOMENTUM)
    figures = [
        Figure(
            f"{label}, {name}",
            f"{label} of {name} over the last year.",
            draw(chart, asset, color),
            {"rows": answer.rows.filter(pl.col("asset") == asset)},
        )
        for label, chart in (("RSI 14", "rsi"), ("MACD histogram, % of price", "macd"))
        for asset, name, color in (
            (pair.target, pair.both[0], "var(--target)"),
            (pair.benchmark, pair.both[1], "var(--benchmark)"),
        )
    ]
    title = words.momentum(answer.rows, pair.target, pair.benchmark, pair.names)
    bars = "session closes" if pair.is_same_instant else "UTC days"
    note = f"The last year, on {bars}. RSI 14 by Wilder; MACD 12/26/9, its scales differ."
    return Panel("momentum", title, note, [answer], figures if answer.rows.height else [], is_wide=True)


def breadth(pair: Pair, ask: Ask, draw: Drawn) -> Panel:
    """How many members take part."""
    answer = ask(queries.BREADTH)
    title = words.breadth(answer.rows) if answer.rows.height else "Breadth"
    bases = set(answer.rows["basis"])
    warn = (
        " Counted over today's survivors, so the past looks better than it was." if "panel" in bases else ""
    )
    figure = Figure("", f"{title}.", draw("breadth"), {"rows": answer.rows.drop("basis", "members")})
    keys = [("benchmark", "above their 50-session mean"), ("other", "above their 200-session mean")]
    note = f"Share of the members of {pair.both[1]}.{warn} Gaps: too few members with a bar."
    return Panel("breadth", title, note, [answer], [figure] if answer.rows.height else [], keys)


def liquidity(pair: Pair, ask: Ask, draw: Drawn) -> Panel:  # noqa: ARG001 - every panel has one signature
    """Money and credit."""
    answer = ask(queries.LIQUIDITY)
    title = words.liquidity(answer.rows) if answer.rows.height else "Liquidity"
    rows = answer.rows.select("session", "composite")
    figure = Figure("", f"{title}.", draw("liquidity"), {"rows": rows})
    note = (
        "Mean of five parts, each the z-score of a 13-week change as it was public at the time: net "
        "liquidity, financial conditions, high-yield spread, two-year yield, dollar. Above 0: looser."
    )
    return Panel("liquidity", title, note, [answer], [figure] if rows.height else [])


def lead_lag(pair: Pair, ask: Ask, draw: Drawn) -> Panel:
    """Shifted in time."""
    answer = ask(queries.LEAD_LAG)
    title = words.lead_lag(answer.rows) if answer.rows.height else "Lead and lag"
    figure = Figure(
        "", f"{title}.", draw("lead_lag", pair.target, pair.benchmark), {"rows": answer.rows.drop("p_value")}
    )
    note = "Cross-correlation over all history. Grey: what the largest of all lags reaches by chance."
    return Panel("lead-lag", title, note, [answer], [figure] if answer.rows.height else [])


def all_pairs(pair: Pair, ask: Ask, draw: Drawn) -> Panel:
    """The heat map."""
    answer = ask(queries.ALL_PAIRS)
    rows = answer.rows
    title = words.strongest(rows) if rows.height else "All pairs"
    tall = rows["benchmark"].n_unique()
    data = {"rows": with_words(rows)}
    figure = Figure("", f"{title}. Tiles of {rows.height} pairs.", draw("all_pairs", tall), data)
    note = (
        f"Correlation over {pair.window} sessions at each pair's newest session; below it, where there is "
        "room, its 95% interval."
    )
    return Panel("all-pairs", title, note, [answer], [figure] if rows.height else [])
