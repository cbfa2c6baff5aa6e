"""Names, units and spans of the assets that have prices."""

from datetime import date

import polars as pl
from polars.testing import assert_frame_equal

from schemas import core, mart
from schemas.table import polars_schema, validate
from transforms.assets import assets


def listing(asset, source, interval="1d", volume_unit="base", **more):
    return {
        "asset": asset,
        "name": f"Name of {asset}",
        "kind": "crypto",
        "calendar": "24/7",
        "currency": "USD",
        "volume_unit": volume_unit,
        "price_basis": "raw",
        "source": source,
        "symbol": asset,
        "interval": interval,
        "rank": 0,
        "settle_minutes": 30,
        **more,
    }


def close(asset, day, source="a", convention="utc_day"):
    about = {"asset": asset, "convention": convention, "session": date(2025, 1, day)}
    return {**about, "close": 1.0, "source": source}


def table(closes, listings):
    frames = [
        pl.LazyFrame(closes, schema=polars_schema(core.Closes)),
        pl.LazyFrame(listings, schema=polars_schema(core.Listings)),
    ]
    return validate(assets(*frames).collect(), mart.Assets)


def test_an_asset_has_one_row_with_its_first_and_last_session_of_any_convention():
    closes = [close("ETH", 7), close("ETH", 3, convention="session_close"), close("ETH", 5), close("ETH", 9)]
    (row,) = table(closes, [listing("ETH", "a")]).iter_rows(named=True)
    assert (row["first_session"], row["last_session"]) == (date(2025, 1, 3), date(2025, 1, 9))
    assert row["name"] == "Name of ETH"
    assert (row["kind"], row["calendar"], row["currency"]) == ("crypto", "24/7", "USD")


def test_sources_that_served_are_named_in_the_order_of_the_universe():
    listings = [listing("ETH", "z", "1h"), listing("ETH", "m"), listing("ETH", "a", rank=1)]
    closes = [close("ETH", 2, "a"), close("ETH", 3, "z")]
    (row,) = table(closes, listings).iter_rows(named=True)
    assert row["sources"] == "z, a"


def test_units_are_those_of_the_sources_that_served_each_once():
    listings = [
        listing("ETH", "z", "1h", "base"),
        listing("ETH", "y", "1d", "quote"),
        listing("ETH", "x", "1d", "contracts", rank=1),
        listing("BTC", "z", "1h", "base"),
        listing("BTC", "z", "1d", "base"),
    ]
    closes = [close("ETH", 2, "y"), close("ETH", 2, "z", "session_close"), close("BTC", 2, "z")]
    made = table(closes, listings)
    assert dict(made.select("asset", "volume_unit").iter_rows()) == {"ETH": "base, quote", "BTC": "base"}
    assert dict(made.select("asset", "sources").iter_rows()) == {"ETH": "z, y", "BTC": "z"}


def test_an_asset_without_prices_has_no_row():
    assert table([close("ETH", 2)], [listing("ETH", "a"), listing("BTC", "a")])["asset"].to_list() == ["ETH"]
    assert table([], [listing("ETH", "a")]).is_empty()


def test_rows_are_sorted_whatever_the_order_of_prices():
    listings = [listing("ZZZ", "a"), listing("AAA", "a")]
    closes = [close("ZZZ", 1), close("AAA", 2), close("ZZZ", 2)]
    made = table(closes, listings)
    assert made["asset"].to_list() == ["AAA", "ZZZ"]
    assert_frame_equal(table(closes[::-1], listings), made)
