"""The audit trail: every attempt to load, every refused row, every revision, and how fresh each source is."""

import polars as pl

from schemas.table import Instant, Table, field, number

STATUSES = ("loaded", "unchanged", "failed", "refused", "recovered")


class Loads(Table):
    """One row per attempt to load one symbol or series from one source, whether it succeeded or not."""

    load_id: pl.String
    run_id: pl.String
    source: pl.String
    table_name: pl.String = field("Table that the load was meant for")
    item: pl.String = field("Symbol, series or index that was asked for")
    interval: pl.String = field("Length of the bars asked for", nullable=True)
    since_on: pl.Date = field("First date asked for; null asks for all", nullable=True)
    until_on: pl.Date = field("Last date asked for; null asks up to the run", nullable=True)
    started_at: Instant = field("Start of the attempt", "UTC", nullable=True)
    status: pl.String = field(
        "loaded, unchanged (nothing new), failed (no answer), refused (too many bad rows), "
        "recovered (the process died after landing)",
        isin=STATUSES,
    )
    rows_fetched: pl.Int64 = field(
        "Rows that the source answered; what none of the next columns counts was stored already", "rows"
    )
    rows_new: pl.Int64 = field("Rows stored for the first time", "rows")
    rows_revised: pl.Int64 = field("Rows stored as a further version", "rows")
    rows_running: pl.Int64 = field("Bars still running, left for a later load", "rows")
    rows_quarantined: pl.Int64 = field(
        "Rows refused; see ops.quarantine, where rows that are alike stand once", "rows"
    )
    pages: pl.Int64 = field("Requests that were answered", "requests")
    retries: pl.Int64 = field("Requests repeated after a failure", "requests")
    seconds: pl.Float64 = number("Duration of the attempt", "seconds")
    error: pl.String = field(
        "What went wrong or is missing, in words; or a note, as why an unchanged file was not read again",
        nullable=True,
    )
    answer_sha256: pl.String = field(
        "Hash of a recorded file and of how it was read; null for live sources", nullable=True
    )

    class Config:
        """Name and key."""

        name = "ops.loads"
        metadata = {"key": ("load_id",)}


class Quarantine(Table):
    """One row per refused row and failed check; a row refused again is not recorded again."""

    quarantine_id: pl.String = field("Hash of table, source, check and row")
    load_id: pl.String
    source: pl.String
    table_name: pl.String = field("Table that the row was meant for")
    item: pl.String = field("Symbol, series or index of the row")
    check_name: pl.String = field("The check that failed")
    column_name: pl.String = field("The column that failed it", nullable=True)
    row_json: pl.String = field("The row as it was delivered, as JSON")

    class Config:
        """Name and key."""

        name = "ops.quarantine"
        metadata = {"key": ("quarantine_id",)}


class Freshness(Table):
    """One row per source of an asset: its newest bar against the newest that its calendar has had by then.

    "By then" is the instant of the run, or for recorded files the instant at which they were recorded.
    """

    asset: pl.String
    source: pl.String
    symbol: pl.String
    interval: pl.String
    last_opened_at: Instant = field("Opening of the newest stored bar", "UTC", nullable=True)
    last_session: pl.Date = field("Session of the newest stored bar", nullable=True)
    expected_session: pl.Date = field("Newest session whose bar was final by then", nullable=True)
    checked_at: Instant = field("Instant that freshness is measured at", "UTC")
    sessions_behind: pl.Int32 = number(
        "Sessions of the source's own calendar missing at the end", "sessions", ge=0
    )
    is_stale: pl.Boolean = field("True where more than one session is missing, or there is no bar at all")

    class Config:
        """Name and key."""

        name = "ops.freshness"
        metadata = {"key": ("asset", "source", "symbol", "interval")}


class Revisions(Table):
    """One row per changed figure of a stored row: what it was, what it became, and when we learned it."""

    table_name: pl.String = field("Table of the changed row")
    source: pl.String
    item: pl.String = field("Symbol, series, member or event of the row")
    about_at: Instant = field("What the row is about: its instant, or its date at 00:00", "UTC")
    column_name: pl.String = field("The changed figure")
    known_at: Instant
    old_value: pl.Float64 = number("Figure of the version before", "as the column")
    new_value: pl.Float64 = number(
        "Figure of this version; null where the row was withdrawn", "as the column"
    )
    load_id: pl.String

    class Config:
        """Name and key."""

        name = "ops.revisions"
        metadata = {"key": ("table_name", "source", "item", "about_at", "column_name", "known_at")}


class Landed(Table):
    """One row per landed file that the warehouse has loaded; a rebuild fills it anew."""

    path: pl.String = field("Path inside the landing zone; the name carries the hash")
    table_name: pl.String = field("Table that the file belongs to")
    sha256: pl.String = field("Hash of the file")
    rows: pl.Int64 = field(
        "Rows that it brought; those of a compacted file that were loaded before do not count", "rows"
    )

    class Config:
        """Name and key."""

        name = "ops.landed"
        metadata = {"key": ("path",)}


class Built(Table):
    """One row per table that the build makes: of what it was made, what came out, and when that changed."""

    table_name: pl.String = field("Table that was made")
    basis: pl.String = field("Hash of the code, the libraries and the universe")
    inputs: pl.String = field("Hash of the rows and parameters that it was made of")
    digest: pl.String = field("Its number of rows and the sum of their hashes, blind to their order")
    built_at: Instant = field("Instant of the run that changed its rows last", "UTC")

    class Config:
        """Name and key."""

        name = "ops.built"
        metadata = {"key": ("table_name",)}
