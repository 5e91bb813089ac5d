-- Sizes by whether they were shipped at once; groups of which a column is not shown.
SELECT express AS at_once, min(size) AS smallest, max(size) AS largest, round(avg(size), 2) AS average, sum(size) AS total
FROM sales, unnest(sizes) AS t(size)
GROUP BY express, channel = 'web'
