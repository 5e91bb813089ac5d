"""POST /pin/ in FastAPI, as it is commonly written: the pin is held to the JSON Schema, produced, and answered when Kafka has it.

uvicorn posts:app, with KAFKA (host:port), TOPIC and SCHEMA (a file) in the environment.
"""
import json
import os

import fastjsonschema
from fastapi import FastAPI, HTTPException
from kafka import KafkaProducer
from kafka.errors import KafkaError

topic = os.environ["TOPIC"]
with open(os.environ["SCHEMA"]) as f:
    validate = fastjsonschema.compile(json.load(f))
producer = KafkaProducer(bootstrap_servers=os.environ["KAFKA"], acks="all", value_serializer=lambda pin: json.dumps(pin).encode())
app = FastAPI()


@app.post("/pin/")
def get_db_row(pin: dict):
    try:
        validate(pin)
    except fastjsonschema.JsonSchemaException as why:
        raise HTTPException(422, str(why)) from why
    try:
        receipt = producer.send(topic, pin).get(timeout=10)
    except KafkaError as why:
        raise HTTPException(503, str(why)) from why
    return {"topic": receipt.topic, "partition": receipt.partition, "offset": receipt.offset}
