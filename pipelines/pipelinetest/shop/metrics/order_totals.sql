-- One row, also when there is no order.
SELECT count(*) AS orders, sum(amount) AS turnover, count(DISTINCT country) AS countries, round(avg(quantity), 4) AS average_quantity, count_if(express) AS express_orders FROM orders
