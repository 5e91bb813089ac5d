"""Posts as the original's user_posting_emulation does: a random row after the other to /pin/, here from several threads and faster.
emulate_api.py URL THREADS COUNT prints where each row lies."""
import json
import sys
from concurrent.futures import ThreadPoolExecutor

import requests

from pins import pins

url, threads, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])


def run_post_data_loop(thread):
    sent = []
    for i, row in enumerate(pins(f"api-{thread}", count)):
        if i % 2:
            response = requests.post(f"{url}/pin/", json=row)
        else:  # as those do who encode it themselves
            response = requests.post(f"{url}/pin", data=json.dumps(row))
        assert response.status_code == 200, response.text
        sent.append({**response.json(), "value": json.dumps(row)})
    return sent


with ThreadPoolExecutor(threads) as pool:
    print(json.dumps([one for part in pool.map(run_post_data_loop, range(threads)) for one in part]))
