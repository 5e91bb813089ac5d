-- Sizes by whether an order is shipped at once; the least and the largest integer are among them.
SELECT express, sum(size) AS total, round(avg(size), 2) AS average, count(DISTINCT size) AS different
FROM orders, unnest(sizes) AS t(size)
GROUP BY express, channel = 'web'
