-- Posts by category and UTC day; the day's commonest category has place 1, ties by name.
SELECT day, place, category, posts
FROM (
    SELECT CAST(posted_at AT TIME ZONE 'UTC' AS DATE) AS day, category, count(*) AS posts,
           row_number() OVER (PARTITION BY day ORDER BY count(*) DESC, category) AS place
    FROM posts
    GROUP BY day, category
)
ORDER BY day, place
