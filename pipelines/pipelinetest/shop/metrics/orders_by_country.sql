-- Every aggregate that can be taken back, over orders that move between countries and channels.
SELECT
    upper(country) AS code,
    channel,
    count(*) AS orders,
    count(note) AS notes,
    count(*) FILTER (express) AS express_orders,
    count(price) FILTER (WHERE express) AS express_prices,
    sum(quantity) AS items,
    sum(amount) AS turnover,
    sum(price) FILTER (WHERE express) AS express_price,
    sum(express) AS express_sum,
    count_if(quantity > 5) AS large,
    avg(quantity) AS average_quantity,
    round(avg(price), 3) AS average_price,
    count(DISTINCT note) AS different_notes,
    count(DISTINCT raw_price) FILTER (WHERE express) AS express_price_levels,
    round(100 * sum(amount) FILTER (WHERE express) / nullif(sum(amount), 0), 1) AS express_percent,
    coalesce(sum(price), 0) AS known
FROM orders
GROUP BY upper(country), channel
