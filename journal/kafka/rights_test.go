package kafka_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/journal/kafka"
)

// nothing is an assignee that begins at 0.
type nothing struct{}

func (nothing) Assigned(_ context.Context, tps []pinflow.TopicPartition) (map[pinflow.TopicPartition]int64, error) {
	starts := map[pinflow.TopicPartition]int64{}
	for _, tp := range tps {
		starts[tp] = 0
	}
	return starts, nil
}

func (nothing) Revoked(context.Context, []pinflow.TopicPartition) {}

// allowed waits until f works: a right takes a moment to come into force.
func allowed(t *testing.T, f func() error) {
	t.Helper()
	patience := time.NewTimer(20 * time.Second)
	defer patience.Stop()
	pace := time.NewTicker(50 * time.Millisecond)
	defer pace.Stop()
	for {
		err := f()
		if err == nil {
			return
		}
		select {
		case <-pace.C:
		case <-patience.C:
			t.Fatal(err)
		}
	}
}

// testRights gives a user one right after the other; each that is missing is told with the command that gives it.
func testRights(t *testing.T, s secured) {
	o := kafka.Options{Brokers: []string{s.sasl}, Security: kafka.Security{Mechanism: kafka.ScramSHA256, User: "clerk", Password: hush}}
	j, err := kafka.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	cl, err := kgo.NewClient(kgo.SeedBrokers(s.open))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	admin := kadm.NewClient(cl)
	allow := func(b *kadm.ACLBuilder) {
		t.Helper()
		results, err := admin.CreateACLs(t.Context(), b.Allow("User:clerk").ResourcePatternType(kadm.ACLPatternLiteral))
		for _, r := range results {
			if err == nil {
				err = r.Err
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	refused := func(err error, want ...string) {
		t.Helper()
		checkRefusal(t, o, err, pinflow.Invalid, append(want, "--allow-principal User:clerk", "--bootstrap-server "+s.sasl)...)
	}
	topic := fmt.Sprintf("rights-%d", time.Now().UnixNano())
	tp := pinflow.TopicPartition{Topic: topic}

	_, err = j.EnsureTopic(t.Context(), topic, 2)
	refused(err, "--topic "+topic)
	allow(kadm.NewACLs().Topics(topic).Operations(kadm.OpDescribe, kadm.OpDescribeConfigs))
	allowed(t, func() error {
		if _, err = j.EnsureTopic(t.Context(), topic, 2); !strings.Contains(err.Error(), "create topic") {
			return err
		}
		return nil
	})
	refused(err, "create topic", "--operation Create", "kafka-topics.sh", "--partitions 2", "message.timestamp.type=LogAppendTime")
	allow(kadm.NewACLs().Topics(topic).Operations(kadm.OpCreate))
	allowed(t, func() error {
		_, err := j.EnsureTopic(t.Context(), topic, 2)
		return err
	})
	refused(j.Append(t.Context(), []pinflow.Draft{{Topic: topic, Value: []byte("x")}})[0].Err, "--operation Write", "--topic "+topic)
	allow(kadm.NewACLs().Topics(topic).Operations(kadm.OpWrite))
	allowed(t, func() error { // the client does not ask a second time whether it may append
		j, err := kafka.Open(t.Context(), o)
		if err != nil {
			return err
		}
		defer j.Close()
		return j.Append(t.Context(), []pinflow.Draft{{Topic: topic, Value: []byte("x")}})[0].Err
	})
	_, err = j.Read(t.Context(), tp, 0, 1)
	refused(err, "--operation Read", "--topic "+topic)
	poll := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		sub, err := j.Subscribe(ctx, "group-of-"+topic, []string{topic}, nothing{})
		if err != nil {
			t.Fatal(err)
		}
		defer sub.Close()
		runs, err := sub.Poll(ctx, 1)
		for _, run := range runs {
			if err == nil {
				err = run.Err
			}
		}
		return err
	}
	refused(poll(), "--operation Read --group group-of-"+topic)
	allow(kadm.NewACLs().Groups("group-of-" + topic).Operations(kadm.OpRead))
	allowed(t, func() error {
		if err := poll(); !strings.Contains(fmt.Sprint(err), "--topic "+topic) {
			return fmt.Errorf("%v, want what is missing to read the topic", err)
		}
		return nil
	})
	allow(kadm.NewACLs().Topics(topic).Operations(kadm.OpRead))
	allowed(t, poll)
	if _, err := j.Topic(t.Context(), strings.Repeat("x", 20)); pinflow.KindOf(err) != pinflow.Invalid {
		t.Errorf("a topic that it may not see: %v", err)
	}
}
