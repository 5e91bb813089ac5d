-- Posts per minute whose poster's followers are not known.
SELECT
    time_bucket(INTERVAL 1 minute, posted_at) AS window_start,
    count(*) AS posts,
    count(*) FILTER (follower_count IS NULL) AS unknown
FROM posts
GROUP BY window_start
