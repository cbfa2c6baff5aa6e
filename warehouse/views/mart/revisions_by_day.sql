-- One row per source, item, figure and day on which we learned that stored rows had changed: how many, and by how much
-- known_on: Day on which the change was learned, UTC
-- figures: Changed values [figures]
-- withdrawn: Of these, taken back without a new value [figures]
-- first_about_at: Earliest instant that a changed value is about [UTC]
-- last_about_at: Latest instant that a changed value is about [UTC]
-- largest_change: Largest change, without its sign [of the figure]
-- largest_relative_change: Largest change as a part of the old value, without its sign [ratio]
SELECT
    known_at::DATE AS known_on,
    table_name,
    source,
    item,
    column_name,
    count(*) AS figures,
    count(*) FILTER (new_value IS NULL) AS withdrawn,
    min(about_at) AS first_about_at,
    max(about_at) AS last_about_at,
    max(abs(new_value - old_value)) AS largest_change,
    max(abs(new_value / nullif(old_value, 0) - 1)) AS largest_relative_change
FROM ops.revisions
GROUP BY ALL
ORDER BY known_on DESC, figures DESC, table_name, source, item, column_name
