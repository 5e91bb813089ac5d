/* Sales with exact amounts.
 * An amount that is no decimal rejects the record; a price beyond all reason does so too, because
 * its cast fails. */
SELECT
    order_id,
    try_cast(amount AS DECIMAL(18, 2)) AS amount,
    quantity,
    CAST(price AS DECIMAL(18, 4)) AS price,
    price AS raw_price,
    express,
    try_cast(sold_at AS TIMESTAMPTZ) AS sold_at,
    coalesce(labels, []) AS labels,
    sizes,
    s.customer ->> 'country' AS country,
    channel::ENUM('web', 'shop', 'phone') AS channel,
    upper(country) AS country_code,
    note,
    customer,
    CASE WHEN amount IS NULL THEN 'the amount is no decimal'
         WHEN quantity < 0 THEN 'the quantity ' || quantity || ' is negative' END AS _reject
FROM sale AS s
