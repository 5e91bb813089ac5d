"""Kafka to S3 by a batch consumer as it is commonly written: a hundred records are an object.

The environment has KAFKA (host:port), TOPIC, GROUP, RECORDS (how many are taken), ENDPOINT, BUCKET and boto3's credentials. It prints a line
of JSON: records, bytes of the objects, and the seconds and the processor seconds from the first record to the last object.
"""
import json
import os
import time

import boto3
from kafka import KafkaConsumer

wanted = int(os.environ["RECORDS"])
bucket = os.environ["BUCKET"]
s3 = boto3.client("s3", endpoint_url=os.environ["ENDPOINT"])
consumer = KafkaConsumer(
    os.environ["TOPIC"],
    bootstrap_servers=os.environ["KAFKA"],
    group_id=os.environ["GROUP"],
    auto_offset_reset="earliest",
    value_deserializer=lambda value: json.loads(value.decode()),
)
batch, records, size, began = [], 0, 0, None
for message in consumer:
    if began is None:
        began, worked = time.perf_counter(), time.process_time()
    batch.append(message.value)
    records += 1
    if len(batch) == 100 or records == wanted:
        body = json.dumps(batch).encode()
        s3.put_object(Bucket=bucket, Key=f"{os.environ['GROUP']}/{message.partition}-{message.offset}.json", Body=body)
        batch, size = [], size + len(body)
    if records == wanted:
        break
print(json.dumps({"records": records, "bytes": size, "seconds": time.perf_counter() - began, "cpu": time.process_time() - worked}))
