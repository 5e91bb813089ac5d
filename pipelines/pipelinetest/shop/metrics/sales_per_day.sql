-- Expressions over aggregates, per day.
SELECT
    date_trunc('day', sold_at) AS day,
    count(*) AS sales,
    count(DISTINCT country) AS countries,
    count(DISTINCT country) FILTER (WHERE express) AS express_countries,
    round(100 * sum(amount) FILTER (WHERE express) / nullif(sum(amount), 0), 1) AS express_percent,
    sum(amount) / count(*) AS per_sale,
    floor(sum(amount) / sum(quantity)) AS whole_per_item,
    ceil(-sum(amount) / sum(quantity)) AS negative_per_item,
    round(sum(amount) - avg(amount) * count(amount), 2) AS nothing,
    CASE WHEN count(*) > 3 THEN 'many' WHEN count(*) = 1 THEN 'one' ELSE 'some' END AS how_many,
    greatest(sum(quantity), 10, count(*)) AS at_least_ten,
    CASE WHEN sum(amount) < 1000000 THEN least(min(amount), avg(amount) / 2) END::DECIMAL(18, 3) AS half_or_least,
    coalesce(max(price), max(amount), 0) AS top,
    sum(quantity) % 7 AS week_rest,
    sum(quantity) % (count(*) - 1) AS rest_of_others,
    round((count(note) - count(*)) / 3, 1) AS notes_missing,
    round(coalesce(sum(amount) / (count(*) - 1), -1), 2) AS per_other,
    sum(quantity) // 12 AS dozens,
    abs(sum(amount) - 1000.5) AS distance,
    count(*) BETWEEN 2 AND 5 AND max(channel) IN ('web', 'shop') AS medium,
    max(sold_at) > TIMESTAMPTZ '2026-03-01 00:00:00+00' OR max(sold_at) IS NULL AS late,
    sum(quantity)::DOUBLE / 3 AS third
FROM sales
WHERE amount > 0 AND sold_at IS NOT NULL
GROUP BY date_trunc('day', sold_at)
