-- Labels and what was sold under them.
SELECT lower(label) AS label, length(lower(label)) AS letters, count(*) AS uses, count(DISTINCT country) AS countries, sum(amount) AS turnover
FROM sales AS s, unnest(s.labels) AS l(label)
WHERE label <> ''
GROUP BY 1
