package drive_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/refine/refinetest/model"
)

// epoch is the first instant of a world in the lake, Unix ms.
const epoch = 1_790_000_000_000 / 86_400_000 * 86_400_000

// errTold is what a driver lets a call end with.
var errTold = errors.New("a fault of the test's making")

// journal is a world's log as the real parts read it.
type journal struct{ w *model.World }

// record is what stands at an offset.
func (j journal) record(p, offset int8) pinflow.Record {
	r := j.w.Log[p].Records[offset]
	key := j.w.Key(r.Key)
	return pinflow.Record{Topic: model.Topic, Partition: int32(p), Offset: int64(offset), Timestamp: epoch + 1000*int64(r.At), Key: key,
		Value: fmt.Appendf(nil, `{"key":%q,"dim":%d,"val":%d,"kind":%d}`, key, r.Dim, r.Val, r.Kind)}
}

// Topic implements lake.Journal and pinflow.JournalReader.
func (j journal) Topic(context.Context, string) (pinflow.Topic, error) {
	t := pinflow.Topic{Name: model.Topic, ID: "id", AppendTime: true}
	for p := range j.w.Parts {
		t.Partitions = append(t.Partitions, pinflow.PartitionBounds{Partition: int32(p), Start: int64(j.w.Log[p].Start), End: int64(j.w.Log[p].End)})
	}
	return t, nil
}

// Read implements pinflow.JournalReader.
func (j journal) Read(_ context.Context, tp pinflow.TopicPartition, offset int64, most int) (all []pinflow.Record, err error) {
	l := &j.w.Log[tp.Partition]
	if offset > int64(l.End) {
		return nil, &pinflow.Error{Op: "read", On: tp.String(), Kind: pinflow.OutOfRange}
	}
	for o := int8(offset); o < l.End && len(all) < most; o++ {
		if l.Records[o].Kind != model.Gap {
			all = append(all, j.record(int8(tp.Partition), o))
		}
	}
	return all, nil
}

// OffsetAt implements pinflow.JournalReader.
func (j journal) OffsetAt(context.Context, string, int64) (map[int32]int64, error) {
	return nil, errors.New("nobody asks for this")
}

// subscription reads one partition, and gets a record when the driver says so.
type subscription struct {
	journal
	tp       pinflow.TopicPartition
	position int64
	runs     chan []pinflow.Run
	assignee pinflow.Assignee
}

// Subscribe implements pinflow.Subscriber.
func (s *subscription) Subscribe(ctx context.Context, _ string, _ []string, a pinflow.Assignee) (pinflow.Subscription, error) {
	s.assignee = a
	at, err := a.Assigned(ctx, []pinflow.TopicPartition{s.tp})
	s.position = at[s.tp]
	return s, err
}

// Poll implements pinflow.Subscription.
func (s *subscription) Poll(ctx context.Context, _ int) ([]pinflow.Run, error) {
	select {
	case runs := <-s.runs:
		for _, r := range runs {
			s.position = r.Records[len(r.Records)-1].Offset + 1
		}
		return runs, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Seek implements pinflow.Subscription.
func (s *subscription) Seek(_ pinflow.TopicPartition, offset int64) { s.position = offset }

// Release implements pinflow.Subscription.
func (s *subscription) Release() {}

// Committed implements pinflow.Subscription.
func (s *subscription) Committed(context.Context, map[pinflow.TopicPartition]int64) {}

// Close implements pinflow.Subscription.
func (s *subscription) Close() error {
	s.assignee.Revoked(context.Background(), []pinflow.TopicPartition{s.tp})
	return nil
}
