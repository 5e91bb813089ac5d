-- A metric beside the rows that it is of: the difference is nothing.
SELECT m.channel, m.requests, r.requests - m.requests AS difference
FROM requests_by_channel AS m
JOIN (SELECT channel, count(*) AS requests FROM requests GROUP BY channel) AS r ON r.channel = m.channel
ORDER BY m.channel
