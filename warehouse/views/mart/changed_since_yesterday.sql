-- One row per pair and word that differs between its newest session and the one before: verdict, link, regime, state or condition
-- what: What differs: the verdict of a window, the state, a condition of the signal, or the regime of a window
-- session_before: The last session before it that has such a word
-- before: The word at the session before
-- after: The word at the newest session that has one
WITH words AS (
    SELECT
        asset,
        benchmark,
        session,
        'verdict of ' || window_sessions || ' sessions, ' || convention AS what,
        verdict AS word
    FROM mart.correlations
    WHERE verdict IS NOT NULL
    UNION ALL
    SELECT asset, benchmark, session, 'signal state', state FROM mart.signals
    UNION ALL
    SELECT asset, benchmark, session, 'condition: ' || condition, coalesce(is_met::VARCHAR, 'unknown')
    FROM mart.signals
    UNPIVOT INCLUDE NULLS (is_met FOR condition IN (link, momentum, volume, breadth, liquidity, breakout))
    UNION ALL
    SELECT c.asset, c.benchmark, c.session, 'regime of ' || c.window_sessions || ' sessions', g.state
    FROM mart.correlations c
    JOIN mart.regimes g
        ON g.asset = c.asset AND g.benchmark = c.benchmark AND g.window_sessions = c.window_sessions
        AND c.session >= g.since AND c.session <= coalesce(g.until, c.session)
    WHERE c.convention = 'session_close' AND c.r IS NOT NULL AND c.session >= (SELECT max(session) - 14 FROM mart.correlations)
), paired AS (
    SELECT
        *,
        lag(word) OVER each AS before,
        lag(session) OVER each AS session_before,
        max(session) OVER (PARTITION BY asset, benchmark, what) AS newest
    FROM words
    WINDOW each AS (PARTITION BY asset, benchmark, what ORDER BY session)
)
SELECT asset, benchmark, what, session_before, session, before, word AS after
FROM paired
WHERE session = newest AND before <> word
ORDER BY asset, benchmark, what
