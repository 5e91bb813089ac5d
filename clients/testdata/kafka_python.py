"""kafka-python, of whichever version: kafka_python.py VERB JSON, answers JSON."""
import json
import sys

import kafka
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic

from pins import pins


def row(r):
    return {"partition": r.partition, "offset": r.offset, "timestamp": r.timestamp, "append_time": r.timestamp_type == 1, "value": r.value.decode()}


def produce(ask):
    """Sends pins by the partitioner that comes with it; returns where each lies."""
    sent = []
    for codec in None, "gzip":
        producer = KafkaProducer(bootstrap_servers=ask["brokers"], acks="all", compression_type=codec, linger_ms=20,
                                 key_serializer=str.encode, value_serializer=lambda v: json.dumps(v).encode("utf-8"))
        posts = list(pins(f"{ask['seed']}-{codec}", ask["count"]))
        futures = [producer.send(ask["topic"], key=p["unique_id"], value=p) for p in posts]
        for post, future in zip(posts, futures):
            at = future.get(timeout=30)
            sent.append({"partition": at.partition, "offset": at.offset, "value": json.dumps(post)})
        producer.close()
    return sent


def consumer(ask, **more):
    settings = {"bootstrap_servers": ask["brokers"], "group_id": ask.get("group"), "auto_offset_reset": ask.get("reset", "earliest"),
                "enable_auto_commit": False, "consumer_timeout_ms": 30000}
    if "isolation" in ask:
        settings["isolation_level"] = ask["isolation"]
    return KafkaConsumer(**{**settings, **more})


def consume(ask):
    """A streaming consumer: one record after the other, until it has seen as many as it is to."""
    c = consumer(ask, enable_auto_commit=True)
    c.subscribe([ask["topic"]])
    seen = []
    for r in c:
        seen.append(row(r))
        if len(seen) == ask["count"]:
            break
    c.close()
    return seen


def batches(ask):
    """A batch consumer: polls many at a time, and commits once they are dealt with."""
    c = consumer(ask)
    c.subscribe([ask["topic"]])
    seen = []
    while len(seen) < ask["count"]:
        for records in c.poll(timeout_ms=1000, max_records=100).values():
            seen.extend(map(row, records))
        c.commit()
    c.close()
    return seen


def group(ask):
    """Members come and go; what one has committed another goes on from."""
    everything = [TopicPartition(ask["topic"], p) for p in range(ask["partitions"])]

    def member():
        c = consumer(ask, heartbeat_interval_ms=200, session_timeout_ms=6000)
        c.subscribe([ask["topic"]])
        return c

    def read(members, until, most=20):
        seen = []
        while not until(members, seen):
            for m in members:
                for records in m.poll(timeout_ms=100, max_records=most).values():
                    seen.extend(map(row, records))
                m.commit()
        return seen

    def shared(members, _):
        held = [p for m in members for p in m.assignment()]
        return all(m.assignment() for m in members) and sorted(held) == everything

    first, second = member(), member()
    seen = read([first, second], shared)
    third = member()
    seen += read([first, second, third], shared)
    shares = [len(m.assignment()) for m in (first, second, third)]
    second.close()
    seen += read([first, third], shared)
    seen += read([first, third], lambda _, new: len({(r["partition"], r["offset"]) for r in seen + new}) == ask["count"])
    first.close()
    third.close()

    again = member()
    read([again], shared)
    committed = [again.committed(p) for p in everything]
    more = [r for _ in range(5) for records in again.poll(timeout_ms=100).values() for r in records]
    again.seek_to_beginning(*everything)
    from_beginning = len(read([again], lambda _, new: len(new) == ask["count"], most=None))
    again.seek(everything[0], 1)
    after_seek = next(iter(again.poll(timeout_ms=10000, max_records=1).values()))[0].offset
    again.close()
    return {"seen": seen, "shares": shares, "committed": committed, "more": len(more), "from_beginning": from_beginning, "after_seek": after_seek}


def latest(ask):
    """Who begins at the end sees only what comes then."""
    c = consumer({**ask, "reset": "latest"}, group_id=None)
    c.assign([TopicPartition(ask["topic"], p) for p in range(ask["partitions"])])
    before = {p.partition: c.position(p) for p in c.assignment()}
    sent = produce(ask)
    seen = []
    while len(seen) < len(sent):
        for records in c.poll(timeout_ms=1000).values():
            seen.extend(map(row, records))
    c.close()
    return {"before": before, "sent": sent, "seen": seen}


def admin(ask):
    a = KafkaAdminClient(bootstrap_servers=ask["brokers"])
    a.create_topics([NewTopic(ask["topic"], 2, 1)])
    described = a.describe_topics([ask["topic"]])[0]
    listed = ask["topic"] in a.list_topics()
    a.create_partitions({ask["topic"]: kafka.admin.NewPartitions(3)})
    partitions = len(a.describe_topics([ask["topic"]])[0]["partitions"])
    a.close()
    return {"listed": listed, "partitions": [len(described["partitions"]), partitions]}


print(json.dumps(globals()[sys.argv[1]](json.loads(sys.argv[2]))))
