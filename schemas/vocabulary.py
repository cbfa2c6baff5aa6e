"""The words that tables share: one column name, one meaning, one unit, everywhere."""

VOCABULARY: dict[str, tuple[str, str | None]] = {
    # what a row is about
    "asset": ("Asset id of the universe; in a pair, the one whose link is measured", None),
    "benchmark": ("Asset id that the link is measured against", None),
    "calendar": ("Name of the trading calendar (exchange_calendars)", None),
    "convention": (
        "When prices are taken: session_close (the exchange's close) or utc_day (24:00 UTC for crypto)",
        None,
    ),
    "session": ("Trading date, local to the exchange", None),
    "as_of_session": ("Last session that the figure has seen", None),
    "window_sessions": ("Length of the rolling window, in joint returns of the pair", "sessions"),
    "gap_days": ("Calendar days since the session before", "days"),
    "index_id": ("Asset id of the index", None),
    # where it came from, and when we knew
    "source": ("Provider that served the row, with the file or exchange it was read from", None),
    "symbol": ("The provider's name of the instrument", None),
    "interval": ("Length of the bar: 1h or 1d", None),
    "series_id": ("Series id of the provider (FRED)", None),
    "opened_at": ("Instant at which the bar opened", "UTC"),
    "observed_on": ("Date that the value is about", None),
    "known_at": ("Instant at which this version of the row was learned", "UTC"),
    "is_known_at_assumed": (
        "True where known_at is not a load but the instant at which the row became final or public",
        None,
    ),
    "available_at": ("Instant from which the value was public", "UTC"),
    "load_id": ("Load that brought the row; see ops.loads", None),
    "run_id": ("Run of the pipeline", None),
    # the whole crypto market at an instant
    "captured_at": ("Instant of the snapshot", "UTC"),
    "total_market_cap_usd": ("Value of all coins", "USD"),
    "volume_24h_usd": ("Turnover of the last 24 hours", "USD"),
    "active_coins": ("Coins that the provider counts", "coins"),
    "btc_dominance_pct": ("Bitcoin's share of the market value", "percent"),
    "eth_dominance_pct": ("Ether's share of the market value", "percent"),
    # how much
    "n": ("Joint returns in the window", "sessions"),
}
