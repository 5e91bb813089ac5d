-- Posts by category.
SELECT
    category,
    count(*) AS number_of_records,
    count(*) FILTER (media = 'image') AS number_of_images,
    count(*) FILTER (media = 'video') AS number_of_videos,
    round(avg(follower_count), 2) AS average_follower_count,
    max(follower_count) AS max_follower_count,
    count(*) FILTER (downloaded) AS number_downloaded
FROM posts
GROUP BY category
