package lake_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/lake"
	"github.com/pinflow/pinflow/lake/laketest"
	"github.com/pinflow/pinflow/value"
)

const minute = pinflow.PeriodLength(time.Minute)

// lines are those of the lake for some records.
func lines(records ...pinflow.Record) (text []byte) {
	for i := range records {
		text = value.AppendLine(text, &records[i])
	}
	return text
}

func gz(t testing.TB, text []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// newLake returns a lake of one topic, "a", with a log period of a minute.
func newLake(t testing.TB) (*lake.Topic, *laketest.Memory) {
	t.Helper()
	objects := &laketest.Memory{}
	l, err := lake.EnsureTopic(t.Context(), objects, pinflow.Topic{Name: "a", ID: "x", AppendTime: true, Partitions: make([]pinflow.PartitionBounds, 2)}, minute, true)
	if err != nil {
		t.Fatal(err)
	}
	return l, objects
}

func object(period int, partition int32, start int64) lake.Object {
	return lake.Object{TopicPartition: pinflow.TopicPartition{Topic: "a", Partition: partition}, Period: pinflow.Period(period * 60_000), Start: start}
}

func store(t testing.TB, objects pinflow.Objects, o lake.Object, content []byte) {
	t.Helper()
	if created, err := objects.PutIfAbsent(t.Context(), o.Name(minute), content); !created || err != nil {
		t.Fatal(created, err)
	}
}

// records makes n of them in a period, offsets from start on.
func records(period int, partition int32, start int64, n int) []pinflow.Record {
	all := make([]pinflow.Record, n)
	for i := range all {
		all[i] = pinflow.Record{Topic: "a", Partition: partition, Offset: start + int64(i), Timestamp: int64(period*60_000 + i), Value: fmt.Appendf(nil, `{"n":%d}`, i)}
	}
	return all
}

func TestRecordsComeBackAsTheyWere(t *testing.T) {
	l, objects := newLake(t)
	random := rand.New(rand.NewPCG(1, 9))
	some := func(n int) []byte {
		b := make([]byte, random.IntN(n))
		for i := range b {
			b[i] = byte(random.IntN(256))
		}
		return b
	}
	var want []pinflow.Record
	for i := range 3000 {
		r := laketest.Draft(random, pinflow.TopicPartition{Topic: "a", Partition: 1}, 60_000+random.Int64N(60_000))
		r.Offset = int64(7 + 2*i)
		switch random.IntN(6) {
		case 0:
			r.Value = append([]byte{'{'}, some(50)...)
		case 1:
			r.Key = some(20)
		case 2:
			r.Headers = append(r.Headers, pinflow.Header{Key: string(some(9)), Value: some(9)}, pinflow.Header{Key: "_erased"})
		case 3:
			r.Key, r.Value = []byte(`"_erased`), nil
		case 4:
			r.Value = fmt.Appendf(nil, `{"long":"%s"}`, strings.Repeat("ü", random.IntN(100_000)))
		}
		want = append(want, r)
	}
	o := object(1, 1, 5)
	store(t, objects, o, gz(t, lines(want...)))
	n := 0
	for got, err := range l.Read(t.Context(), o) {
		if err != nil {
			t.Fatal(err)
		}
		w := want[n]
		n++
		if value.IsPlain(w.Value) {
			w.Value = value.Compact(nil, w.Value)
		}
		if len(w.Value) == 0 {
			w.Value = nil
		}
		if !reflect.DeepEqual(got, lake.Line{Record: w}) {
			t.Fatalf("wrote %+v\nread  %+v", w, got)
		}
	}
	if n != len(want) {
		t.Errorf("%d of %d records", n, len(want))
	}
}

func TestErasedLines(t *testing.T) {
	l, objects := newLake(t)
	store(t, objects, object(1, 1, 0), gz(t, append(lines(records(1, 1, 0, 2)...), `{"_offset":2,"_erased":true}`+"\n"...)))
	store(t, objects, object(1, 1, 3), gz(t, lines(records(1, 1, 3, 2)...)))
	var erased []int64
	for line, err := range l.Read(t.Context(), object(1, 1, 0)) {
		if err != nil {
			t.Fatal(err)
		}
		if line.Erased {
			erased = append(erased, line.Offset)
			if line.Partition != 1 || line.Topic != "a" || line.Value != nil {
				t.Errorf("%+v", line)
			}
		}
	}
	if !slices.Equal(erased, []int64{2}) {
		t.Errorf("erased: %v", erased)
	}
	if flaws, err := l.Tiles(t.Context()); len(flaws) > 0 || err != nil {
		t.Errorf("flaws %v, %v", flaws, err)
	}
}

func TestTilesFindsEveryFlaw(t *testing.T) {
	whole := []struct {
		o       lake.Object
		records []pinflow.Record
	}{
		{object(1, 0, 0), records(1, 0, 1, 3)}, {object(1, 0, 4), records(1, 0, 4, 2)}, {object(2, 0, 6), records(2, 0, 8, 2)}, {object(5, 1, 0), records(5, 1, 0, 4)},
	}
	fill := func(skip int) (*lake.Topic, *laketest.Memory) {
		l, objects := newLake(t)
		for i, w := range whole {
			if i != skip {
				store(t, objects, w.o, gz(t, lines(w.records...)))
			}
		}
		return l, objects
	}
	check := func(name string, l *lake.Topic, want ...string) {
		t.Helper()
		flaws, err := l.Tiles(t.Context())
		var got []string
		for _, f := range flaws {
			got = append(got, fmt.Sprintf("%s %d [%d,%d)", f.What, f.Partition, f.From, f.To))
		}
		if !slices.Equal(got, want) || err != nil {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, want)
		}
	}
	l, _ := fill(-1)
	check("whole", l)
	l, _ = fill(0)
	check("without the first", l, "gap 0 [0,4)")
	l, _ = fill(1)
	check("without the second", l, "gap 0 [4,6)")
	l, objects := fill(1)
	store(t, objects, object(1, 0, 3), gz(t, lines(records(1, 0, 3, 3)...)))
	check("one that starts too early", l, "overlap 0 [3,4)")
	l, objects = fill(2)
	store(t, objects, object(3, 0, 6), gz(t, lines(records(2, 0, 6, 2)...)))
	check("in a wrong period", l, "period 0 [6,7)", "period 0 [7,8)")
	l, objects = fill(2)
	store(t, objects, object(2, 0, 6), gz(t, lines(records(2, 1, 6, 2)...)))
	check("of another partition", l, "partition 0 [6,7)", "partition 0 [7,8)")
	l, objects = fill(2)
	twice := records(2, 0, 6, 2)
	store(t, objects, object(2, 0, 6), gz(t, lines(twice[0], twice[1], twice[0])))
	check("a record twice", l, "duplicate 0 [6,7)")
	l, objects = fill(2)
	store(t, objects, object(2, 0, 6), gz(t, lines(twice[0], twice[0], twice[1])))
	check("a line doubled", l, "duplicate 0 [6,7)")
	l, objects = fill(0)
	store(t, objects, object(1, 0, 0), gz(t, lines(whole[0].records[0], whole[0].records[2], whole[0].records[1])))
	check("records in disorder", l, "order 0 [2,4)")
	l, objects = fill(3)
	content := gz(t, lines(records(5, 1, 0, 4)...))
	store(t, objects, object(5, 1, 0), content[:len(content)-9])
	check("cut off", l, "damaged 1 [4,4)")
	l, objects = fill(3)
	store(t, objects, object(5, 1, 0), gz(t, nil))
	check("empty", l, "damaged 1 [0,0)")
	if _, err := l.Last(t.Context(), 1); pinflow.KindOf(err) != pinflow.Invalid || pinflow.HintOf(err) == "" {
		t.Errorf("Last of an empty object: %v", err)
	}
	l, objects = fill(-1)
	if _, err := objects.PutIfAbsent(t.Context(), "raw/a/period=1970-01-01T000100/mine.json.gz", content); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Tiles(t.Context()); pinflow.KindOf(err) != pinflow.Invalid {
		t.Errorf("a strange object: %v", err)
	}
	for _, err := range l.Read(t.Context(), object(9, 9, 9)) {
		if pinflow.KindOf(err) != pinflow.NotFound {
			t.Errorf("no object: %v", err)
		}
	}
}

func TestLast(t *testing.T) {
	l, objects := newLake(t)
	if tail, err := l.Last(t.Context(), 0); tail != (lake.Tail{Floor: pinflow.NoPeriod}) || err != nil {
		t.Errorf("empty: %+v, %v", tail, err)
	}
	at := [2]int64{}
	periods := [2]int{}
	random := rand.New(rand.NewPCG(2, 2))
	for period := 1; period < 120; period++ {
		for p := range int32(2) {
			if p == 1 && period > 50 { // quiet since for longer than one looks back folder by folder
				continue
			}
			for range random.IntN(3) {
				n := 1 + random.IntN(3)
				store(t, objects, object(period, p, at[p]), gz(t, lines(records(period, p, at[p], n)...)))
				at[p] += int64(n)
				periods[p] = period
			}
		}
		if period%40 != 0 && period != 119 {
			continue
		}
		all, err := l.Ends(t.Context())
		for p := range int32(2) {
			want := lake.Tail{End: at[p], Floor: pinflow.Period(periods[p] * 60_000)}
			tail, err1 := l.Last(t.Context(), p)
			if tail != want || all[p] != want || err != nil || err1 != nil {
				t.Errorf("period %d, partition %d: %+v, %+v, want %+v (%v, %v)", period, p, tail, all[p], want, err, err1)
			}
		}
	}
	for p := range int32(2) {
		next := int64(0)
		for o, err := range l.PartitionObjects(t.Context(), p) {
			if err != nil || o.Start != next {
				t.Fatalf("%+v, %v, want start %d", o, err, next)
			}
			for line, err := range l.Read(t.Context(), o) {
				if err != nil {
					t.Fatal(err)
				}
				next = line.Offset + 1
			}
		}
		if next != at[p] {
			t.Errorf("partition %d ends at %d, not %d", p, next, at[p])
		}
	}
}
