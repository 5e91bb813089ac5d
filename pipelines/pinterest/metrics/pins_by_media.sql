-- Pins by what they showed when they were last posted.
SELECT media, count(*) AS pins
FROM pins
GROUP BY media
