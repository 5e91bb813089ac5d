-- The posters' followers by category, over pins as they were last posted: the exact median of those known, and the extremes.
SELECT
    category,
    pins,
    len(followers) AS known,
    -- Of an even number of pins, the median is between the two in the middle.
    CAST(CAST(followers[(len(followers) + 1) // 2] AS HUGEINT) + followers[len(followers) // 2 + 1] AS DECIMAL(37, 0)) * 0.5 AS median_follower_count,
    followers[1] AS lowest,
    followers[-1] AS highest
FROM (
    SELECT category, count(*) AS pins, coalesce(list(follower_count ORDER BY follower_count) FILTER (follower_count IS NOT NULL), []) AS followers
    FROM pins
    GROUP BY category
)
ORDER BY category
