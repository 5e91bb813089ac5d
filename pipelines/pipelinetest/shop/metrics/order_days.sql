-- The days of large orders, and nothing else of them.
SELECT date_trunc('day', sold_at) AS day FROM orders WHERE quantity > 3 GROUP BY date_trunc('day', sold_at)
