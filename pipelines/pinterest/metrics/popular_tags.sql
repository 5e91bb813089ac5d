-- How many posts have a tag. A tag that stands twice on a post counts twice.
SELECT tag, count(*) AS posts
FROM posts, unnest(tags) AS t(tag)
GROUP BY tag
