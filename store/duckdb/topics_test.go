package duckdb_test

import (
	"testing"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/store/duckdb"
)

// TestBind holds a store to the topic that it has counted, also after it was opened again.
func TestBind(t *testing.T) {
	p := newPlace(t, duckdb.Options{})
	s := p.open(t)
	plan, tp := smallPlan(), pinflow.TopicPartition{Topic: "t", Partition: 1}
	topic := func(id string, ends ...int64) pinflow.Topic {
		made := pinflow.Topic{Name: "t", ID: id}
		for i, end := range ends {
			made.Partitions = append(made.Partitions, pinflow.PartitionBounds{Partition: int32(i), End: end})
		}
		return made
	}
	if err := s.Bind(t.Context(), topic("", 0, 0)); err != nil {
		t.Errorf("a topic without an id: %v", err)
	}
	if err := s.Bind(t.Context(), topic("one", 0, 0)); err != nil {
		t.Fatal(err)
	}
	if err := s.Prepare(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Claim(t.Context(), plan.Generation, map[pinflow.TopicPartition]int64{tp: 0}); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(t.Context(), smallDelta(plan, tp, 0, 50)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = p.open(t)
	for _, c := range []struct {
		name  string
		topic pinflow.Topic
		kind  pinflow.Kind // Internal: it is taken
	}{
		{"the same", topic("one", 0, 50), pinflow.Internal},
		{"the same, longer", topic("one", 0, 51), pinflow.Internal},
		{"an old broker's", topic("", 0, 50), pinflow.Internal},
		{"made anew", topic("two", 0, 50), pinflow.Invalid},
		{"made anew, empty", topic("two", 0, 0), pinflow.Invalid},
		{"a log that has lost its end", topic("one", 0, 49), pinflow.OutOfRange},
	} {
		if err := s.Bind(t.Context(), c.topic); (err == nil) != (c.kind == pinflow.Internal) || pinflow.KindOf(err) != c.kind {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if err := s.Bind(t.Context(), pinflow.Topic{Name: "other", ID: "two"}); err != nil {
		t.Errorf("another topic: %v", err)
	}
}

// TestClaimIsAChange lets who waits for changes see positions that are new.
func TestClaimIsAChange(t *testing.T) {
	s := newPlace(t, duckdb.Options{}).open(t)
	plan := smallPlan()
	if err := s.Prepare(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	for _, isNew := range []bool{true, false} {
		changed := s.Changes()
		if _, err := s.Claim(t.Context(), plan.Generation, map[pinflow.TopicPartition]int64{{Topic: "t"}: 0}); err != nil {
			t.Fatal(err)
		}
		select {
		case <-changed:
			if !isNew {
				t.Error("a claim that changes nothing is told as a change")
			}
		default:
			if isNew {
				t.Error("new positions are not told")
			}
		}
	}
}
