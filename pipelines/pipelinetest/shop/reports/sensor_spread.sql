/* How far readings spread, over old ones and recent ones. */
SELECT sensor, count(*) AS readings, quantile_disc(hundredths, 0.5) AS middle, max(hundredths::HUGEINT) - min(hundredths) AS spread, len(list_distinct(flatten(list(flags)))) AS flags
FROM levels
GROUP BY sensor
ORDER BY sensor;
-- Nothing comes behind it.
