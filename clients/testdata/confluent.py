"""librdkafka by confluent-kafka, of whichever version: confluent.py VERB JSON, answers JSON."""
import json
import sys
import time

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TIMESTAMP_LOG_APPEND_TIME, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewPartitions, NewTopic

from pins import pins

# librdkafka's own partitioner is another one than Kafka's: a keyed topic wants murmur2.
KAFKAS_PARTITIONER = {"partitioner": "murmur2_random"}


def row(r):
    kind, timestamp = r.timestamp()
    return {"partition": r.partition(), "offset": r.offset(), "timestamp": timestamp, "append_time": kind == TIMESTAMP_LOG_APPEND_TIME,
            "value": r.value().decode()}


def send(producer, ask, seed):
    """Sends pins and returns a list that has, after a flush, where each lies."""
    sent = []

    def delivered(error, r):
        if error:
            raise KafkaException(error)
        sent.append({"partition": r.partition(), "offset": r.offset(), "value": r.value().decode()})

    for p in pins(seed, ask["count"]):
        producer.produce(ask["topic"], key=p["unique_id"], value=json.dumps(p), on_delivery=delivered)
    return sent


def produce(ask):
    sent = []
    for codec in "none", "gzip", "snappy", "lz4", "zstd":
        producer = Producer({"bootstrap.servers": ask["brokers"], "acks": "all", "enable.idempotence": codec != "none", "compression.type": codec,
                             "linger.ms": 20, **KAFKAS_PARTITIONER})
        part = send(producer, ask, f"{ask['seed']}-{codec}")
        assert producer.flush(30) == 0
        sent += part
    return sent


def transact(ask):
    """Sends pins in transactions, of which every other one is aborted; returns what was committed."""
    producer = Producer({"bootstrap.servers": ask["brokers"], "transactional.id": ask["seed"], "compression.type": "gzip", **KAFKAS_PARTITIONER})
    producer.init_transactions(30)
    committed, aborted = [], []
    for i in range(4):
        producer.begin_transaction()
        part = send(producer, ask, f"{ask['seed']}-{i}")
        producer.flush(30)
        if i % 2:
            producer.abort_transaction(30)
            aborted += part
        else:
            producer.commit_transaction(30)
            committed += part
    return {"committed": committed, "aborted": aborted}


def consumer(ask, **more):
    return Consumer({"bootstrap.servers": ask["brokers"], "group.id": ask["group"], "auto.offset.reset": "earliest", "enable.auto.commit": False,
                     "isolation.level": ask.get("isolation", "read_committed"), "session.timeout.ms": 45000, "heartbeat.interval.ms": 200, **more})


def poll(c, most, wait):
    records = c.consume(most, wait)
    for r in records:
        if r.error():
            raise KafkaException(r.error())
    return records


def consume(ask):
    c = consumer(ask)
    c.subscribe([ask["topic"]])
    seen, ends = [], time.monotonic() + 120
    while len(seen) < ask["count"] and time.monotonic() < ends:
        seen.extend(map(row, poll(c, 100, 1)))
    if seen:
        c.commit(asynchronous=False)
    c.close()
    return seen


def group(ask):
    """Members come and go; what one has committed another goes on from."""
    everything = [TopicPartition(ask["topic"], p) for p in range(ask["partitions"])]

    at = {}  # what is committed, by partition
    busy, behind = set(), set()  # the members that wait for the answer to a commit, and those that have something to commit

    def member():
        def answered(e, partitions):
            busy.discard(c)
            if e is None:
                at.update((p.partition, p.offset) for p in partitions if p.error is None and p.offset >= 0)
            elif e.code() in (KafkaError.ILLEGAL_GENERATION, KafkaError.REBALANCE_IN_PROGRESS, KafkaError.UNKNOWN_MEMBER_ID):
                behind.add(c)  # a rebalance is in the way, after which it can try again, or another reads it anew
            elif e.code() != KafkaError._NO_OFFSET:  # what it had read is another's now
                raise KafkaException(e)

        c = consumer(ask, **{"partition.assignment.strategy": ask["strategy"], "on_commit": answered})
        c.subscribe([ask["topic"]])
        return c

    def commit(m):
        """Asks for it only: to wait here would keep the other members from a rebalance that the answer may wait for."""
        behind.discard(m)
        busy.add(m)
        try:
            m.commit()
        except KafkaException as e:
            busy.discard(m)
            if e.args[0].code() != KafkaError._NO_OFFSET:
                raise

    def read(members, until, commits=True):
        seen = []
        while commits and (busy & set(members) or behind & set(members)) or not until(members, seen):
            for m in members:
                records = poll(m, 20, 0.1)
                seen.extend(map(row, records))
                if commits and records:
                    behind.add(m)
                if m in behind and m not in busy:
                    commit(m)
        return seen

    def shared(members, _):
        held = [p.partition for m in members for p in m.assignment()]
        return all(m.assignment() for m in members) and sorted(held) == list(range(ask["partitions"]))

    first, second = member(), member()
    seen = read([first, second], shared)
    third = member()
    seen += read([first, second, third], shared)
    shares = [len(m.assignment()) for m in (first, second, third)]
    second.close()
    seen += read([first, third], shared)

    # What a member has read of a partition that it lost before it committed is for the next one to read, and to commit.
    def finished(_, new):
        places = {(r["partition"], r["offset"]) for r in seen + new}
        ends = [1 + max((o for q, o in places if q == p), default=-1) for p in range(ask["partitions"])]
        return len(places) == ask["count"] and [at.get(p) for p in range(ask["partitions"])] == ends

    seen += read([first, third], finished)
    first.close()
    third.close()

    again = member()
    read([again], shared)
    committed = [p.offset for p in again.committed(everything, 10)]
    more = poll(again, 100, 0.5)
    for p in range(ask["partitions"]):
        again.seek(TopicPartition(ask["topic"], p, 0))
    from_beginning = len(read([again], lambda _, new: len(new) == ask["count"], commits=False))
    for p in range(1, ask["partitions"]):
        again.pause([everything[p]])
    again.seek(TopicPartition(ask["topic"], 0, 1))
    after_seek = poll(again, 1, 10)[0].offset()
    again.close()
    return {"seen": seen, "shares": shares, "committed": committed, "more": len(more), "from_beginning": from_beginning, "after_seek": after_seek}


def admin(ask):
    a = AdminClient({"bootstrap.servers": ask["brokers"], "log_level": 4})  # it would tell that there are more partitions, as it is to see

    def result(futures):
        return [f.result(30) for f in futures.values()]

    def partitions(want):  # a broker may take a moment to hear of what the controller did
        for _ in range(100):
            has = len(a.list_topics(ask["topic"], 10).topics[ask["topic"]].partitions)
            if has == want:
                break
            time.sleep(0.1)
        return has

    result(a.create_topics([NewTopic(ask["topic"], 2, 1)]))
    counts = [partitions(2)]
    result(a.create_partitions([NewPartitions(ask["topic"], 3)]))
    counts.append(partitions(3))
    configs = result(a.describe_configs([ConfigResource("topic", ask["topic"])]))[0]
    listed = ask["topic"] in a.list_topics(timeout=10).topics
    return {"listed": listed, "partitions": counts, "timestamps": configs["message.timestamp.type"].value}


print(json.dumps(globals()[sys.argv[1]](json.loads(sys.argv[2]))))
