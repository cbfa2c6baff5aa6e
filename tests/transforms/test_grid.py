"""Numbers of rows, against a plain dictionary."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.grid import numbered

VALUES = st.sampled_from([None, "", "A", "B", "a longer name than twelve bytes"])


@given(st.lists(st.tuples(VALUES, VALUES), max_size=40), st.booleans())
def test_rows_are_numbered_as_a_dictionary_would(
    rows: list[tuple[str | None, str | None]], whole: bool
) -> None:
    rows = sorted(rows, key=str) if whole else rows
    frame = pl.DataFrame(rows, schema={"x": pl.String, "y": pl.String}, orient="row")
    distinct, places = numbered(frame, ["x", "y"])
    assert [distinct.row(place) for place in places] == rows
    assert distinct.rows() == sorted(set(rows), key=lambda row: [(one is not None, one) for one in row])


@pytest.mark.parametrize("count", [0, 1])
def test_none_or_one_row_is_numbered_too(count: int) -> None:
    distinct, places = numbered(pl.DataFrame({"x": ["A"] * count}, schema={"x": pl.String}), ["x"])
    assert (distinct.height, places.tolist()) == (count, [0] * count)
