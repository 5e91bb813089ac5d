-- Sensors by the hour.
SELECT sensor, time_bucket(INTERVAL 1 hour, measured_at) AS hour, min(value) AS low, max(value) AS high, count(*) AS readings,
       sum(try_cast(round(value * 100) AS BIGINT)) AS hundredths, count(DISTINCT value) AS levels, round(1.0 * count_if(ok) / count(*), 4) AS ok_share
FROM readings
GROUP BY sensor, hour
