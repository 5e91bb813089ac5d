-- Posts by category in windows of half an hour.
SELECT
    time_bucket(INTERVAL 30 minutes, posted_at) AS window_start,
    category,
    count(*) AS posts,
    round(avg(follower_count), 2) AS average_follower_count,
    max(follower_count) AS max_follower_count
FROM posts
GROUP BY window_start, category
