-- The commonest category of the last hundred posts in the order of the topic, ties by name, and how many of them it has.
SELECT category, count(*) AS posts
FROM (SELECT category FROM posts ORDER BY _offset DESC, _partition DESC LIMIT 100)
GROUP BY category
ORDER BY posts DESC, category
LIMIT 1
