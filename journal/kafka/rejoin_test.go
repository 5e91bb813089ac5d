package kafka_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/journal/kafka"
)

// diary notes what an assignee is told.
type diary struct {
	mu      sync.Mutex
	start   int64
	entries []string
	given   chan struct{} // each time that partitions are
}

func (d *diary) Assigned(_ context.Context, tps []pinflow.TopicPartition) (map[pinflow.TopicPartition]int64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	starts := map[pinflow.TopicPartition]int64{}
	for _, tp := range tps {
		starts[tp] = d.start
	}
	d.entries = append(d.entries, "assigned")
	d.given <- struct{}{}
	return starts, nil
}

func (d *diary) Revoked(ctx context.Context, _ []pinflow.TopicPartition) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if ctx.Err() != nil {
		d.entries = append(d.entries, "lost")
	} else {
		d.entries = append(d.entries, "revoked")
	}
}

func (d *diary) read() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]string(nil), d.entries...)
}

// TestKeptAsAnother: when the group has given a member up, and it learns of it as it joins again, the client keeps its partitions if the group
// happens to give it the same. They may have been another's meanwhile: the assignee is told that they are lost, and says anew where to start.
func TestKeptAsAnother(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "topic"))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	j, err := kafka.Open(t.Context(), kafka.Options{Brokers: cluster.ListenAddrs(), SessionTimeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	for range 10 {
		if r := j.Append(t.Context(), []pinflow.Draft{{Topic: "topic", Value: []byte("x")}}); r[0].Err != nil {
			t.Fatal(r[0].Err)
		}
	}
	d := &diary{given: make(chan struct{}, 10)}
	sub, err := j.Subscribe(t.Context(), "group", []string{"topic"}, d)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	runs, err := sub.Poll(ctx, 3)
	if err != nil || runs[0].Records[0].Offset != 0 {
		t.Fatal(runs, err)
	}
	<-d.given

	d.mu.Lock()
	d.start = 7 // another has come so far meanwhile
	d.mu.Unlock()
	var rebalanced, forgotten atomic.Bool
	left := make(chan error, 1)
	cluster.ControlKey(int16(kmsg.Heartbeat), func(r kmsg.Request) (kmsg.Response, error, bool) {
		resp := r.ResponseKind().(*kmsg.HeartbeatResponse)
		resp.ErrorCode = kerr.RebalanceInProgress.Code
		return resp, nil, rebalanced.CompareAndSwap(false, true)
	})
	cluster.ControlKey(int16(kmsg.JoinGroup), func(r kmsg.Request) (kmsg.Response, error, bool) {
		resp := r.ResponseKind().(*kmsg.JoinGroupResponse)
		resp.ErrorCode = kerr.UnknownMemberID.Code
		forgets := rebalanced.Load() && forgotten.CompareAndSwap(false, true)
		if forgets {
			join := r.(*kmsg.JoinGroupRequest)
			go func() { left <- leave(ctx, cluster.ListenAddrs(), join.Group, join.MemberID) }()
		}
		return resp, nil, forgets
	})
	sub.Release()
	select {
	case <-d.given:
	case <-ctx.Done():
		t.Fatalf("it was told %v, want to be asked again where to start", d.read())
	}
	if err := <-left; err != nil {
		t.Fatal(err)
	}
	for next := int64(7); next < 10; {
		runs, err := sub.Poll(ctx, 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range runs[0].Records {
			if r.Offset != next {
				t.Fatalf("offset %d, where %d was next", r.Offset, next)
			}
			next++
		}
	}
	if err := sub.Close(); err != nil {
		t.Error(err)
	}
	if got := d.read(); len(got) != 4 || got[1] != "lost" || got[2] != "assigned" || got[3] != "revoked" {
		t.Errorf("it was told %v", got)
	}
}

// leave has a group give a member up, which would else be waited for until its session ends.
func leave(ctx context.Context, brokers []string, group, member string) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers...))
	if err != nil {
		return err
	}
	defer cl.Close()
	m := kmsg.NewLeaveGroupRequestMember()
	m.MemberID = member
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Group, req.MemberID, req.Members = group, member, append(req.Members, m)
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(resp.ErrorCode)
}
