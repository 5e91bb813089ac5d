"""Asks the topics' API what the Kafka REST proxy would be asked, and prints what it answers.
ask_rest.py URL JSON, with a list of {"method", "path", "content", "accept", "body"}."""
import json
import sys

import requests

answers = []
for ask in json.loads(sys.argv[2]):
    headers = {k: v for k, v in {"Content-Type": ask["content"], "Accept": ask["accept"]}.items() if v}
    r = requests.request(ask["method"], sys.argv[1] + ask["path"], headers=headers, data=ask["body"].encode())
    answers.append({"status": r.status_code, "content": r.headers["Content-Type"], "body": r.json()})
print(json.dumps(answers))
