-- One row per pair, convention and window at its newest session with a correlation, if that is of the last 10 days: the link, its verdict and its regime
-- regime: linked or unlinked, session closes only
-- regime_since: First session of that regime
-- regime_sessions: Sessions of it so far [sessions]
SELECT
    c.asset,
    c.benchmark,
    c.convention,
    c.window_sessions,
    c.session,
    c.r,
    c.lo95,
    c.hi95,
    c.verdict,
    c.is_above_threshold,
    c.spearman,
    c.beta,
    p.partial_r,
    p.controls,
    g.state AS regime,
    g.since AS regime_since,
    g.sessions AS regime_sessions
FROM (
    FROM mart.correlations
    WHERE r IS NOT NULL AND session > (SELECT max(session) FROM mart.correlations) - 10
    QUALIFY row_number() OVER (PARTITION BY asset, benchmark, convention, window_sessions ORDER BY session DESC) = 1
) c
-- regimes and conditional links are of session closes; a column to join on, since a condition on one side alone compares every two rows
LEFT JOIN (
    SELECT 'session_close' AS convention, * FROM mart.regimes WHERE until IS NULL
) g
    USING (asset, benchmark, window_sessions, convention)
LEFT JOIN (
    SELECT 'session_close' AS convention, *
    FROM mart.conditional
    WHERE session > (SELECT max(session) FROM mart.correlations) - 10
) p
    USING (asset, benchmark, window_sessions, convention, session)
ORDER BY c.asset, c.benchmark, c.convention, c.window_sessions
