-- Requests, each counted once however often it was sent.
SELECT channel, count(*) AS requests, count(DISTINCT order_id) AS orders, sum(quantity) AS items, sum(amount) AS turnover, round(avg(amount), 2) AS average_amount
FROM requests
GROUP BY channel
