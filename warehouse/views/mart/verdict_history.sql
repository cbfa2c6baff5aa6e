-- One row per pair, convention, window and stretch of sessions with the same verdict; until is null while it lasts
-- verdict: What the interval says against the threshold
-- since: First session of the stretch
-- until: Last session of the stretch; null while it lasts
-- sessions: Sessions in the stretch so far [sessions]
-- lowest_r: Lowest correlation of the stretch [-1..1]
-- highest_r: Highest correlation of the stretch [-1..1]
WITH marked AS (
    SELECT
        *,
        row_number() OVER in_order - row_number() OVER in_verdict AS stretch,
        max(session) OVER (PARTITION BY asset, benchmark, convention, window_sessions) AS newest
    FROM mart.correlations
    WHERE verdict IS NOT NULL
    WINDOW
        in_order AS (PARTITION BY asset, benchmark, convention, window_sessions ORDER BY session),
        in_verdict AS (PARTITION BY asset, benchmark, convention, window_sessions, verdict ORDER BY session)
)
SELECT
    asset,
    benchmark,
    convention,
    window_sessions,
    verdict,
    min(session) AS since,
    CASE WHEN max(session) < any_value(newest) THEN max(session) END AS until,
    count(*) AS sessions,
    min(r) AS lowest_r,
    max(r) AS highest_r
FROM marked
GROUP BY asset, benchmark, convention, window_sessions, verdict, stretch
ORDER BY asset, benchmark, convention, window_sessions, since
