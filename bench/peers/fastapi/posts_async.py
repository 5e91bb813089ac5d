"""POST /pin/ in FastAPI, written for speed: no thread per post, and the body is produced as it came.

uvicorn posts_async:app, with KAFKA (host:port), TOPIC and SCHEMA (a file) in the environment.
"""
import asyncio
import json
import os

import fastjsonschema
from fastapi import FastAPI, HTTPException, Request
from kafka import KafkaProducer

topic = os.environ["TOPIC"]
with open(os.environ["SCHEMA"]) as f:
    validate = fastjsonschema.compile(json.load(f))
producer = KafkaProducer(bootstrap_servers=os.environ["KAFKA"], acks="all")
app = FastAPI()


@app.post("/pin/")
async def get_db_row(request: Request):
    body = await request.body()
    try:
        validate(json.loads(body))
    except (ValueError, fastjsonschema.JsonSchemaException) as why:
        raise HTTPException(422, str(why)) from why
    loop = asyncio.get_running_loop()
    acknowledged = loop.create_future()

    def tell(settle, result):  # called by the producer's own thread
        loop.call_soon_threadsafe(lambda: acknowledged.done() or settle(result))

    sent = producer.send(topic, body)
    sent.add_callback(lambda receipt: tell(acknowledged.set_result, receipt))
    sent.add_errback(lambda why: tell(acknowledged.set_exception, why))
    try:
        receipt = await acknowledged
    except Exception as why:
        raise HTTPException(503, str(why)) from why
    return {"topic": receipt.topic, "partition": receipt.partition, "offset": receipt.offset}
