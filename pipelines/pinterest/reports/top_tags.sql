-- The ten commonest tags of each category, ties by name. A tag that stands twice on a post counts twice.
SELECT category, place, tag, posts
FROM (
    SELECT category, tag, count(*) AS posts, row_number() OVER (PARTITION BY category ORDER BY count(*) DESC, tag) AS place
    FROM posts, unnest(tags) AS t(tag)
    GROUP BY category, tag
)
WHERE place <= 10
ORDER BY category, place
