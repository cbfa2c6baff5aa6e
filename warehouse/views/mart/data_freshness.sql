-- One row per source of an asset: its newest bar, how far it lags its own calendar, its last load, and what was refused
-- last_load: How the newest load of it ended, see ops.loads
-- last_load_at: Instant at which that load began [UTC]
-- last_error: Why it failed or was refused, or what was noted of a good one
-- quarantined: Refusals under this source and symbol, one a row and failed check [refusals]
WITH loads AS (
    SELECT source, item, interval, status, started_at, error
    FROM ops.loads
    QUALIFY row_number() OVER (PARTITION BY source, item, interval ORDER BY run_id DESC, started_at DESC) = 1
), refused AS (
    SELECT source, item, count(*) AS quarantined FROM ops.quarantine GROUP BY ALL
)
SELECT
    f.asset,
    f.source,
    f.symbol,
    f.interval,
    f.last_session,
    f.expected_session,
    f.sessions_behind,
    f.is_stale,
    f.checked_at,
    l.status AS last_load,
    l.started_at AS last_load_at,
    l.error AS last_error,
    coalesce(r.quarantined, 0) AS quarantined
FROM ops.freshness f
LEFT JOIN loads l ON l.source = f.source AND l.item = f.symbol AND l.interval = f.interval
LEFT JOIN refused r ON r.source = f.source AND r.item = f.symbol
ORDER BY f.is_stale DESC, f.sessions_behind DESC, f.asset, f.source
