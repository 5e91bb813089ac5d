"""Posts as the emulators of the AWS variant do, through a Kafka REST proxy behind an API gateway.
emulate_rest.py INVOKE_URL TOPIC COUNT prints where each row lies."""
import json
import sys

import requests

from pins import pins

invoke_url, topic, count = f"{sys.argv[1]}/topics/{sys.argv[2]}", sys.argv[2], int(sys.argv[3])
headers = {"Content-Type": "application/vnd.kafka.json.v2+json"}
sent = []


def post(rows):
    payload = json.dumps({"records": [{"value": row} for row in rows]})
    response = requests.request("POST", invoke_url, headers=headers, data=payload)
    assert response.status_code == 200, response.text
    assert response.headers["Content-Type"] == "application/vnd.kafka.v2+json"
    answer = response.json()
    assert answer["key_schema_id"] is None and answer["value_schema_id"] is None
    assert len(answer["offsets"]) == len(rows)
    for row, offset in zip(rows, answer["offsets"]):
        assert offset["error_code"] is None and offset["error"] is None, offset
        sent.append({"partition": offset["partition"], "offset": offset["offset"], "value": json.dumps(row)})


rows = list(pins("rest", count))
for row in rows[: count // 2]:  # one record a post, as they do
    post([row])
post(rows[count // 2 :])
print(json.dumps(sent))
