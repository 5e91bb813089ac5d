package lake_test

import (
	"context"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/lake"
	"github.com/pinflow/pinflow/lake/laketest"
)

// sealedOf describes an object of the test's lake.
func sealedOf(o lake.Object, records []pinflow.Record) pinflow.SealedObject {
	return pinflow.SealedObject{Name: o.Name(minute), Start: o.Start, End: records[len(records)-1].Offset + 1, Records: int64(len(records)), Size: 100}
}

// TestReadObjectReadsAsRead holds the fast reader to the strict one, on records of every odd kind.
func TestReadObjectReadsAsRead(t *testing.T) {
	l, objects := newLake(t)
	random := rand.New(rand.NewPCG(3, 9))
	odd := []string{`,"_partition":9`, `{"_partition":1,"_offset":2}`, `"_partition":`, `,\"_partition\":`, `_raw`, "\n", `\`, "é\u2028", ""}
	var records []pinflow.Record
	for i := range 5000 {
		r := laketest.Draft(random, pinflow.TopicPartition{Topic: "a", Partition: 1}, 60_000+random.Int64N(60_000))
		r.Offset = int64(10 + 3*i + random.IntN(2))
		text := odd[random.IntN(len(odd))]
		switch random.IntN(9) {
		case 0:
			r.Key = []byte(text)
		case 1:
			r.Headers = []pinflow.Header{{Key: "a"}, {Key: text, Value: []byte(text)}}
		case 2:
			r.Value = fmt.Appendf(nil, `{"a":%q,"b":{"_partition":3,"_offset":4,"x":[{"_partition":5}]}}`, text)
		case 3:
			r.Value = fmt.Appendf(nil, `{%q:1}`, "x"+text)
		case 4:
			r.Value = fmt.Appendf(nil, `{"long":"%s"}`, strings.Repeat("ü", random.IntN(300_000)))
		case 5:
			r.Timestamp = []int64{0, 68_169_600_000, 253_402_300_799_999, 951_782_400_001, 60_000}[random.IntN(5)]
		case 6:
			r.Value = []byte("{}")
		}
		records = append(records, r)
	}
	text := lines(records...)
	o := object(1, 1, 5)
	store(t, objects, o, gz(t, text))
	var want []lake.Line
	for line, err := range l.Read(t.Context(), o) {
		must(t, err)
		want = append(want, line)
	}
	n := 0
	var got []lake.Line // kept to the end: lines must not change when others are read
	for line, err := range lake.NewRaw(objects).ReadObject(t.Context(), "a", sealedOf(o, records)) {
		must(t, err)
		got = append(got, line)
	}
	for n = range got {
		if !reflect.DeepEqual(got[n], want[n]) {
			t.Fatalf("line %d is %+v, want %+v", n, got[n], want[n])
		}
	}
	if n != len(records)-1 {
		t.Errorf("%d of %d records", n, len(records))
	}
}

func TestReadObjectNamesWhatIsWrong(t *testing.T) {
	ok := records(1, 1, 0, 4)
	other := records(1, 0, 0, 4)
	for want, content := range map[string][]pinflow.Record{
		"the record 1 stands there twice":                   {ok[0], ok[1], ok[1], ok[2], ok[3]},
		"the record 1 stands behind 2":                      {ok[0], ok[2], ok[1], ok[3]},
		"it was sealed with 4 records and has 3":            {ok[0], ok[1], ok[3]},
		"it was sealed up to offset 4 and has the record 4": records(1, 1, 0, 5),
		"the record 2 says that it is of partition 0":       {ok[0], ok[1], other[2], ok[3]},
	} {
		_, objects := newLake(t)
		store(t, objects, object(1, 1, 0), gz(t, lines(content...)))
		var fault error
		for _, err := range lake.NewRaw(objects).ReadObject(t.Context(), "a", sealedOf(object(1, 1, 0), ok)) {
			fault = err
		}
		if pinflow.KindOf(fault) != pinflow.Invalid || !strings.Contains(fmt.Sprint(fault), want) {
			t.Errorf("%v, want %q", fault, want)
		}
	}
	_, objects := newLake(t)
	raw := lake.NewRaw(objects)
	for _, o := range []pinflow.SealedObject{{Name: "raw/a/x"}, {Name: "raw/b/period=1970-01-01T000100/00000-00000000000000000000.json.gz"}, {Name: "raw/a/period=1970-01-01T000100/0-0.json.gz"}} {
		for _, err := range raw.ReadObject(t.Context(), "a", o) {
			if pinflow.KindOf(err) != pinflow.Invalid {
				t.Errorf("%s: %v", o.Name, err)
			}
		}
	}
	for _, err := range raw.ReadObject(t.Context(), "a", sealedOf(object(1, 1, 0), ok)) {
		if pinflow.KindOf(err) != pinflow.NotFound {
			t.Errorf("no object: %v", err)
		}
	}
}

// counting counts the objects that are opened.
type counting struct {
	*laketest.Memory
	gets int
}

func (c *counting) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	c.gets++
	return c.Memory.Get(ctx, name)
}

func TestReadFromReadsWhatItNeeds(t *testing.T) {
	_, memory := newLake(t)
	for i := range 50 {
		store(t, memory, object(1+i/3, 0, int64(4*i)), gz(t, lines(records(1+i/3, 0, int64(4*i+1), 3)...)))
	}
	objects := &counting{Memory: memory}
	raw := lake.NewRaw(objects)
	if _, err := raw.Topic(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	tp := pinflow.TopicPartition{Topic: "a"}
	for _, from := range []int64{0, 1, 17, 20, 100, 199, 200, 500} {
		objects.gets = 0
		var want, got []int64
		for o := int64(0); o < 200; o++ {
			if o >= from && o%4 != 0 {
				want = append(want, o)
			}
		}
		for l, err := range raw.ReadFrom(t.Context(), tp, from) {
			must(t, err)
			got = append(got, l.Offset)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("from %d: %v, want %v", from, got, want)
		}
		if most := max(1, int(50-from/4)); objects.gets > most {
			t.Errorf("from %d: %d objects were opened, not %d", from, objects.gets, most)
		}
	}
	for l, err := range raw.ReadFrom(t.Context(), pinflow.TopicPartition{Topic: "a", Partition: 1}, 3) {
		t.Errorf("a partition without records has %v, %v", l, err)
	}
	for _, c := range []struct {
		lost int
		from int64
		kind pinflow.Kind
		n    int
	}{{0, 2, pinflow.OutOfRange, 0}, {0, 5, 0, 147}, {10, 41, pinflow.OutOfRange, 0}, {10, 37, pinflow.OutOfRange, 3}, {49, 197, pinflow.Internal, 0}} {
		_, memory := newLake(t)
		for i := range 50 {
			if i != c.lost {
				store(t, memory, object(1+i/3, 0, int64(4*i)), gz(t, lines(records(1+i/3, 0, int64(4*i+1), 3)...)))
			}
		}
		n := 0
		var fault error
		for _, err := range lake.NewRaw(memory).ReadFrom(t.Context(), tp, c.from) {
			if fault = err; err == nil {
				n++
			}
		}
		if pinflow.KindOf(fault) != c.kind || (fault == nil) != (c.kind == 0) || n != c.n {
			t.Errorf("without object %d, from %d: %d records and %v", c.lost, c.from, n, fault)
		}
	}
}

// growing is a place into whose lake, while it is listed, an object comes after its folder was listed, and one behind it before its own was.
type growing struct {
	*laketest.Memory
	after string
	grow  func()
}

func (g *growing) List(ctx context.Context, prefix, delimiter string) iter.Seq2[pinflow.ObjectInfo, error] {
	return func(yield func(pinflow.ObjectInfo, error) bool) {
		for info, err := range g.Memory.List(ctx, prefix, delimiter) {
			if !yield(info, err) {
				return
			}
		}
		if grow := g.grow; grow != nil && strings.Contains(prefix, g.after) {
			g.grow = nil
			grow()
		}
	}
}

func TestLakeThatGrowsWhileItIsRead(t *testing.T) {
	tp := pinflow.TopicPartition{Topic: "a"}
	for listings := range 3 {
		_, memory := newLake(t)
		for i := range 4 {
			store(t, memory, object(1+i, 0, int64(4*i)), gz(t, lines(records(1+i, 0, int64(4*i), 4)...)))
		}
		store(t, memory, object(6, 1, 0), gz(t, lines(records(6, 1, 0, 4)...))) // so that the folder is there
		objects := &growing{Memory: memory, after: lake.Object{TopicPartition: tp, Period: 4 * 60_000}.Name(minute)[:len("raw/a/period=1970-01-01T000400/")]}
		grow := func() {
			store(t, memory, object(4, 0, 16), gz(t, lines(records(4, 0, 16, 4)...)))
			store(t, memory, object(6, 0, 20), gz(t, lines(records(6, 0, 20, 4)...)))
		}
		objects.grow = grow
		for range listings {
			next := objects.grow
			objects.grow = func() { objects.grow = next }
		}
		n := int64(0)
		for l, err := range lake.NewRaw(objects).ReadFrom(t.Context(), tp, 2) {
			must(t, err)
			if l.Offset != 2+n {
				t.Fatalf("offset %d after %d records", l.Offset, n)
			}
			n++
		}
		if n < 14 {
			t.Errorf("%d records", n)
		}
	}
}
