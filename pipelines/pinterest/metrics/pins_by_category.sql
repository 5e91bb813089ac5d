-- Pins by the category in which they were last posted, and their posters' followers.
SELECT
    category,
    count(*) AS pins,
    sum(follower_count) AS total_followers,
    round(avg(follower_count), 2) AS average_follower_count
FROM pins
GROUP BY category
