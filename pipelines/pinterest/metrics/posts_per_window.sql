-- Posts in windows of five minutes: how many, how many percent of them images, and the posters' followers.
SELECT
    time_bucket(INTERVAL 5 minutes, posted_at) AS window_start,
    count(*) AS total_items,
    round(100.0 * count(*) FILTER (media = 'image') / count(*), 2) AS percentage_of_images,
    round(avg(follower_count), 0) AS avg_follower_count
FROM posts
GROUP BY window_start
