-- Readings of sensors, whatever they say.
SELECT * EXCLUDE ("at"), to_timestamp(coalesce("at", 0) % 4102444800) AS measured_at, _key FROM reading
