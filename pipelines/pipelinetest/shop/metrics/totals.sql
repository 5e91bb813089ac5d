-- One row, also when nothing was sold.
SELECT count(*) AS sales, sum(amount) AS turnover, count(DISTINCT country) AS countries, round(avg(quantity), 4) AS average_quantity, max(sold_at) AS last_sale FROM sales
