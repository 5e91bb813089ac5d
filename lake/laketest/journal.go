package laketest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/pinflow/pinflow"
)

// Journal is a broker in memory. Who reads which partition is decided by chance and at the test's command.
type Journal struct {
	// OnCommitted, if not nil, is told what readers tell their group.
	OnCommitted func(tp pinflow.TopicPartition, offset int64)

	// Faults is the share of fetches that give an error of their partition beside its records; it must be asked again by Seek.
	Faults float64

	mu     sync.Mutex
	cond   *sync.Cond
	random *rand.Rand
	slow   time.Duration
	topics map[string]*topic
	order  []pinflow.TopicPartition
	owner  map[pinflow.TopicPartition]*member // as the broker sees it
	want   map[pinflow.TopicPartition]*member
	group  []*member
}

type topic struct {
	id   string
	logs []*partitionLog
}

type partitionLog struct {
	start, end int64
	records    []pinflow.Record // those that a reader sees
	held       []pinflow.Record // those that it will see when a transaction has ended
}

// NewJournal makes a Journal whose chances are those of seed, and whose answers about topics take up to slow.
func NewJournal(seed uint64, slow time.Duration) *Journal {
	j := &Journal{random: rand.New(rand.NewPCG(seed, 1)), slow: slow, topics: map[string]*topic{},
		owner: map[pinflow.TopicPartition]*member{}, want: map[pinflow.TopicPartition]*member{}}
	j.cond = sync.NewCond(&j.mu)
	return j
}

// Create makes a topic, anew if there is one.
func (j *Journal) Create(name string, partitions int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	old := j.topics[name]
	t := &topic{id: fmt.Sprintf("id-%x", j.random.Uint32())}
	for p := range partitions {
		t.logs = append(t.logs, &partitionLog{})
		if old == nil {
			j.order = append(j.order, pinflow.TopicPartition{Topic: name, Partition: int32(p)})
		}
	}
	j.topics[name] = t
}

// Grow adds partitions to a topic, up to n.
func (j *Journal) Grow(name string, n int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	t := j.topics[name]
	for p := len(t.logs); p < n; p++ {
		t.logs = append(t.logs, &partitionLog{})
		j.order = append(j.order, pinflow.TopicPartition{Topic: name, Partition: int32(p)})
	}
	j.deal(func(tp pinflow.TopicPartition) bool { return j.want[tp] == nil })
}

// Read implements pinflow.JournalReader.
func (j *Journal) Read(ctx context.Context, tp pinflow.TopicPartition, offset int64, maxRecords int) ([]pinflow.Record, error) {
	j.dawdle(ctx)
	j.mu.Lock()
	defer j.mu.Unlock()
	l := j.log(tp)
	if offset < l.start || offset > l.end {
		return nil, &pinflow.Error{Op: "read", On: tp.String(), Kind: pinflow.OutOfRange}
	}
	from, _ := slices.BinarySearchFunc(l.records, offset, func(r pinflow.Record, at int64) int { return int(r.Offset - at) })
	return slices.Clone(l.records[from:min(len(l.records), from+max(maxRecords, 1))]), ctx.Err()
}

// OffsetAt implements pinflow.JournalReader.
func (j *Journal) OffsetAt(ctx context.Context, topic string, timestamp int64) (map[int32]int64, error) {
	about, err := j.Topic(ctx, topic)
	if err != nil {
		return nil, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	at := map[int32]int64{}
	for _, b := range about.Partitions {
		at[b.Partition] = b.End
		for _, r := range j.topics[topic].logs[b.Partition].records {
			if r.Timestamp >= timestamp {
				at[b.Partition] = r.Offset
				break
			}
		}
	}
	return at, nil
}

// dawdle takes the time of an answer.
func (j *Journal) dawdle(ctx context.Context) {
	if j.slow > 0 {
		j.mu.Lock()
		d := time.Duration(j.random.Int64N(int64(j.slow)))
		j.mu.Unlock()
		sleep(ctx, d)
	}
}

// Append appends a record of which Topic, Partition, Timestamp, Key, Value and Headers are given.
func (j *Journal) Append(r pinflow.Record) {
	j.mu.Lock()
	defer j.mu.Unlock()
	l := j.log(pinflow.TopicPartition{Topic: r.Topic, Partition: r.Partition})
	r.Offset = l.end
	l.end++
	if len(l.held) > 0 {
		l.held = append(l.held, r)
		return
	}
	l.records = append(l.records, r)
	j.cond.Broadcast()
}

// Hold is Append in a transaction that stays open until Release: no reader sees the record, or any behind it, before.
func (j *Journal) Hold(r pinflow.Record) {
	j.mu.Lock()
	defer j.mu.Unlock()
	l := j.log(pinflow.TopicPartition{Topic: r.Topic, Partition: r.Partition})
	r.Offset = l.end
	l.end++
	l.held = append(l.held, r)
}

// Release ends the transactions of a partition.
func (j *Journal) Release(tp pinflow.TopicPartition) {
	j.mu.Lock()
	defer j.mu.Unlock()
	l := j.log(tp)
	l.records, l.held = append(l.records, l.held...), nil
	l.end++ // the marker
	j.cond.Broadcast()
}

// Skip makes an offset that no reader sees, as a transaction's marker does.
func (j *Journal) Skip(tp pinflow.TopicPartition) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.log(tp).end++
}

// Truncate forgets what lies before start, as retention does. It forgets nothing of Records.
func (j *Journal) Truncate(tp pinflow.TopicPartition, start int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	l := j.log(tp)
	l.start = min(max(l.start, start), l.end)
}

// Forget makes the log one that goes on at start, of which nothing before is known.
func (j *Journal) Forget(tp pinflow.TopicPartition, start int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	l := j.log(tp)
	l.start, l.end = start, max(l.end, start)
	j.cond.Broadcast()
}

// Records returns all that was ever appended to a partition.
func (j *Journal) Records(tp pinflow.TopicPartition) []pinflow.Record {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]pinflow.Record(nil), j.log(tp).records...)
}

// Partitions returns all partitions.
func (j *Journal) Partitions() []pinflow.TopicPartition {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]pinflow.TopicPartition(nil), j.order...)
}

func (j *Journal) log(tp pinflow.TopicPartition) *partitionLog {
	return j.topics[tp.Topic].logs[tp.Partition]
}

// Topic implements lake.Journal and pinflow.JournalReader.
func (j *Journal) Topic(ctx context.Context, name string) (pinflow.Topic, error) {
	j.dawdle(ctx)
	j.mu.Lock()
	defer j.mu.Unlock()
	t := j.topics[name]
	if t == nil {
		return pinflow.Topic{}, &pinflow.Error{Op: "describe topic", On: name, Kind: pinflow.NotFound}
	}
	about := pinflow.Topic{Name: name, ID: t.id, AppendTime: true}
	for p, l := range t.logs {
		b := pinflow.PartitionBounds{Partition: int32(p), Start: l.start, End: l.end}
		if len(l.held) > 0 {
			b.Held = l.end - l.held[0].Offset
		}
		about.Partitions = append(about.Partitions, b)
	}
	return about, ctx.Err()
}

// Rebalance gives each partition to a member by chance, the old one being told first.
func (j *Journal) Rebalance() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.deal(func(pinflow.TopicPartition) bool { return true })
}

// deal says who shall have the partitions that f picks.
func (j *Journal) deal(f func(pinflow.TopicPartition) bool) {
	for _, tp := range j.order {
		if !f(tp) {
			continue
		}
		delete(j.want, tp)
		if readers := j.readers(tp); len(readers) > 0 {
			j.want[tp] = readers[j.random.IntN(len(readers))]
		}
	}
	j.cond.Broadcast()
}

// readers are the members that have subscribed to the partition's topic.
func (j *Journal) readers(tp pinflow.TopicPartition) []*member {
	var readers []*member
	for _, m := range j.group {
		if slices.Contains(m.topics, tp.Topic) {
			readers = append(readers, m)
		}
	}
	return readers
}

// Steal takes a partition away from its member, as from one that was not heard of for too long, and gives it
// to another at once. The old one reads on, and learns of it after notice.
func (j *Journal) Steal(tp pinflow.TopicPartition, notice time.Duration) {
	j.mu.Lock()
	defer j.mu.Unlock()
	old, readers := j.owner[tp], j.readers(tp)
	if old == nil || len(readers) < 2 {
		return
	}
	old.blindUntil = time.Now().Add(notice)
	time.AfterFunc(notice, j.cond.Broadcast)
	delete(j.owner, tp)
	for j.want[tp] == old {
		j.want[tp] = readers[j.random.IntN(len(readers))]
	}
	j.cond.Broadcast()
}

// AssignAgain tells a partition's member a second time that it is its own.
func (j *Journal) AssignAgain(tp pinflow.TopicPartition) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if m := j.owner[tp]; m != nil {
		m.again = append(m.again, tp)
		j.cond.Broadcast()
	}
}
