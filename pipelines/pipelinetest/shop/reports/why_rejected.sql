-- Reasons and how often they were given, a column of a type that only DuckDB has among them.
WITH readings AS (SELECT model, reason, payload FROM rejects)
SELECT model, reason, count(*) AS records, sum(octet_length(payload))::UBIGINT AS bytes
FROM readings
GROUP BY model, reason
ORDER BY model, reason
