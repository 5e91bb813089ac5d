-- The three largest orders of each country as they stand, ties by name.
SELECT country, place, order_id, amount
FROM (
    SELECT country, order_id, amount, row_number() OVER (PARTITION BY country ORDER BY amount DESC NULLS LAST, order_id) AS place
    FROM orders
)
WHERE place <= 3
ORDER BY country, place
