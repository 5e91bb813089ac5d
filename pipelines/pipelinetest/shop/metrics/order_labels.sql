-- Labels and the orders that bear them.
SELECT lower(label) AS label, count(*) AS uses, count(DISTINCT country) AS countries, sum(amount) AS turnover
FROM orders AS o, unnest(o.labels) AS l(label)
WHERE label <> ''
GROUP BY 1
