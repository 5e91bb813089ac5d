package lake_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/lake"
	"github.com/pinflow/pinflow/lake/laketest"
)

func TestNextObjectFollowsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, objects := laketest.NewJournal(1, 0), slow{&laketest.Memory{}, make(chan struct{})}
		j.Create("a", 1)
		_, end := run(t, lake.Options{Journal: j.Client(), Objects: objects, Topics: []string{"a"}, FlushCount: 2})
		post(j, "a", 0, 3)
		synctest.Wait()
		post(j, "a", 0, 1)
		synctest.Wait() // one object is on its way, the next is full
		began := time.Now()
		objects.gate <- struct{}{}
		objects.gate <- struct{}{}
		synctest.Wait()
		if at := ends(t, objects, "a"); at[0] != 4 || time.Since(began) > 0 {
			t.Errorf("the lake ends at %d after %v", at[0], time.Since(began))
		}
		if err := end(); err != nil {
			t.Error(err)
		}
	})
}

func TestRebalanceIsNotHeldUpByAPutThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, objects := laketest.NewJournal(1, 0), &laketest.Memory{}
		j.Create("a", 1)
		tp := pinflow.TopicPartition{Topic: "a"}
		hangs := slow{objects, make(chan struct{})}
		o := lake.Options{Journal: j.Client(), Objects: hangs, Topics: []string{"a"}, FlushCount: 1}
		a, endA := run(t, o)
		post(j, "a", 0, 20) // a cannot take all of them
		synctest.Wait()
		o.Journal, o.Objects = j.Client(), objects
		b, endB := run(t, o)
		for range 50 {
			j.Rebalance()
			time.Sleep(time.Minute)
			if _, moved := b.Ends()[tp]; moved {
				break
			}
		}
		if at := ends(t, objects, "a"); at[0] != 20 {
			t.Errorf("the lake ends at %d; a has %v, b has %v", at[0], a.Ends(), b.Ends())
		}
		if err := endB(); err != nil {
			t.Error(err)
		}
		close(hangs.gate)
		if err := endA(); err != nil {
			t.Error(err)
		}
	})
}

func TestLakeThatGrowsBesideAWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, objects := laketest.NewJournal(1, 0), &laketest.Memory{}
		j.Create("a", 1)
		tp := pinflow.TopicPartition{Topic: "a"}
		post(j, "a", 0, 9)
		w, end := run(t, lake.Options{Journal: j.Client(), Objects: objects, Topics: []string{"a"}, FlushAge: time.Second})
		time.Sleep(time.Minute)
		// Another writer, of which this one has not heard, keeps what comes next, and the journal forgets it.
		grown := laketest.NewJournal(1, 0)
		grown.Create("a", 1)
		post(grown, "a", 0, 15)
		next := lake.Object{TopicPartition: tp, Period: pinflow.DefaultPeriodLength.Of(start, 0), Start: 9}
		if _, err := objects.PutIfAbsent(t.Context(), next.Name(pinflow.DefaultPeriodLength), gz(t, lines(grown.Records(tp)[9:]...))); err != nil {
			t.Fatal(err)
		}
		j.Forget(tp, 15)
		post(j, "a", 0, 5)
		time.Sleep(time.Minute)
		if at := ends(t, objects, "a"); at[0] != 20 || len(w.Stopped()) > 0 {
			t.Errorf("the lake ends at %d; stopped: %v", at[0], w.Stopped())
		}
		if err := end(); err != nil {
			t.Error(err)
		}
	})
}

// damaged is a journal in which a partition cannot be read, which each Seek finds out again.
type damaged struct {
	*laketest.Client
	tp    pinflow.TopicPartition
	tries *int
}

type damagedSubscription struct {
	pinflow.Subscription
	j    damaged
	told bool
}

func (d damaged) Subscribe(ctx context.Context, group string, topics []string, a pinflow.Assignee) (pinflow.Subscription, error) {
	s, err := d.Client.Subscribe(ctx, group, topics, a)
	return &damagedSubscription{Subscription: s, j: d}, err
}

func (s *damagedSubscription) Poll(ctx context.Context, n int) ([]pinflow.Run, error) {
	runs, err := s.Subscription.Poll(ctx, n)
	if !s.told {
		s.told = true
		*s.j.tries++
		runs = append(runs, pinflow.Run{TopicPartition: s.j.tp, Err: &pinflow.Error{Op: "read", Err: errors.New("it is damaged")}})
	}
	return runs, err
}

func (s *damagedSubscription) Seek(tp pinflow.TopicPartition, offset int64) {
	s.told = s.told && tp != s.j.tp
	s.Subscription.Seek(tp, offset)
}

// TestDamagedPartitionIsTriedSeldom keeps a partition that cannot be read from keeping the writer busy, while others go on.
func TestDamagedPartitionIsTriedSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, objects := laketest.NewJournal(1, 0), &laketest.Memory{}
		j.Create("a", 2)
		tries := 0
		w, end := run(t, lake.Options{Journal: damaged{j.Client(), pinflow.TopicPartition{Topic: "a"}, &tries}, Objects: objects, Topics: []string{"a"}, FlushAge: time.Second})
		for range 3000 {
			post(j, "a", 1, 1)
			time.Sleep(100 * time.Millisecond)
		}
		synctest.Wait()
		if tries < 10 || tries > 40 {
			t.Errorf("in five minutes it was tried %d times", tries)
		}
		if at := ends(t, objects, "a"); at[1] < 2900 {
			t.Errorf("the lake ends at %d; stopped: %v", at[1], w.Stopped())
		}
		if err := end(); err != nil {
			t.Error(err)
		}
	})
}
