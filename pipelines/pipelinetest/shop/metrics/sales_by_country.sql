-- Every aggregate that merges, by country and channel.
SELECT
    country,
    channel,
    count(*) AS sales,
    count(note) AS notes,
    sum(quantity) AS items,
    sum(amount) AS turnover,
    min(amount) AS smallest,
    max(amount) AS largest,
    min(sold_at) AS first_sale,
    max(sold_at) AS last_sale,
    max(note) AS last_note,
    max(note) > country AS note_after_country,
    min(raw_price) AS lowest_price,
    avg(quantity) AS average_quantity,
    avg(amount) AS average_amount,
    round(avg(price), 3) AS average_price,
    count(DISTINCT order_id) AS orders,
    count(DISTINCT note) FILTER (WHERE express) AS express_notes,
    count_if(quantity > 5) AS large,
    bool_and(express) AS all_express,
    bool_or(express) AS any_express,
    sum(express) AS express_sales
FROM sales
GROUP BY country, channel
