-- Orders: amounts and prices may be unknown, and a price beyond all reason rejects the record.
SELECT
    s.order_id,
    s.customer ->> 'country' AS country,
    channel,
    express,
    try_cast(amount AS DECIMAL(18, 2)) AS amount,
    CAST(price AS DECIMAL(18, 4)) AS price,
    price AS raw_price,
    quantity,
    labels,
    sizes,
    try_cast(sold_at AS TIMESTAMPTZ) AS sold_at,
    note,
    CASE WHEN quantity = -1 THEN 'the quantity is negative' END AS _reject
FROM sale AS s
