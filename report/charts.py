"""The charts: one function each, Altair in, a Vega-Lite specification out.

Colours are custom properties of the page's style sheet (`var(--target)`), so that one specification serves
light, dark and print. Data are named here and handed over beside the specification, which depends on its
arguments alone and is made once for them (`report.drawn`): read it, do not change it.
"""

from functools import cache

import altair as alt

from report.drawn import Spec
from report.marks import DAY, days, end_label, line, of_asset, rule, spec

TALL, MEDIUM, LOW = 320, 220, 150
CORRELATION = alt.Scale(domain=[-1, 1])
INTERVAL = alt.Tooltip("range:N", title="95% interval")
TILE = 76  # pixels that an interval takes in a tile
TICKS = [-1, -0.5, 0, 0.5, 1]


@cache
def link(threshold: float, window: int) -> Spec:
    """The rolling correlation: band, threshold, and shading where the regime is linked."""
    y = alt.Y("lo95:Q", scale=CORRELATION, title=None, axis=alt.Axis(values=TICKS))
    shade = (
        alt.Chart(alt.NamedData("regimes"))
        .transform_filter("datum.state == 'linked'")
        .mark_rect(color="var(--shade)")
        .encode(x=alt.X("since:T", scale=DAY), x2="until:T")
    )
    band = alt.Chart(alt.NamedData("rows")).mark_area(color="var(--target)", opacity=0.2)
    drawn = shade + band.encode(x=days(), y=y, y2="hi95:Q") + line("rows", "r", "var(--target)")
    tips = {"r": f"r{window}", "lo95": "lower end", "hi95": "upper end"}
    return spec(drawn + rule(threshold, f"strong above {threshold:g}"), TALL, tips)


@cache
def windows(threshold: float, window: int) -> Spec:
    """The same for another window, small."""
    rows = alt.Chart(alt.NamedData("rows")).transform_filter(f"datum.window_sessions == {window}")
    y = alt.Y("lo95:Q", scale=CORRELATION, title=None, axis=alt.Axis(values=TICKS))
    band = rows.mark_area(color="var(--target)", opacity=0.2).encode(x=days(), y=y, y2="hi95:Q")
    drawn = rows.mark_line(color="var(--target)", strokeWidth=1.3).encode(x=days(), y="r:Q")
    return spec(band + drawn + rule(threshold), LOW)


@cache
def today(threshold: float) -> Spec:
    """Every window in both conventions as a dot with its interval."""
    rows = alt.Chart(alt.NamedData("rows"))
    x = alt.X("lo95:Q", scale=CORRELATION, title=None, axis=alt.Axis(values=TICKS, grid=True))
    shape = {
        "y": alt.Y(
            "label:N",
            sort=None,
            title=None,
            scale=alt.Scale(padding=0.8),
            axis=alt.Axis(labelLimit=220, labelPadding=10),
        ),
        "color": alt.condition(
            "datum.convention == 'session_close'", alt.value("var(--target)"), alt.value("var(--other)")
        ),
    }
    whisker = rows.mark_rule(strokeWidth=3, opacity=0.35, strokeCap="round").encode(x=x, x2="hi95:Q", **shape)
    tips = [alt.Tooltip("label:N", title="window"), alt.Tooltip("said:N", title="r"), INTERVAL]
    dot = rows.mark_point(filled=True, size=90, opacity=1).encode(x="r:Q", tooltip=tips, **shape)
    said = rows.mark_text(dy=-13, fontSize=12, fontWeight=600).encode(x="r:Q", text="said:N", **shape)
    bar = alt.Chart(alt.InlineData(values=[{"at": threshold}]))
    bar_line = bar.mark_rule(strokeDash=[5, 4], color="var(--ink)", opacity=0.7).encode(x="at:Q")
    return spec(bar_line + whisker + dot + said, 230)


@cache
def conventions(threshold: float, close: str, day: str) -> Spec:
    """The same correlation by two clocks."""
    y = alt.Y("session_close:Q", title=None, scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=5))
    at_close = line("rows", "session_close", "var(--target)", 1.8).encode(y=y)
    lines = line("rows", "utc_day", "var(--other)", 1.4) + at_close
    tips = {"session_close": close, "utc_day": day}
    return spec(lines + rule(threshold), MEDIUM, tips)


@cache
def overlay(target: str, benchmark: str, ticks: tuple[float, ...], rises: tuple[int, int]) -> Spec:
    """Growth of 100 in both, on a logarithmic scale."""
    scale, axis = alt.Scale(type="log", nice=False), alt.Axis(values=ticks, format=",")
    made = []
    for field, name, color, rise in (
        ("target", target, "var(--target)", rises[0]),
        ("benchmark", benchmark, "var(--benchmark)", rises[1]),
    ):
        made.append(
            line("rows", field, color).encode(y=alt.Y(f"{field}:Q", scale=scale, title=None, axis=axis))
        )
        made.append(end_label("rows", field, name, color, rise))
    tips = {"target": target, "benchmark": benchmark}
    return spec(alt.layer(*made), TALL, tips)


@cache
def rsi(asset: str, color: str) -> Spec:
    """RSI 14 with the bounds that are usual."""
    y = alt.Y("rsi_14:Q", scale=alt.Scale(domain=[0, 100]), title=None, axis=alt.Axis(values=[30, 50, 70]))
    return spec(of_asset(asset).mark_line(color=color, strokeWidth=1.5).encode(x=days(), y=y), LOW)


@cache
def macd(asset: str, color: str) -> Spec:
    """MACD histogram in percent of the price, so that the two can be compared."""
    y = alt.Y("macd_hist_pct:Q", title=None, axis=alt.Axis(tickCount=4, format="+.1f"))
    return spec(of_asset(asset).mark_area(color=color, opacity=0.75).encode(x=days(), y=y), LOW)


@cache
def breadth() -> Spec:
    """Share of members above their means."""
    axis = alt.Axis(format=".0%", values=[0, 0.25, 0.5, 0.75, 1])
    scale = alt.Scale(domain=[0, 1])
    slow = line("rows", "share_above_200", "var(--other)", 1.3)
    fast = line("rows", "share_above_50", "var(--benchmark)", 1.6)
    fast = fast.encode(y=alt.Y("share_above_50:Q", scale=scale, title=None, axis=axis))
    tips = {"share_above_50": "above 50-session mean", "share_above_200": "above 200-session mean"}
    return spec(slow + fast, MEDIUM, tips)


@cache
def liquidity() -> Spec:
    """The composite over time, tinted by its sign."""
    y = alt.Y("composite:Q", title=None, axis=alt.Axis(tickCount=5, format="+.1f"))
    area = alt.Chart(alt.NamedData("rows")).mark_area(color="var(--benchmark)", opacity=0.25)
    drawn = area.encode(x=days(), y=y) + line("rows", "composite", "var(--benchmark)", 1.2)
    return spec(drawn, MEDIUM, {"composite": "composite"})


@cache
def lead_lag(target: str, benchmark: str) -> Spec:
    """A stem a lag, against the band that chance reaches."""
    rows = alt.Chart(alt.NamedData("rows"))
    title = f"sessions by which {benchmark} leads {target} (left of 0: {target} leads)"
    x = alt.X(
        "lag_sessions:Q", title=title, scale=alt.Scale(domain=[-20.5, 20.5]), axis=alt.Axis(tickCount=9)
    )
    y = alt.Y("r:Q", title=None, axis=alt.Axis(tickCount=5))
    band = rows.transform_calculate(low="-datum.band95").mark_area(color="var(--other)", opacity=0.18)
    color = alt.condition(
        "abs(datum.r) > datum.band95", alt.value("var(--target)"), alt.value("var(--other)")
    )
    tips = [alt.Tooltip(f"{field}:Q") for field in ("lag_sessions", "r", "band95", "n")]
    stem = rows.mark_bar(size=5).encode(x=x, y=y, color=color, tooltip=tips)
    return spec(band.encode(x=x, y=alt.Y("low:Q", title=None), y2="band95:Q") + stem, MEDIUM)


@cache
def all_pairs(rows: int) -> Spec:
    """Every pair as a tile: colour by class of the correlation, the figure in it."""
    x = alt.X("asset:N", title=None, axis=alt.Axis(orient="top", labelAngle=0, labelFontWeight=600))
    y = alt.Y(
        "benchmark:N",
        title=None,
        sort=alt.EncodingSortField("r", "mean", "descending"),
        axis=alt.Axis(grid=False),
    )
    classes = alt.Scale(
        domain=[-0.5, -0.3, -0.1, 0.1, 0.3, 0.5],
        range=[f"var(--r{n})" for n in range(7)],
        type="threshold",
    )
    told = [alt.Tooltip(f"{field}:N") for field in ("asset", "benchmark", "verdict")]
    tips = [*told, alt.Tooltip("said:N", title="r"), INTERVAL]
    base = alt.Chart(alt.NamedData("rows")).encode(x=x, y=y)
    tile = base.mark_rect(stroke="var(--paper)", strokeWidth=2)
    figure = base.mark_text(fontSize=12, color="var(--ink)", dy=-6).encode(text="said:N")
    is_wide = f"width > {TILE} * domain('x').length"
    between = alt.condition(is_wide, "range:N", alt.value(""))
    text = figure + base.mark_text(fontSize=10, color="var(--ink)", dy=8).encode(text=between)
    return spec(
        tile.encode(color=alt.Color("r:Q", scale=classes, legend=None), tooltip=tips) + text,
        max(80, 38 * rows + 30),
    )
