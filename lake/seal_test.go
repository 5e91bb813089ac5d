package lake_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/lake"
	"github.com/pinflow/pinflow/lake/laketest"
)

// world is a journal and a lake that has what it is given of it.
type world struct {
	t       *testing.T
	journal *laketest.Journal
	objects pinflow.Objects
	floor   map[pinflow.TopicPartition]pinflow.Period
	clock   time.Time
}

func newWorld(t *testing.T, topics ...string) *world {
	w := &world{t: t, journal: laketest.NewJournal(1, 0), objects: &laketest.Memory{}, floor: map[pinflow.TopicPartition]pinflow.Period{}}
	for _, topic := range topics {
		w.create(topic, 2)
	}
	return w
}

func (w *world) create(topic string, partitions int) {
	w.journal.Create(topic, partitions)
	about, err := w.journal.Topic(w.t.Context(), topic)
	must(w.t, err)
	_, err = lake.EnsureTopic(w.t.Context(), w.objects, about, minute, true)
	must(w.t, err)
}

// at is the start of a period.
func at(period int) time.Time { return time.UnixMilli(int64(period) * 60_000) }

// append adds n records of a period's time to the journal, and to the lake as one object.
func (w *world) append(topic string, partition int32, period, n int) {
	tp := pinflow.TopicPartition{Topic: topic, Partition: partition}
	first := len(w.journal.Records(tp))
	w.post(topic, partition, period, n)
	all := w.journal.Records(tp)[first:]
	floor, ok := w.floor[tp]
	if !ok {
		floor = pinflow.NoPeriod
	}
	p := minute.Of(all[0].Timestamp, floor)
	w.floor[tp] = p
	o := lake.Object{TopicPartition: tp, Period: p, Start: all[0].Offset}
	created, err := w.objects.PutIfAbsent(w.t.Context(), o.Name(minute), gz(w.t, lines(all...)))
	if err != nil || !created {
		w.t.Fatal(created, err)
	}
}

// post adds records to the journal alone.
func (w *world) post(topic string, partition int32, period, n int) {
	for i := range n {
		w.journal.Append(pinflow.Record{Topic: topic, Partition: partition, Timestamp: at(period).UnixMilli() + int64(i), Value: []byte(`{"n":1}`)})
	}
}

func (w *world) sealer(objects pinflow.Objects, topics ...string) *lake.Sealer {
	s, err := lake.NewSealer(lake.SealerOptions{Objects: objects, Journal: w.journal, Topics: topics, Grace: 10 * time.Second, Clock: func() time.Time { return w.clock }})
	must(w.t, err)
	return s
}

// seal seals at a time, and checks which periods that were.
func (w *world) seal(s *lake.Sealer, now time.Time, want ...int) lake.Sealing {
	w.t.Helper()
	w.clock = now
	st, err := s.Seal(w.t.Context())
	must(w.t, err)
	var got []int
	for _, p := range st.Sealed {
		got = append(got, int(p/60_000))
	}
	if !slices.Equal(got, want) {
		w.t.Errorf("sealed %v, want %v; %s", got, want, st.Waiting)
	}
	return st
}

// ranges describes the seals of a topic: period, and per partition start-end(records).
func (w *world) ranges(topic string) (all []string) {
	w.t.Helper()
	for s, err := range lake.NewRaw(w.objects).Seals(w.t.Context(), topic) {
		must(w.t, err)
		text := fmt.Sprint(s.Period / 60_000)
		for _, p := range s.Partitions {
			text += fmt.Sprintf(" %d:%d-%d(%d)", p.Partition, p.Start, p.End, p.Records)
		}
		all = append(all, text)
	}
	return all
}

func (w *world) check(topic string, want ...string) {
	w.t.Helper()
	if got := w.ranges(topic); !slices.Equal(got, want) {
		w.t.Errorf("%s is sealed as\n%s\nwant\n%s", topic, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestSealing(t *testing.T) {
	w := newWorld(t, "a")
	s := w.sealer(w.objects, "a")
	if st := w.seal(s, at(3)); st.Next != pinflow.NoPeriod || st.Last != pinflow.NoPeriod || !strings.Contains(st.Waiting, "no record") {
		t.Errorf("an empty lake: %+v", st)
	}
	w.append("a", 0, 3, 5)
	if st := w.seal(s, at(4).Add(9*time.Second)); st.Next != pinflow.Period(3*60_000) || !st.Until.Equal(at(4).Add(10*time.Second)) || !strings.Contains(st.Waiting, "1970-01-01T00:04:10Z") {
		t.Errorf("before the grace is over: %+v", st)
	}
	w.post("a", 1, 3, 2)
	if st := w.seal(s, at(4).Add(10*time.Second)); st.Partition == nil || st.Partition.Partition != 1 {
		t.Errorf("with a record that is not in the lake: %+v", st)
	}
	w.check("a")
	w.journal.Create("a", 2) // only to have the journal's offsets anew: the id is another
	if _, err := s.Seal(t.Context()); pinflow.KindOf(err) != pinflow.Invalid || !strings.Contains(err.Error(), "made anew") {
		t.Errorf("with a topic made anew: %v", err)
	}

	w = newWorld(t, "a")
	s = w.sealer(w.objects, "a")
	w.append("a", 0, 3, 5)
	w.append("a", 1, 3, 2)
	w.seal(s, at(4).Add(10*time.Second), 3)
	w.append("a", 0, 6, 1)
	w.seal(s, at(6), 4) // 5's grace is not over
	w.append("a", 0, 2, 4)
	w.append("a", 1, 2, 3) // the clock was set back: it lies in period 3
	w.append("a", 0, 7, 1)
	w.append("a", 0, 9, 1)
	w.seal(s, at(5).Add(time.Hour), 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63)
	if got := w.ranges("a")[:8]; !reflect.DeepEqual(got, []string{"3 0:0-5(5) 1:0-2(2)", "4 0:5-5(0) 1:2-2(0)", "5 0:5-5(0) 1:2-5(3)", "6 0:5-10(5) 1:5-5(0)", "7 0:10-11(1) 1:5-5(0)", "8 0:11-11(0) 1:5-5(0)", "9 0:11-12(1) 1:5-5(0)", "10 0:12-12(0) 1:5-5(0)"}) {
		t.Errorf("sealed as %q", got)
	}
	// Late records of partitions that are quiet for many sealed periods are found by what the journal says of them, and without it.
	w.append("a", 1, 40, 2)
	w.append("a", 1, 30, 1) // lies in 40, as the one before
	w.append("a", 0, 20, 1)
	for i, s := range []*lake.Sealer{s, w.sealer(w.objects, "a")} {
		if i == 1 {
			for p := range int32(2) {
				tp := pinflow.TopicPartition{Topic: "a", Partition: p}
				w.append("a", p, 21, 1)
				w.journal.Truncate(tp, int64(len(w.journal.Records(tp))))
			}
		}
		w.seal(s, at(65+i).Add(10*time.Second), 64+i)
	}
	if got := w.ranges("a")[61:]; !reflect.DeepEqual(got, []string{"64 0:12-13(1) 1:5-8(3)", "65 0:13-14(1) 1:8-9(1)"}) {
		t.Errorf("sealed as %q", got)
	}
	must(t, laketest.CheckSeals(t.Context(), w.journal, w.objects, []string{"a"}, time.Minute, false, true))
}

// counted counts what is asked of a place.
type counted struct {
	pinflow.Objects
	gets, lists, names int
}

func (c *counted) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	c.gets++
	return c.Objects.Get(ctx, name)
}

func (c *counted) List(ctx context.Context, prefix, delimiter string) iter.Seq2[pinflow.ObjectInfo, error] {
	c.lists++
	return func(yield func(pinflow.ObjectInfo, error) bool) {
		for info, err := range c.Objects.List(ctx, prefix, delimiter) {
			if delimiter == "" {
				c.names++
			}
			if !yield(info, err) {
				return
			}
		}
	}
}

// TestSealingCostDoesNotGrow seals one period more after a few and after thousands, by a sealer that knows the others and by a new one.
// TestOpenTransaction: its records were appended within the period, and nobody sees them before it ends.
func TestOpenTransaction(t *testing.T) {
	w := newWorld(t, "a")
	s := w.sealer(w.objects, "a")
	w.append("a", 0, 3, 5)
	w.append("a", 1, 3, 2)
	w.journal.Hold(pinflow.Record{Topic: "a", Partition: 1, Timestamp: at(3).UnixMilli(), Value: []byte(`{"n":1}`)})
	if st := w.seal(s, at(4).Add(time.Hour)); st.Partition == nil || st.Partition.Partition != 1 {
		t.Errorf("with a transaction that is open: %+v", st)
	}
	w.journal.Release(pinflow.TopicPartition{Topic: "a", Partition: 1})
	if st := w.seal(s, at(4).Add(time.Hour)); st.Partition == nil || st.Partition.Partition != 1 {
		t.Errorf("with its record, which is not in the lake: %+v", st)
	}
}

func TestSealingCostDoesNotGrow(t *testing.T) {
	w := newWorld(t, "a")
	w.append("a", 0, 1, 3)
	w.append("a", 1, 1, 3)
	objects := &counted{Objects: w.objects}
	old := w.sealer(objects, "a")
	for _, gap := range []int{10, 5000} {
		start := w.clock
		w.clock = w.clock.Add(time.Duration(gap) * time.Minute)
		if start.IsZero() {
			w.clock = at(gap)
		}
		*objects = counted{Objects: w.objects}
		st, err := old.Seal(t.Context())
		must(t, err)
		if len(st.Sealed) < gap-2 || objects.gets > 10 || objects.lists > 5 {
			t.Errorf("%d periods were sealed by %d gets and %d lists", len(st.Sealed), objects.gets, objects.lists)
		}
		for name, s := range map[string]*lake.Sealer{"the same": old, "another": w.sealer(objects, "a")} {
			w.append("a", 0, int(w.clock.Unix()/60), 2)
			w.clock = w.clock.Add(time.Minute + 10*time.Second)
			*objects = counted{Objects: w.objects}
			st, err := s.Seal(t.Context())
			must(t, err)
			if len(st.Sealed) == 0 || objects.gets > 16 || objects.lists > 8 || objects.names > 30 {
				t.Errorf("after %d periods, %s sealer needs %d gets and %d lists of %d names for %d", gap, name, objects.gets, objects.lists, objects.names, len(st.Sealed))
			}
		}
	}
	if tail, err := lake.NewRaw(objects).Ends(t.Context(), "a"); err != nil || tail[pinflow.TopicPartition{Topic: "a", Partition: 1}] != (lake.Tail{End: 3, Floor: 60_000}) {
		t.Errorf("the end of a quiet partition: %+v, %v", tail, err)
	}
}

func TestTopicsAreSealedTogether(t *testing.T) {
	w := newWorld(t, "b", "a")
	w.append("b", 0, 5, 3)
	dying := w.sealer(&mortal{Objects: w.objects, left: 1, last: true}, "b", "a")
	w.clock = at(7)
	if _, err := dying.Seal(t.Context()); !errors.Is(err, errKilled) {
		t.Fatal(err)
	}
	w.check("a") // it is sealed, but not yet in b
	w.check("b")
	w.append("a", 1, 5, 2) // whose records came in time for the seal of nobody
	alone := w.sealer(w.objects, "a", "b")
	w.seal(alone, at(7), 5)
	w.check("a", "5 0:0-0(0) 1:0-0(0)")
	w.check("b", "5 0:0-3(3) 1:0-0(0)")
	w.seal(alone, at(7).Add(10*time.Second), 6)
	w.check("a", "5 0:0-0(0) 1:0-0(0)", "6 0:0-0(0) 1:0-2(2)")

	w.create("c", 1) // begins later: no seal for what was before
	w.append("c", 0, 6, 4)
	all := w.sealer(w.objects, "c", "b", "a")
	if st := w.seal(all, at(8)); st.Last != pinflow.Period(6*60_000) {
		t.Errorf("%+v", st)
	}
	w.seal(all, at(8).Add(10*time.Second), 7)
	w.check("c", "7 0:0-4(4)")
	if got := len(w.ranges("a")); got != 3 {
		t.Errorf("a has %d seals", got)
	}

	w.create("d", 1)
	w.append("d", 0, 9, 1)
	w.seal(w.sealer(w.objects, "a", "b"), at(11), 8, 9) // a pipeline that knows nothing of c and d
	w.seal(w.sealer(w.objects, "a", "b", "c", "d"), at(11).Add(10*time.Second), 8, 9, 10)
	w.check("c", "7 0:0-4(4)", "8 0:4-4(0)", "9 0:4-4(0)", "10 0:4-4(0)")
	w.check("d", "10 0:0-1(1)")
	if _, err := w.sealer(w.objects, "a", "nothing").Seal(t.Context()); err != nil {
		t.Errorf("a topic that is not there yet: %v", err)
	}
}

func TestPartitionsAdded(t *testing.T) {
	w := newWorld(t, "a")
	w.append("a", 0, 3, 5)
	s := w.sealer(w.objects, "a")
	w.seal(s, at(4).Add(10*time.Second), 3)
	w.journal.Grow("a", 4)
	w.seal(s, at(5).Add(10*time.Second), 4) // nothing was posted to them
	w.post("a", 3, 5, 2)
	if st := w.seal(s, at(6).Add(10*time.Second)); st.Partition == nil || st.Partition.Partition != 3 {
		t.Errorf("it waits for %+v", st)
	}
	about, err := w.journal.Topic(t.Context(), "a")
	must(t, err)
	if _, err := lake.EnsureTopic(t.Context(), w.objects, about, 0, true); pinflow.KindOf(err) != pinflow.Invalid || !strings.Contains(err.Error(), "each key's records") {
		t.Errorf("a keyed topic: %v", err)
	}
	for range 2 {
		l, err := lake.EnsureTopic(t.Context(), w.objects, about, 0, false)
		must(t, err)
		if l.PartitionCount() != 4 || l.Partitions != 2 {
			t.Errorf("%d partitions", l.PartitionCount())
		}
	}
	r, err := w.objects.Get(t.Context(), "raw/a/_partitions-00004.json")
	must(t, err)
	if text, err := io.ReadAll(r); err != nil || string(text) != `{"version":1,"topic":"a","partitions":4}`+"\n" {
		t.Errorf("%s, %v", text, err)
	}
	about.Partitions = about.Partitions[:3]
	if _, err := lake.EnsureTopic(t.Context(), w.objects, about, 0, false); pinflow.KindOf(err) != pinflow.Invalid {
		t.Errorf("a journal with fewer: %v", err)
	}
	writer, err := lake.NewWriter(lake.Options{Journal: w.journal.Client(), Objects: w.objects, Topics: []string{"a"}, Unkeyed: []string{"a"}, FlushCount: 1})
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- writer.Run(ctx) }()
	for len(writer.Ends()) < 4 || writer.Ends()[pinflow.TopicPartition{Topic: "a", Partition: 3}] < 2 {
		<-time.After(time.Millisecond)
	}
	cancel()
	must(t, <-done)
	w.seal(s, at(6).Add(10*time.Second), 5)
	w.check("a", "3 0:0-5(5) 1:0-0(0)", "4 0:5-5(0) 1:0-0(0) 2:0-0(0) 3:0-0(0)", "5 0:5-5(0) 1:0-0(0) 2:0-0(0) 3:0-2(2)")
}

// TestObjectThatIsMissing stops sealing, and says which.
func TestObjectThatIsMissing(t *testing.T) {
	for lost := range 4 {
		w := newWorld(t, "a")
		for i := range 5 {
			w.append("a", 0, 3+i/2, 5)
		}
		s := w.sealer(w.objects, "a")
		if lost > 1 {
			w.seal(s, at(4).Add(10*time.Second), 3)
		}
		must(t, w.objects.Delete(t.Context(), object(3+lost/2, 0, int64(5*lost)).Name(minute)))
		w.clock = at(9)
		st, err := s.Seal(t.Context())
		if pinflow.KindOf(err) != pinflow.Invalid || !strings.Contains(fmt.Sprint(err), fmt.Sprintf("a:0:%d", 5*lost)) || pinflow.HintOf(err) == "" || len(st.Sealed) > 0 {
			t.Errorf("without %d: %v, sealed %v", 5*lost, err, st.Sealed)
		}
	}
}

// hooked is a place that calls before, once, when a seal is about to be put.
type hooked struct {
	pinflow.Objects
	before func()
}

func (h *hooked) hook(name string) {
	if f := h.before; f != nil && strings.HasSuffix(name, "_SUCCESS") {
		h.before = nil
		f()
	}
}

func (h *hooked) PutIfAbsent(ctx context.Context, name string, content []byte) (bool, error) {
	h.hook(name)
	return h.Objects.PutIfAbsent(ctx, name, content)
}

func (h *hooked) Replace(ctx context.Context, name string, content []byte) error {
	h.hook(name)
	return h.Objects.Replace(ctx, name, content)
}

// TestFirstSealCounts lets another sealer, which has seen more, be faster.
func TestFirstSealCounts(t *testing.T) {
	w := newWorld(t, "a")
	w.append("a", 0, 3, 5)
	objects := &hooked{Objects: w.objects}
	slow, fast := w.sealer(objects, "a"), w.sealer(w.objects, "a")
	w.seal(slow, at(4).Add(10*time.Second), 3)
	objects.before = func() {
		w.append("a", 0, 3, 4) // long after the grace
		w.seal(fast, at(5).Add(10*time.Second), 4)
	}
	if st := w.seal(slow, at(5).Add(10*time.Second)); st.Last != pinflow.Period(4*60_000) {
		t.Errorf("%+v", st)
	}
	w.append("a", 0, 5, 1)
	w.seal(slow, at(6).Add(10*time.Second), 5)
	w.check("a", "3 0:0-5(5) 1:0-0(0)", "4 0:5-9(4) 1:0-0(0)", "5 0:9-10(1) 1:0-0(0)")
}

// going is a journal of which, each time that it has told of a topic, something goes on.
type going struct {
	*laketest.Journal
	on func()
}

func (g *going) Topic(ctx context.Context, name string) (pinflow.Topic, error) {
	about, err := g.Journal.Topic(ctx, name)
	g.on()
	return about, err
}

// TestRecordsThatComeWhileItIsLooked are not left behind: what is newer than the look at the journal says nothing of what was not there then.
func TestRecordsThatComeWhileItIsLooked(t *testing.T) {
	for name, moves := range map[string]func(w *world){
		"the clock": func(w *world) { w.clock = at(4).Add(10 * time.Second) },
		"the lake":  func(w *world) { w.append("a", 0, 5, 1) },
	} {
		w := newWorld(t, "a")
		w.append("a", 0, 3, 5)
		w.clock = at(3).Add(50 * time.Second)
		looks := 0
		j := &going{Journal: w.journal, on: func() {
			if looks++; looks == 1 {
				w.post("a", 1, 3, 1)
				moves(w)
			}
		}}
		s, err := lake.NewSealer(lake.SealerOptions{Objects: w.objects, Journal: j, Topics: []string{"a"}, Grace: 10 * time.Second, Clock: func() time.Time { return w.clock }})
		must(t, err)
		for range 2 {
			st, err := s.Seal(t.Context())
			must(t, err)
			if len(st.Sealed) > 0 {
				t.Errorf("%s: a period was sealed of which a record is not in the lake: %q", name, w.ranges("a"))
			}
		}
	}
}
