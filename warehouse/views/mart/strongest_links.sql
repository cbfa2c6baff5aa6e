-- One row per pair and window at its newest session, strongest first: ranked by the end of the interval that is nearer to 0
-- place: Rank in its window, 1 the strongest
-- is_apart_from_zero: Whether the 95 % interval leaves out 0
SELECT
    rank() OVER (
        PARTITION BY window_sessions ORDER BY greatest(lo95, -hi95, 0) DESC, abs(r) DESC
    ) AS place,
    asset,
    benchmark,
    window_sessions,
    session,
    r,
    lo95,
    hi95,
    verdict,
    lo95 > 0 OR hi95 < 0 AS is_apart_from_zero,
    partial_r,
    controls
FROM mart.link_today
WHERE convention = 'session_close'
ORDER BY window_sessions, place
