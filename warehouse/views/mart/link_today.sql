-- One row per pair, convention and window at its newest session with a correlation, if that is of the last 10 days: the link, its verdict and its regime
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
-- regimes and conditional links are of session closes
LEFT JOIN mart.regimes g
    ON g.asset = c.asset AND g.benchmark = c.benchmark AND g.window_sessions = c.window_sessions
    AND c.convention = 'session_close' AND g.until IS NULL
LEFT JOIN (
    FROM mart.conditional
    WHERE session > (SELECT max(session) FROM mart.correlations) - 10
) p
    ON p.asset = c.asset AND p.benchmark = c.benchmark AND p.window_sessions = c.window_sessions
    AND c.convention = 'session_close' AND p.session = c.session
ORDER BY c.asset, c.benchmark, c.convention, c.window_sessions
