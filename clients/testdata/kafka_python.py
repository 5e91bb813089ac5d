"""kafka-python, of whichever version: kafka_python.py VERB JSON, answers JSON."""
import json
import sys
import threading
import time

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewPartitions, NewTopic
from kafka.errors import CommitFailedError, IllegalGenerationError, RebalanceInProgressError, UnknownMemberIdError

from pins import pins


def row(r):
    return {"partition": r.partition, "offset": r.offset, "timestamp": r.timestamp, "append_time": r.timestamp_type == 1, "value": r.value.decode()}


def made(client, **settings):
    """A client that does not take a busy broker, which does not say its version within 2 s, for none: versions 2 have a limit for that."""
    if "api_version_auto_timeout_ms" in client.DEFAULT_CONFIG:
        settings["api_version_auto_timeout_ms"] = 60000
    return client(**settings)


def produce(ask):
    """Sends pins by the partitioner that comes with it; returns where each lies."""
    sent = []
    for codec in None, "gzip":
        producer = made(KafkaProducer, bootstrap_servers=ask["brokers"], acks="all", compression_type=codec, linger_ms=20,
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
                "enable_auto_commit": False, "consumer_timeout_ms": 120000}
    if "isolation" in ask:
        settings["isolation_level"] = ask["isolation"]
    c = made(KafkaConsumer, **{**settings, **more})
    # Version 3.0.12 now and then waits for ever when it learns of a topic's partitions in the middle of joining its group.
    c.partitions_for_topic(ask["topic"])
    return c


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


class Member(threading.Thread):
    """A member of a group: it polls, and commits what it has read, until it is told to leave."""

    def __init__(self, ask):
        super().__init__(daemon=True)
        self.ask, self.seen, self.held, self.leave, self.behind = ask, [], set(), threading.Event(), False
        self.start()

    def run(self):
        c = consumer(self.ask, heartbeat_interval_ms=200, session_timeout_ms=45000)
        c.subscribe([self.ask["topic"]])
        while self.behind or not self.leave.is_set():
            for records in c.poll(timeout_ms=100, max_records=20).values():
                self.seen.extend(map(row, records))
                self.behind = True
            if self.behind:
                try:
                    c.commit()
                    self.behind = False
                except (CommitFailedError, IllegalGenerationError, RebalanceInProgressError, UnknownMemberIdError):
                    pass  # a rebalance is in the way: again after it, or another member reads the records anew
            self.held = {(p.topic, p.partition) for p in c.assignment()}
        c.close()


def group(ask):
    """Members come and go; what one has committed another goes on from."""
    everything = [TopicPartition(ask["topic"], p) for p in range(ask["partitions"])]

    def wait(until):
        while not until():
            time.sleep(0.02)

    def shared(*members):
        held = sorted(p for m in members for p in m.held)
        return all(m.held for m in members) and held == sorted(everything)

    first, second = Member(ask), Member(ask)
    wait(lambda: shared(first, second))
    third = Member(ask)
    wait(lambda: shared(first, second, third))
    shares = [len(m.held) for m in (first, second, third)]
    second.leave.set()
    second.join()
    wait(lambda: shared(first, third))
    wait(lambda: len({(r["partition"], r["offset"]) for m in (first, second, third) for r in m.seen}) == ask["count"])
    for m in first, third:
        m.leave.set()
        m.join()

    again = consumer(ask)
    again.subscribe([ask["topic"]])
    more = []
    while len(again.assignment()) < len(everything):
        more += [r for records in again.poll(timeout_ms=100).values() for r in records]
    more += [r for _ in range(5) for records in again.poll(timeout_ms=100).values() for r in records]
    committed = [again.committed(p) for p in everything]
    again.seek_to_beginning(*everything)
    from_beginning = 0
    while from_beginning < ask["count"]:
        from_beginning += sum(map(len, again.poll(timeout_ms=1000).values()))
    again.seek(everything[0], 1)
    after_seek = next(iter(again.poll(timeout_ms=10000, max_records=1).values()))[0].offset
    again.close()
    seen = [r for m in (first, second, third) for r in m.seen]
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
    a = made(KafkaAdminClient, bootstrap_servers=ask["brokers"])

    def partitions(want):  # a broker may take a moment to hear of what the controller did
        for _ in range(100):
            has = len(a.describe_topics([ask["topic"]])[0]["partitions"])
            if has == want:
                break
            time.sleep(0.1)
        return has

    a.create_topics([NewTopic(ask["topic"], 2, 1)])
    counts = [partitions(2)]
    listed = ask["topic"] in a.list_topics()
    a.create_partitions({ask["topic"]: NewPartitions(3)})
    counts.append(partitions(3))
    a.close()
    return {"listed": listed, "partitions": counts}


print(json.dumps(globals()[sys.argv[1]](json.loads(sys.argv[2]))))
