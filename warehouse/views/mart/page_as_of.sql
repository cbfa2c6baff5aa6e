-- One row per pair and session: what the page said at the end of that session, out of rows up to it; take the last row up to a date
-- headline: The page's headline in words
-- regime: linked or unlinked
-- regime_since: First session of that regime
WITH main AS (  -- the window of the signals: 60 sessions, or the one that comes nearest to it
    SELECT min_by(window_sessions, abs(window_sessions - 60)) AS window_sessions FROM mart.regime_summary
)
SELECT
    s.asset,
    s.benchmark,
    s.session,
    c.window_sessions,
    c.r,
    c.lo95,
    c.hi95,
    c.verdict,
    format(
        '{} and {}: {}; r{} = {:.2f} [{:.2f}, {:.2f}]',
        a.name, b.name, c.verdict, c.window_sessions, c.r, c.lo95, c.hi95
    ) AS headline,
    g.state AS regime,
    g.since AS regime_since,
    s.state,
    s.reason,
    s.conditions_met,
    s.link,
    s.momentum,
    s.volume,
    s.breadth,
    s.liquidity,
    s.breakout
FROM mart.signals s
CROSS JOIN main
JOIN mart.assets a ON a.asset = s.asset
JOIN mart.assets b ON b.asset = s.benchmark
LEFT JOIN mart.correlations c
    ON c.asset = s.asset AND c.benchmark = s.benchmark AND c.session = s.session
    AND c.convention = 'session_close' AND c.window_sessions = main.window_sessions
LEFT JOIN mart.regimes g
    ON g.asset = s.asset AND g.benchmark = s.benchmark AND g.window_sessions = main.window_sessions
    AND s.session >= g.since AND s.session <= coalesce(g.until, s.session)
    AND c.r IS NOT NULL  -- else nobody knows whether it lasts
ORDER BY s.asset, s.benchmark, s.session
