package bench

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/emulate"
	"github.com/pinflow/pinflow/internal/duck"
	"github.com/pinflow/pinflow/lake"
	"github.com/pinflow/pinflow/lake/folder"
	"github.com/pinflow/pinflow/refine"
	live "github.com/pinflow/pinflow/refine/duckdb"
	store "github.com/pinflow/pinflow/store/duckdb"
	"github.com/pinflow/pinflow/value"
)

// hour is the log period of a history.
var hour = pinflow.PeriodLength(time.Hour)

// history is a lake that is written period by period, with a store that its batch installs into.
type history struct {
	b        *testing.B
	plan     *pinflow.Plan
	dir      string
	objects  *folder.Folder
	raw      *lake.Raw
	sealer   *lake.Sealer
	topic    *lake.Topic
	instance *duck.Instance
	store    *store.Store
	runner   *refine.Runner
	end      int64
	period   pinflow.Period // the next one to be written
	pins     [][]byte
}

const firstPeriod = pinflow.Period(1764028800000)

func newHistory(b *testing.B, d *pinflow.Definition, memory int64) *history {
	b.Helper()
	h := &history{b: b, plan: compile(b, d), dir: b.TempDir(), period: firstPeriod, pins: emulate.Pins(1, 11_000)}
	var err error
	h.objects, err = folder.Open(filepath.Join(h.dir, "lake"))
	h.must(err)
	about, err := h.Topic(b.Context(), h.plan.Sources[0].Topic)
	h.must(err)
	h.topic, err = lake.EnsureTopic(b.Context(), h.objects, about, hour, true)
	h.must(err)
	h.instance, err = duck.Open(b.Context(), duck.Options{Path: filepath.Join(h.dir, "store.duckdb"), Dir: filepath.Join(h.dir, "scratch"), Memory: memory, Readable: []string{h.objects.Path("")}})
	h.must(err)
	b.Cleanup(func() { h.must(h.instance.Close()) })
	h.store, err = store.Open(b.Context(), store.Options{Instance: h.instance})
	h.must(err)
	b.Cleanup(func() { h.must(h.store.Close()) })
	h.raw = lake.NewRaw(h.objects)
	derived, err := lake.NewDerived(lake.DerivedOptions{Objects: h.objects, PeriodLength: hour})
	h.must(err)
	h.sealer, err = lake.NewSealer(lake.SealerOptions{Objects: h.objects, Journal: h, Topics: []string{h.topic.Topic}, Clock: func() time.Time { return time.UnixMilli(int64(h.period)) }})
	h.must(err)
	engine, err := live.NewBatchEngine(b.Context(), live.BatchOptions{Instance: h.instance, Plan: h.plan, Raw: h.raw})
	h.must(err)
	b.Cleanup(func() { h.must(engine.Close()) })
	h.runner, err = refine.NewRunner(refine.RunnerOptions{Plan: h.plan, PeriodLength: hour, Raw: h.raw, Derived: derived, Engine: engine, Store: h.store,
		Parts: live.Parts{Instance: h.instance}, Scratch: filepath.Join(h.instance.Dir(), "batch"), Patience: -1,
		Seal: func(ctx context.Context) (string, error) { _, err := h.sealer.Seal(ctx); return "", err }})
	h.must(err)
	return h
}

func (h *history) must(err error) {
	h.b.Helper()
	if err != nil {
		h.b.Fatal(err)
	}
}

// Topic, Read and OffsetAt are a journal of which the lake has all: history implements pinflow.JournalReader.
func (h *history) Topic(_ context.Context, topic string) (pinflow.Topic, error) {
	return pinflow.Topic{Name: topic, ID: "bench", AppendTime: true, Partitions: []pinflow.PartitionBounds{{Start: h.end, End: h.end}}}, nil
}

// Read implements pinflow.JournalReader.
func (h *history) Read(context.Context, pinflow.TopicPartition, int64, int) ([]pinflow.Record, error) {
	return nil, nil
}

// OffsetAt implements pinflow.JournalReader.
func (h *history) OffsetAt(context.Context, string, int64) (map[int32]int64, error) {
	return map[int32]int64{0: h.end}, nil
}

const objectRecords = 100_000

// records are the next n, of a period. Each has the id that id gives, or that of a made-up pin if it is nil.
func (h *history) records(n int, id func(i int) int) []pinflow.Record {
	all := make([]pinflow.Record, n)
	for i := range all {
		v := h.pins[int(h.end+int64(i))%len(h.pins)]
		if id != nil {
			v = withID(v, id(i))
		}
		all[i] = pinflow.Record{Topic: h.topic.Topic, Offset: h.end + int64(i), Timestamp: int64(h.period) + int64(i)*3_000_000/int64(n), Value: v}
	}
	return all
}

var idField = []byte(`"unique_id":"`)

// withID is a pin with another unique_id.
func withID(pin []byte, id int) []byte {
	from := bytes.Index(pin, idField) + len(idField)
	to := from + bytes.IndexByte(pin[from:], '"')
	return slices.Concat(pin[:from], fmt.Appendf(nil, "%032x", id), pin[to:])
}

// write writes the next period into the lake.
func (h *history) write(n int, id func(i int) int) {
	h.b.Helper()
	for done := 0; done < n; {
		idOf := id
		if id != nil {
			idOf = func(i int) int { return id(done + i) }
		}
		part := h.records(min(objectRecords, n-done), idOf)
		var text []byte
		for i := range part {
			text = value.AppendLine(text, &part[i])
		}
		var packed bytes.Buffer
		zip, err := gzip.NewWriterLevel(&packed, gzip.BestSpeed)
		h.must(err)
		_, err = zip.Write(text)
		h.must(err)
		h.must(zip.Close())
		o := lake.Object{TopicPartition: pinflow.TopicPartition{Topic: h.topic.Topic}, Period: h.period, Start: h.end}
		_, err = h.objects.PutIfAbsent(h.b.Context(), o.Name(hour), packed.Bytes())
		h.must(err)
		h.end += int64(len(part))
		done += len(part)
	}
	h.period = hour.Next(h.period)
}

// seal seals what was written and returns the last seal.
func (h *history) seal() (last pinflow.Seal) {
	h.b.Helper()
	_, err := h.sealer.Seal(h.b.Context())
	h.must(err)
	for s, err := range h.raw.Seals(h.b.Context(), h.topic.Topic) {
		h.must(err)
		last = s
	}
	return last
}

// batch installs what is not installed and returns how long it took, of the whole run.
func (h *history) batch() time.Duration {
	h.b.Helper()
	began := time.Now()
	out, err := h.runner.Run(h.b.Context(), refine.Request{}, nil)
	h.must(err)
	if len(out.Periods) == 0 {
		h.b.Fatal("nothing was installed")
	}
	return time.Since(began)
}

// add commits records behind the history, as the live half does.
func (h *history) add(n int) {
	h.b.Helper()
	engine, err := live.NewEngine(h.b.Context(), live.Options{Instance: h.instance, Plan: h.plan})
	h.must(err)
	defer engine.Close()
	const most = 16 << 10
	for done := 0; done < n; {
		part := h.records(min(most, n-done), nil)
		s := pinflow.Slice{TopicPartition: pinflow.TopicPartition{Topic: h.topic.Topic}, Start: h.end, End: h.end + int64(len(part)), Records: part, Floor: h.period,
			Periods: slices.Repeat([]pinflow.Period{h.period}, len(part))}
		delta, err := engine.Refine(h.b.Context(), pinflow.Batch{Slices: []pinflow.Slice{s}})
		h.must(err)
		h.must(h.store.Commit(h.b.Context(), delta))
		delta.Close()
		h.end = s.End
		done += len(part)
	}
}
