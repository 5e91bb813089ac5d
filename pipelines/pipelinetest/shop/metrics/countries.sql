-- The countries that sales went to, and nothing else of them.
SELECT country_code AS code FROM sales GROUP BY country_code
