-- Images, videos and stories.
SELECT media, is_story, count(*) AS posts
FROM posts
GROUP BY media, is_story
