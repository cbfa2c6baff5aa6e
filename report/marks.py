"""What the charts are put together from: axes, lines, rules and labels, and the look of a specification."""

from collections.abc import Mapping
from typing import Any

import altair as alt

from report.drawn import Spec

FONT = (
    'Inter, ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", Arial, sans-serif'
)
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
