package pinflow

import "context"

// Draft is a record to be appended.
type Draft struct {
	Topic     string
	Partition int32 // AnyPartition: murmur2(key) mod N, or the producer's choice without a key
	Key       []byte
	Value     []byte
	Headers   []Header
}

// AnyPartition leaves the choice of a Draft's partition to its key.
const AnyPartition int32 = -1

// Receipt is the journal's answer for one Draft: where the record lies, or why it
// could not be taken. Err of kind Unavailable may be tried again.
type Receipt struct {
	Position
	Err error
}

// Appender is the write half of the journal.
type Appender interface {
	// Append appends drafts, in order per partition, and returns one receipt per
	// draft once each is acknowledged by all in-sync replicas (embedded: fsynced) or
	// has failed. If ctx ends first, the receipts still open carry its error; their records may yet be appended.
	Append(ctx context.Context, drafts []Draft) []Receipt
}

// Run is a sequence of records of one partition in the order of their offsets.
type Run struct {
	TopicPartition
	Records []Record
	// End is the partition's high watermark when the records were fetched; End minus the
	// offset after the last record is how far the reader lags.
	End int64
	// Err stops this partition only: OutOfRange if the journal no longer (or not yet) has the offset.
	Err error
}

// Subscriber is the read half of the journal for those who share partitions with others.
type Subscriber interface {
	// Subscribe joins the consumer group and returns at once; partitions come and go by a.
	Subscribe(ctx context.Context, group string, topics []string, a Assignee) (Subscription, error)
}

// Assignee is told which partitions are its own. Its methods are never called at the same time as
// one another; a rebalance waits for them.
type Assignee interface {
	// Assigned returns for each partition the offset at which to start reading.
	// An error ends the subscription: the next Poll returns it.
	Assigned(ctx context.Context, partitions []TopicPartition) (map[TopicPartition]int64, error)
	// Revoked returns when nothing of the partitions is in hand any more (flushed or dropped). If ctx has ended already, they were
	// lost: another member may have them, so what is in hand is dropped.
	Revoked(ctx context.Context, partitions []TopicPartition)
}

// Subscription is a share of some topics' partitions. Poll, Seek and Close are for one goroutine.
type Subscription interface {
	// Poll waits until there is at least one record (or a partition's error) or ctx ends, and returns
	// up to about maxRecords records. No rebalance happens between its return and the next call
	// to Poll, Release or Close, so what was returned still belongs to the caller.
	Poll(ctx context.Context, maxRecords int) ([]Run, error)
	// Release lets a rebalance happen although the caller does not poll yet.
	Release()
	// Seek makes the next Poll read the partition from offset, dropping what is buffered of it.
	Seek(tp TopicPartition, offset int64)
	// Committed tells the group how far the reader is, a hint for people who watch lag: never read back.
	Committed(ctx context.Context, offsets map[TopicPartition]int64)
	// Close leaves the group after Revoked of all partitions.
	Close() error
}

// JournalReader is the read half of the journal for those who want a given part of it.
type JournalReader interface {
	// Read returns records of tp from offset on, at least one unless offset is the
	// end of the log (then none, at once). Kind OutOfRange if the log starts later or ends before.
	Read(ctx context.Context, tp TopicPartition, offset int64, maxRecords int) ([]Record, error)
	// Topic describes a topic; NotFound if there is none.
	Topic(ctx context.Context, topic string) (Topic, error)
	// OffsetAt returns per partition the offset of the first record appended at or after timestamp (Unix ms), or the end.
	OffsetAt(ctx context.Context, topic string, timestamp int64) (map[int32]int64, error)
}

// TopicCreator makes topics.
type TopicCreator interface {
	// EnsureTopic creates the topic with append time if it is missing and returns it as it is.
	// Another partition count than wanted is no error here: the caller decides.
	EnsureTopic(ctx context.Context, topic string, partitions int) (Topic, error)
}

// Topic is what the journal knows of a topic.
type Topic struct {
	Name       string
	ID         string // the broker's topic id, a UUID in base64 as Kafka prints it; a topic made anew gets another
	AppendTime bool   // message.timestamp.type=LogAppendTime
	Partitions []PartitionBounds
}

// PartitionBounds are the first offset that the log has and the one after the last.
type PartitionBounds struct {
	Partition  int32
	Start, End int64
	// Held is how many offsets before End no reader sees yet, since a transaction is open: it may still commit records there, of an older
	// append time. Readers stop at End-Held, so while it is not 0 nobody has read all of the log.
	Held int64
}
