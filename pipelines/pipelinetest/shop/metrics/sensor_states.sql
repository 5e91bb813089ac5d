-- Sensors by what they said last.
SELECT ok, count(*) AS sensors, sum(try_cast(round(value * 100) AS BIGINT)) AS hundredths, count(DISTINCT value) AS levels, round(1.0 * count(flags) / count(*), 2) AS flagged
FROM sensors
GROUP BY ok
