-- Readings in hundredths, with what they came in with.
SELECT sensor, try_cast(round(value * 100) AS BIGINT) AS hundredths, ok, flags, _timestamp AS told_at, _headers FROM reading
