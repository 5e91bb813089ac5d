-- Requests by the id that their sender gave them: the header Idempotency-Key, or else the note.
SELECT
    order_id,
    coalesce(list_filter(CAST(_headers AS JSON[]), lambda h: lower(h ->> 'key') = 'idempotency-key')[1] ->> 'value', note) AS request,
    channel,
    quantity,
    try_cast(amount AS DECIMAL(18, 2)) AS amount,
    coalesce(labels, []) AS labels
FROM sale
