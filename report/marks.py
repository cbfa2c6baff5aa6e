"""What the charts are put together from: axes, lines, rules and labels, and the look of a specification."""

import math
from collections.abc import Mapping
from typing import Any

import altair as alt

Spec = dict[str, Any]
FONT = (
    'Inter, ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", Arial, sans-serif'
)
FEWEST = 3  # ticks of an axis
DAY = alt.Scale(type="utc")


def spec(chart: Any, height: int, hover: Mapping[str, str] | None = None) -> Spec:
    """A chart as wide as its panel, with the page's look.

    Args:
        chart: The chart.
        height: In pixels.
        hover: Fields of its rows, with their names, that the page tells for the session under the pointer.
    """
    axis = {
        "domain": False,
        "ticks": False,
        "grid": False,
        "gridColor": "var(--grid)",
        "labelColor": "var(--soft)",
        "labelFontSize": 11.5,
        "labelPadding": 6,
        "titleColor": "var(--soft)",
        "titleFontWeight": "normal",
        "titleFontSize": 11.5,
    }
    made: Spec = (
        chart.properties(
            width="container",
            height=height,
            usermeta={"hover": dict(hover or {})},
            autosize=alt.AutoSizeParams(type="fit-x", contains="padding"),
        )
        .configure(font=FONT, background="transparent", aria=False, padding={"left": 0, "right": 4, "top": 8})
        .configure_view(stroke=None)
        .configure_axis(**axis)
        .configure_axisY(grid=True)
        .to_dict(validate=False)
    )
    return made


def days(title: str | None = None, **options: Any) -> alt.X:
    """The time axis; labels thin out on a narrow screen."""
    return alt.X(
        "session:T", scale=DAY, title=title, axis=alt.Axis(tickCount=6, labelOverlap="greedy"), **options
    )


def log_ticks(low: float, high: float) -> tuple[float, ...]:
    """Round values between two: of the series 1, 2, 5, 10, or where it has too few, at even steps."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    series = [step * 10.0**decade for decade in decades for step in (1, 2, 5)]
    if len(ticks := [value for value in series if low <= value <= high]) >= FEWEST:
        return tuple(ticks)
    step = max(
        value
        for value in (10.0**n * of for n in range(-3, 6) for of in (1, 2, 5))
        if value <= max((high - low) / FEWEST, 0.001)
    )
    return tuple(round(n * step, 6) for n in range(math.ceil(low / step), math.floor(high / step) + 1))


def rule(value: float, label: str = "") -> Any:
    """A horizontal line with its name at the left."""
    point = alt.Chart(alt.InlineData(values=[{"at": value, "label": label}]))
    line = point.mark_rule(color="var(--ink)", strokeDash=[5, 4], strokeWidth=1, opacity=0.7)
    text = point.mark_text(align="left", baseline="bottom", dx=2, dy=-3, color="var(--ink)", fontSize=11.5)
    return line.encode(y="at:Q") + text.encode(x=alt.value(0), y="at:Q", text="label:N")


def end_label(data: str, field: str, text: str, color: str, dy: int = -9) -> Any:
    """A word at the last point of a line, in the line's colour."""
    return (
        alt.Chart(alt.NamedData(data))
        .transform_filter(f"isValid(datum.{field})")
        .transform_window(nth="row_number()", sort=[alt.SortField("session", "descending")])
        .transform_filter("datum.nth == 1")
        .mark_text(align="right", dy=dy, fontSize=12.5, fontWeight=600, color=color)
        .encode(x="session:T", y=f"{field}:Q", text=alt.value(text))
    )


def line(data: str, field: str, color: str, width: float = 1.6, **options: Any) -> Any:
    """One line over time; it breaks where a value is missing."""
    return (
        alt.Chart(alt.NamedData(data))
        .mark_line(color=color, strokeWidth=width, strokeJoin="round", **options)
        .encode(x=days(), y=alt.Y(f"{field}:Q"))
    )


def of_asset(asset: str) -> Any:
    """The rows of one asset; the id is compared, never run."""
    return alt.Chart(alt.NamedData("rows")).transform_filter(
        alt.FieldEqualPredicate(equal=asset, field="asset")
    )
