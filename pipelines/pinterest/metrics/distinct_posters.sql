-- How many different posters there are in ten seconds.
SELECT time_bucket(INTERVAL 10 seconds, posted_at) AS window_start, count(DISTINCT poster_name) AS posters
FROM posts
GROUP BY window_start
