package kafka

import (
	"context"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/pinflow/pinflow"
)

// begins has every partition read from its beginning, and notes which were taken back.
type begins struct{ revoked []pinflow.TopicPartition }

func (b *begins) Assigned(_ context.Context, tps []pinflow.TopicPartition) (map[pinflow.TopicPartition]int64, error) {
	starts := map[pinflow.TopicPartition]int64{}
	for _, tp := range tps {
		starts[tp] = 0
	}
	return starts, nil
}

func (b *begins) Revoked(_ context.Context, tps []pinflow.TopicPartition) {
	b.revoked = append(b.revoked, tps...)
}

// TestAssignedBeforeSubscribeReturns: the client tells of partitions while Subscribe waits for a processor, so that only the client itself can be asked.
func TestAssignedBeforeSubscribeReturns(t *testing.T) {
	cl, err := kgo.NewClient()
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	b := &begins{}
	s := newSubscription(&Journal{}, "group", b)
	s.assigned(t.Context(), cl, map[string][]int32{"topic": {0, 1, 2}})
	s.stopped[pinflow.TopicPartition{Topic: "topic", Partition: 1}] = true
	s.revoked(t.Context(), cl, map[string][]int32{"topic": {0, 1}})
	s.lost(t.Context(), cl, map[string][]int32{"topic": {2}})
	slices.SortFunc(b.revoked, pinflow.TopicPartition.Compare)
	if len(b.revoked) != 3 || b.revoked[2].Partition != 2 || len(s.owned) > 0 || s.err() != nil {
		t.Errorf("taken back: %v, left: %v, %v", b.revoked, s.owned, s.err())
	}
}
