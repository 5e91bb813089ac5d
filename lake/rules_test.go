package lake_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/lake"
	"github.com/pinflow/pinflow/lake/laketest"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

const start = 1_790_000_000_000 // of the broker's clock

func post(j *laketest.Journal, topic string, partition int32, n int) {
	for i := range n {
		j.Append(pinflow.Record{Topic: topic, Partition: partition, Timestamp: start, Value: fmt.Appendf(nil, `{"n":%d}`, i)})
	}
}

// run starts a writer; end ends it and returns what Run does.
func run(t *testing.T, o lake.Options) (w *lake.Writer, end func() error) {
	t.Helper()
	w, err := lake.NewWriter(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	return w, func() error { cancel(); return <-done }
}

// ends returns where the lake ends.
func ends(t *testing.T, objects pinflow.Objects, topic string) map[int32]int64 {
	t.Helper()
	l, err := lake.OpenTopic(t.Context(), objects, topic)
	if err != nil {
		t.Fatal(err)
	}
	tails, err := l.Ends(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	at := map[int32]int64{}
	for p, tail := range tails {
		at[p] = tail.End
	}
	return at
}

func TestQuietTopicIsFlushedByAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, objects := laketest.NewJournal(1, 0), &laketest.Memory{}
		j.Create("a", 1)
		w, end := run(t, lake.Options{Journal: j.Client(), Objects: objects, Topics: []string{"a"}})
		post(j, "a", 0, 3)
		time.Sleep(time.Minute - time.Millisecond)
		synctest.Wait()
		if at := ends(t, objects, "a"); at[0] != 0 {
			t.Errorf("the lake ends at %d before the age", at[0])
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if at := ends(t, objects, "a"); at[0] != 3 || w.Ends()[pinflow.TopicPartition{Topic: "a"}] != 3 {
			t.Errorf("the lake ends at %d, the writer says %v", at[0], w.Ends())
		}
		post(j, "a", 0, 2)
		synctest.Wait()
		if err := end(); err != nil {
			t.Error(err)
		}
		if at := ends(t, objects, "a"); at[0] != 5 {
			t.Errorf("after a shutdown the lake ends at %d", at[0])
		}
	})
}

func TestAnotherTopicOfThatNameIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, objects := laketest.NewJournal(1, 0), &laketest.Memory{}
		j.Create("a", 1)
		j.Create("b", 1)
		o := lake.Options{Journal: j.Client(), Objects: objects, Topics: []string{"a", "b"}}
		post(j, "a", 0, 3)
		_, end := run(t, o)
		synctest.Wait()
		if err := end(); err != nil {
			t.Fatal(err)
		}
		j.Create("a", 1)
		post(j, "a", 0, 9)
		post(j, "b", 0, 4)
		o.Journal = j.Client()
		_, end = run(t, o)
		synctest.Wait()
		if err := end(); pinflow.KindOf(err) != pinflow.Invalid || !strings.Contains(err.Error(), "made anew") {
			t.Errorf("Run says: %v", err)
		}
		if a, b := ends(t, objects, "a"), ends(t, objects, "b"); a[0] != 3 || b[0] != 4 {
			t.Errorf("the lake ends at %d and %d, not 3 and 4", a[0], b[0])
		}
		o.Topics, o.Journal = []string{"a"}, j.Client()
		w, err := lake.NewWriter(o)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Run(t.Context()); pinflow.KindOf(err) != pinflow.Invalid || !strings.Contains(err.Error(), "made anew") {
			t.Errorf("with no topic to keep, Run says: %v", err)
		}
	})
}

func TestTopicMadeAnewWhileRunningStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, objects := laketest.NewJournal(1, 0), &laketest.Memory{}
		j.Create("a", 1)
		post(j, "a", 0, 8)
		w, end := run(t, lake.Options{Journal: j.Client(), Objects: objects, Topics: []string{"a"}, FlushAge: time.Second})
		time.Sleep(time.Minute)
		j.Create("a", 1)
		post(j, "a", 0, 2) // the log ends before what the writer wants
		time.Sleep(time.Minute)
		if err := w.Stopped()[pinflow.TopicPartition{Topic: "a"}]; !strings.Contains(fmt.Sprint(err), "made anew") || pinflow.KindOf(err) != pinflow.Invalid {
			t.Errorf("stopped by: %v", err)
		}
		if err := end(); !strings.Contains(fmt.Sprint(err), "made anew") {
			t.Errorf("Run says: %v", err)
		}
		if at := ends(t, objects, "a"); at[0] != 8 {
			t.Errorf("the lake ends at %d", at[0])
		}
	})
}

// shrunk is a journal that has lost a partition's end.
type shrunk struct {
	*laketest.Client
	end int64
}

func (s shrunk) Topic(ctx context.Context, name string) (pinflow.Topic, error) {
	t, err := s.Client.Topic(ctx, name)
	if err == nil {
		t.Partitions[1].End = s.end
	}
	return t, err
}

func TestLogThatEndsBeforeTheLakeStopsItsPartitionOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, objects := laketest.NewJournal(1, 0), &laketest.Memory{}
		j.Create("a", 2)
		o := lake.Options{Journal: j.Client(), Objects: objects, Topics: []string{"a"}, FlushAge: time.Second}
		post(j, "a", 0, 5)
		post(j, "a", 1, 5)
		_, end := run(t, o)
		synctest.Wait()
		if err := end(); err != nil {
			t.Fatal(err)
		}
		post(j, "a", 0, 5)
		post(j, "a", 1, 5)
		metrics := prometheus.NewRegistry()
		o.Journal, o.Metrics = shrunk{j.Client(), 4}, metrics
		w, end := run(t, o)
		time.Sleep(time.Minute)
		stopped := w.Stopped()
		if err := stopped[pinflow.TopicPartition{Topic: "a", Partition: 1}]; len(stopped) != 1 || pinflow.KindOf(err) != pinflow.OutOfRange || !strings.Contains(err.Error(), "ends at 4, before the lake") {
			t.Errorf("stopped: %v", stopped)
		}
		want := strings.NewReader(`
# HELP pinflow_lake_partition_stopped 1 if the partition has stopped because of an error, which the log tells; else 0.
# TYPE pinflow_lake_partition_stopped gauge
pinflow_lake_partition_stopped{partition="0",topic="a"} 0
pinflow_lake_partition_stopped{partition="1",topic="a"} 1
# HELP pinflow_lake_records_total Records in the objects written.
# TYPE pinflow_lake_records_total counter
pinflow_lake_records_total{topic="a"} 5
# HELP pinflow_lake_lag_records Offsets between the end of the lake and that of the journal, as last heard.
# TYPE pinflow_lake_lag_records gauge
pinflow_lake_lag_records{partition="0",topic="a"} 0
`)
		if err := testutil.GatherAndCompare(metrics, want, "pinflow_lake_partition_stopped", "pinflow_lake_records_total", "pinflow_lake_lag_records"); err != nil {
			t.Error(err)
		}
		if err := end(); pinflow.KindOf(err) != pinflow.OutOfRange {
			t.Errorf("Run says: %v", err)
		}
		if at := ends(t, objects, "a"); at[0] != 10 || at[1] != 5 {
			t.Errorf("the lake ends at %v", at)
		}
	})
}

func TestRetentionPassed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, objects := laketest.NewJournal(1, 0), &laketest.Memory{}
		j.Create("a", 2)
		o := lake.Options{Journal: j.Client(), Objects: objects, Topics: []string{"a"}, FlushAge: time.Second}
		post(j, "a", 0, 9)
		post(j, "a", 1, 9)
		j.Truncate(pinflow.TopicPartition{Topic: "a", Partition: 1}, 4) // before the lake began: no gap
		_, end := run(t, o)
		synctest.Wait()
		if err := end(); err != nil {
			t.Fatal(err)
		}
		l, err := lake.OpenTopic(t.Context(), objects, "a")
		if err != nil {
			t.Fatal(err)
		}
		if flaws, err := l.Tiles(t.Context()); len(flaws) > 0 || err != nil {
			t.Errorf("flaws %v, %v", flaws, err)
		}
		post(j, "a", 0, 9)
		j.Truncate(pinflow.TopicPartition{Topic: "a", Partition: 0}, 12)
		o.Journal = j.Client()
		w, end := run(t, o)
		time.Sleep(time.Minute)
		stopped := w.Stopped()
		if err := stopped[pinflow.TopicPartition{Topic: "a"}]; len(stopped) != 1 || pinflow.KindOf(err) != pinflow.OutOfRange || !strings.Contains(err.Error(), "starts at 12") {
			t.Errorf("stopped: %v", stopped)
		}
		if err := end(); pinflow.KindOf(err) != pinflow.OutOfRange {
			t.Errorf("Run says: %v", err)
		}
	})
}

// overtaken is a journal before whose answer about a topic, once, another writer does all there is to do.
type overtaken struct {
	*laketest.Client
	calls int
	other func()
}

func (o *overtaken) Topic(ctx context.Context, name string) (pinflow.Topic, error) {
	if o.calls++; o.calls == 2 { // the first is before the group is joined
		o.other()
	}
	return o.Client.Topic(ctx, name)
}

func TestLakeThatGrowsWhileAWriterResumes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, objects := laketest.NewJournal(1, 0), &laketest.Memory{}
		j.Create("a", 1)
		o := lake.Options{Journal: j.Client(), Objects: objects, Topics: []string{"a"}, FlushAge: time.Second}
		post(j, "a", 0, 9)
		_, end := run(t, o)
		synctest.Wait()
		if err := end(); err != nil {
			t.Fatal(err)
		}
		post(j, "a", 0, 9)
		o.Journal = &overtaken{Client: j.Client(), other: func() {
			object := lake.Object{TopicPartition: pinflow.TopicPartition{Topic: "a"}, Period: pinflow.DefaultPeriodLength.Of(start, 0), Start: 9}
			if _, err := objects.PutIfAbsent(t.Context(), object.Name(pinflow.DefaultPeriodLength), gz(t, lines(j.Records(object.TopicPartition)[9:15]...))); err != nil {
				t.Error(err)
			}
			j.Truncate(object.TopicPartition, 15)
		}}
		w, end := run(t, o)
		time.Sleep(time.Minute)
		if stopped := w.Stopped(); len(stopped) > 0 {
			t.Errorf("stopped: %v", stopped)
		}
		if err := end(); err != nil {
			t.Error(err)
		}
		if at := ends(t, objects, "a"); at[0] != 18 {
			t.Errorf("the lake ends at %v", at)
		}
	})
}

func TestSettingsAreTheLakes(t *testing.T) {
	objects := &laketest.Memory{}
	topic := pinflow.Topic{Name: "a", ID: "x", AppendTime: true, Partitions: make([]pinflow.PartitionBounds, 2)}
	hour := pinflow.PeriodLength(time.Hour)
	if _, err := lake.EnsureTopic(t.Context(), objects, topic, hour, true); err != nil {
		t.Fatal(err)
	}
	for _, same := range []pinflow.PeriodLength{0, hour} {
		l, err := lake.EnsureTopic(t.Context(), objects, topic, same, true)
		if err != nil || l.PeriodLength() != hour {
			t.Errorf("%v gives %v, %v", same, l, err)
		}
	}
	r, err := objects.Get(t.Context(), "raw/a/_topic.json")
	if err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(r)
	if want := `{"version":1,"topic":"a","topic_id":"x","partitions":2,"period_seconds":3600}` + "\n"; string(text) != want {
		t.Errorf("_topic.json is %s", text)
	}
	anew, more, created := topic, topic, topic
	anew.ID, more.Partitions, created.AppendTime = "y", make([]pinflow.PartitionBounds, 3), false
	named := topic
	named.Name = "../a"
	for _, c := range []struct {
		topic  pinflow.Topic
		length pinflow.PeriodLength
	}{{topic, pinflow.DefaultPeriodLength}, {anew, 0}, {more, 0}, {created, 0}, {named, 0}} {
		if _, err := lake.EnsureTopic(t.Context(), objects, c.topic, c.length, true); pinflow.KindOf(err) != pinflow.Invalid || pinflow.HintOf(err) == "" {
			t.Errorf("%+v with %v: %v", c.topic, c.length, err)
		}
	}
	if _, err := lake.EnsureTopic(t.Context(), objects, pinflow.Topic{Name: "b", AppendTime: true}, 7, true); pinflow.KindOf(err) != pinflow.Invalid {
		t.Errorf("a period of 7 ns: %v", err)
	}
	if _, err := lake.OpenTopic(t.Context(), objects, "b"); pinflow.KindOf(err) != pinflow.NotFound {
		t.Errorf("open: %v", err)
	}
	for _, bad := range []string{"", "{", `{"version":2,"topic":"c","period_seconds":60}`, `{"version":1,"topic":"d","period_seconds":60}`, `{"version":1,"topic":"c","period_seconds":7}`} {
		other := &laketest.Memory{}
		if _, err := other.PutIfAbsent(t.Context(), "raw/c/_topic.json", []byte(bad)); err != nil {
			t.Fatal(err)
		}
		if _, err := lake.OpenTopic(t.Context(), other, "c"); pinflow.KindOf(err) != pinflow.Invalid {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

// slow is a place whose puts wait until they are let go.
type slow struct {
	*laketest.Memory
	gate chan struct{}
}

func (s slow) PutIfAbsent(ctx context.Context, name string, content []byte) (bool, error) {
	if strings.HasSuffix(name, ".json.gz") {
		select {
		case <-s.gate:
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
	return s.Memory.PutIfAbsent(ctx, name, content)
}

func TestMemoryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const memory, partitions, posts = 1 << 20, 20, 6000
		j, objects := laketest.NewJournal(1, 0), slow{&laketest.Memory{}, make(chan struct{})}
		j.Create("a", partitions)
		random := rand.NewChaCha8([32]byte{})
		for i := range posts {
			var noise [512]byte // does not get smaller
			random.Read(noise[:])
			j.Append(pinflow.Record{Topic: "a", Partition: int32(i % partitions), Timestamp: start, Value: fmt.Appendf(nil, `{"x":"%x"}`, noise)})
		}
		metrics := prometheus.NewRegistry()
		w, end := run(t, lake.Options{Journal: j.Client(), Objects: objects, Topics: []string{"a"}, Memory: memory, Metrics: metrics})
		most := 0.0
		for n, rounds := 0, 0; n < posts; rounds++ {
			if synctest.Wait(); rounds == posts {
				t.Fatalf("only %d records are in the lake", n)
			}
			most = max(most, gauge(t, metrics, "pinflow_lake_held_bytes"))
			select {
			case objects.gate <- struct{}{}:
			default:
				time.Sleep(time.Second)
			}
			n = 0
			for _, end := range w.Ends() {
				n += int(end)
			}
		}
		if most < memory/4 || most > memory+memory/4 {
			t.Errorf("held up to %.0f bytes of %d", most, memory)
		}
		if err := end(); err != nil {
			t.Error(err)
		}
	})
}

func gauge(t *testing.T, r *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("no %s", name)
	return 0
}

func TestTimeWithoutANameStopsItsPartitionOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, odd := range []int64{-5, 600_000_000_000_000} { // before 1970, the year 20983
			j, objects := laketest.NewJournal(1, 0), &laketest.Memory{}
			j.Create("a", 2)
			post(j, "a", 0, 3)
			j.Append(pinflow.Record{Topic: "a", Partition: 1, Timestamp: odd})
			post(j, "a", 1, 1)
			w, end := run(t, lake.Options{Journal: j.Client(), Objects: objects, Topics: []string{"a"}, FlushAge: time.Second})
			time.Sleep(time.Minute)
			if err := w.Stopped()[pinflow.TopicPartition{Topic: "a", Partition: 1}]; pinflow.KindOf(err) != pinflow.Invalid || !strings.Contains(err.Error(), "a:1:0") {
				t.Errorf("stopped: %v", err)
			}
			if err := end(); err == nil {
				t.Error("Run says nothing")
			}
			if at := ends(t, objects, "a"); at[0] != 3 || at[1] != 0 {
				t.Errorf("the lake ends at %v", at)
			}
		}
	})
}
