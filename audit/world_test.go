package audit_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/audit"
	"github.com/pinflow/pinflow/internal/duck"
	"github.com/pinflow/pinflow/lake"
	"github.com/pinflow/pinflow/lake/folder"
	"github.com/pinflow/pinflow/refine"
	engine "github.com/pinflow/pinflow/refine/duckdb"
	"github.com/pinflow/pinflow/refine/refinetest"
	store "github.com/pinflow/pinflow/store/duckdb"
	"github.com/pinflow/pinflow/value"
)

// world is a pipeline at rest: a log, the lake that was made of most of it, and a store with its live rows and installed periods.
type world struct {
	t        testing.TB
	r        *rand.Rand
	plan     *pinflow.Plan
	log      refinetest.Log
	journal  *journal
	dir      string // of the lake
	objects  *folder.Folder
	derived  *lake.DerivedArea
	instance *duck.Instance
	store    *store.Store
	counted  map[pinflow.TopicPartition]int64 // up to where the live half counts
	skip     func(n int) bool                 // of a micro-batch: the position moves on without its rows
	scratch  string
}

const length = refinetest.Hour

// newWorld makes one of n records in the plan of a case of refinetest; nothing is counted or installed.
func newWorld(t testing.TB, seed uint64, which, n int) *world {
	t.Helper()
	w := &world{t: t, r: rand.New(rand.NewPCG(seed, 7)), dir: t.TempDir(), scratch: t.TempDir(), counted: map[pinflow.TopicPartition]int64{}}
	c := refinetest.Cases(t)[which]
	w.plan, w.log = c.Plan, refinetest.NewLog(&c, w.r, n)
	w.journal = &journal{log: w.log, start: map[pinflow.TopicPartition]int64{}}
	var err error
	if w.objects, err = folder.Open(w.dir); err != nil {
		t.Fatal(err)
	}
	if w.derived, err = lake.NewDerived(lake.DerivedOptions{Objects: w.objects, PeriodLength: length}); err != nil {
		t.Fatal(err)
	}
	work := t.TempDir()
	if w.instance, err = duck.Open(t.Context(), duck.Options{Path: filepath.Join(t.TempDir(), "store.duckdb"), Dir: work, Readable: []string{w.dir, w.scratch}}); err != nil {
		t.Fatal(err)
	}
	if w.store, err = store.Open(t.Context(), store.Options{Instance: w.instance}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, c := range []io.Closer{w.store, w.instance, w.objects} {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	if err := w.store.Prepare(t.Context(), w.plan); err != nil {
		t.Fatal(err)
	}
	return w
}

// fill writes objects up to a share of each partition's records.
func (w *world) fill(share float64) {
	w.t.Helper()
	for _, topic := range w.topics() {
		described, err := w.journal.Topic(w.t.Context(), topic)
		if err != nil {
			w.t.Fatal(err)
		}
		if _, err := lake.EnsureTopic(w.t.Context(), w.objects, described, length, false); err != nil {
			w.t.Fatal(err)
		}
	}
	for _, tp := range w.log.Partitions() {
		records := w.log[tp][:int(float64(len(w.log[tp]))*share)]
		start, floor := int64(0), pinflow.NoPeriod
		for len(records) > 0 {
			period := length.Of(records[0].Timestamp, floor)
			n, most := 0, 1+w.r.IntN(9)
			for n < len(records) && n < most && length.Of(records[n].Timestamp, period) == period {
				n++
			}
			w.put(lake.Object{TopicPartition: tp, Period: period, Start: start}, records[:n])
			start, floor, records = records[n-1].Offset+1, period, records[n:]
		}
	}
}

func (w *world) put(o lake.Object, records []pinflow.Record) {
	w.t.Helper()
	var lines []byte
	for i := range records {
		lines = value.AppendLine(lines, &records[i])
	}
	if created, err := w.objects.PutIfAbsent(w.t.Context(), o.Name(length), zip(lines)); err != nil || !created {
		w.t.Fatal(created, err)
	}
}

func zip(lines []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(lines)
	_ = z.Close()
	return b.Bytes()
}

func (w *world) topics() []string {
	var all []string
	for _, s := range w.plan.Sources {
		if !slices.Contains(all, s.Topic) {
			all = append(all, s.Topic)
		}
	}
	return all
}

// live counts everything up to the share of each partition's records, in micro-batches.
func (w *world) live(share float64) {
	w.t.Helper()
	ctx := w.t.Context()
	e, err := engine.NewEngine(ctx, engine.Options{Instance: w.instance, Plan: w.plan})
	if err != nil {
		w.t.Fatal(err)
	}
	defer e.Close()
	part := refinetest.Log{}
	start := map[pinflow.TopicPartition]int64{}
	for tp, records := range w.log {
		part[tp], start[tp] = records[:int(float64(len(records))*share)], 0
	}
	at, err := w.store.Claim(ctx, w.plan.Generation, start)
	if err != nil {
		w.t.Fatal(err)
	}
	for n, b := range refinetest.Split(part, w.r, 200) {
		b = behind(b, at)
		d, err := e.Refine(ctx, b)
		if err != nil {
			w.t.Fatal(err)
		}
		if w.skip != nil && w.skip(n) {
			d.Added, d.Changes = nil, nil
		}
		if err := w.store.Commit(ctx, d); err != nil {
			w.t.Fatal(err)
		}
		d.Close()
	}
}

// behind leaves out of a batch what is counted already.
func behind(b pinflow.Batch, at map[pinflow.TopicPartition]pinflow.Progress) pinflow.Batch {
	var left []pinflow.Slice
	for _, s := range b.Slices {
		from := at[s.TopicPartition].NextOffset
		if s.End <= from {
			continue
		}
		n := 0
		for n < len(s.Records) && s.Records[n].Offset < from {
			n++
		}
		s.Records, s.Periods, s.Start = s.Records[n:], s.Periods[n:], max(s.Start, from)
		left = append(left, s)
	}
	return pinflow.Batch{Slices: left}
}

// batch seals and installs every period that ended before the last of the log.
func (w *world) batch() *refine.Outcome {
	w.t.Helper()
	last := int64(0)
	for _, records := range w.log {
		if len(records) > 0 {
			last = max(last, records[len(records)-1].Timestamp)
		}
	}
	now := time.UnixMilli(int64(length.Of(last, pinflow.NoPeriod))).Add(time.Minute)
	sealer, err := lake.NewSealer(lake.SealerOptions{Objects: w.objects, Journal: w.journal, Topics: w.topics(), Clock: func() time.Time { return now }})
	if err != nil {
		w.t.Fatal(err)
	}
	e := w.engine(lake.NewRaw(w.objects))
	defer e.Close()
	r, err := refine.NewRunner(refine.RunnerOptions{Plan: w.plan, PeriodLength: length, Raw: lake.NewRaw(w.objects), Derived: w.derived, Engine: e, Store: w.store,
		Parts: engine.Parts{Instance: w.instance}, Scratch: filepath.Join(w.scratch, "batch"), Patience: -1,
		Seal: func(ctx context.Context) (string, error) {
			st, err := sealer.Seal(ctx)
			return st.Waiting, err
		}})
	if err != nil {
		w.t.Fatal(err)
	}
	out, err := r.Run(w.t.Context(), refine.Request{}, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

func (w *world) engine(raw pinflow.RawReader) *engine.BatchEngine {
	w.t.Helper()
	e, err := engine.NewBatchEngine(w.t.Context(), engine.BatchOptions{Instance: w.instance, Plan: w.plan, Raw: raw, Chain: 3, Step: 100})
	if err != nil {
		w.t.Fatal(err)
	}
	return e
}

// audit runs one.
func (w *world) audit(req audit.Request, change func(*audit.Options)) *pinflow.AuditReport {
	w.t.Helper()
	o := audit.Options{Plan: w.plan, Period: length, Lake: audited{w.objects}, Raw: lake.NewRaw(w.objects), Derived: w.derived, Store: w.store, Parts: engine.Parts{Instance: w.instance}, Journal: w.journal,
		Engine:  func(_ context.Context, raw pinflow.RawReader) (pinflow.BatchEngine, error) { return w.engine(raw), nil },
		Scratch: filepath.Join(w.scratch, "audit")}
	if change != nil {
		change(&o)
	}
	a, err := audit.New(o)
	if err != nil {
		w.t.Fatal(err)
	}
	report, err := a.Run(w.t.Context(), req, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	left, err := os.ReadDir(o.Scratch)
	if err == nil && len(left) > 0 {
		w.t.Errorf("the audit leaves %v", left)
	}
	return report
}

// exec changes the store behind its back.
func (w *world) exec(statement string, args ...any) int64 {
	w.t.Helper()
	res, err := w.instance.File.ExecContext(w.t.Context(), statement, args...)
	if err != nil {
		w.t.Fatal(err)
	}
	n, _ := res.RowsAffected()
	return n
}

func (w *world) table(name string) string {
	return duck.Quote("_gen_"+w.plan.Generation) + "." + duck.Quote(name)
}

// files returns the names of the lake's objects that a pattern matches.
func (w *world) files(pattern string) []string {
	w.t.Helper()
	all, err := filepath.Glob(filepath.Join(w.dir, pattern))
	if err != nil || len(all) == 0 {
		w.t.Fatal(pattern, all, err)
	}
	slices.Sort(all)
	return all
}

// describe writes a report as people would read it.
func describe(r *pinflow.AuditReport) string {
	var b strings.Builder
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "%s %s: %s; expected %.200s, found %.200s %.300v\n", f.Kind, f.Where, f.What, f.Expected, f.Found, f.Samples)
	}
	fmt.Fprintf(&b, "notes %q", r.Notes)
	return b.String()
}

// audited is the lake as an audit sees it.
type audited struct{ objects pinflow.Objects }

func (l audited) Partitions(ctx context.Context, topic string) (int, error) {
	t, err := lake.OpenTopic(ctx, l.objects, topic)
	if err != nil {
		return 0, err
	}
	return t.PartitionCount(), nil
}

func (l audited) Objects(ctx context.Context, tp pinflow.TopicPartition) iter.Seq2[audit.Object, error] {
	return func(yield func(audit.Object, error) bool) {
		t, err := lake.OpenTopic(ctx, l.objects, tp.Topic)
		if err != nil {
			yield(audit.Object{}, err)
			return
		}
		for o, err := range t.PartitionObjects(ctx, tp.Partition) {
			if !yield(audit.Object{TopicPartition: o.TopicPartition, Name: o.Name(length), Period: o.Period, Start: o.Start, Size: o.Size}, err) || err != nil {
				return
			}
		}
	}
}

func (l audited) Read(ctx context.Context, o audit.Object) iter.Seq2[pinflow.Line, error] {
	return func(yield func(pinflow.Line, error) bool) {
		t, err := lake.OpenTopic(ctx, l.objects, o.Topic)
		if err != nil {
			yield(pinflow.Line{}, err)
			return
		}
		t.Read(ctx, lake.Object{TopicPartition: o.TopicPartition, Period: o.Period, Start: o.Start, Size: o.Size})(yield)
	}
}

// journal reads a log, of which the first records may have been deleted.
type journal struct {
	log   refinetest.Log
	start map[pinflow.TopicPartition]int64
}

func (j *journal) end(tp pinflow.TopicPartition) int64 {
	if records := j.log[tp]; len(records) > 0 {
		return records[len(records)-1].Offset + 1
	}
	return 0
}

func (j *journal) Read(_ context.Context, tp pinflow.TopicPartition, offset int64, most int) ([]pinflow.Record, error) {
	if offset < j.start[tp] || offset > j.end(tp) {
		return nil, &pinflow.Error{Op: "read", On: tp.String(), Kind: pinflow.OutOfRange}
	}
	records := j.log[tp]
	i, _ := slices.BinarySearchFunc(records, offset, func(r pinflow.Record, o int64) int { return int(r.Offset - o) })
	return records[i:min(len(records), i+most)], nil
}

func (j *journal) Topic(_ context.Context, topic string) (pinflow.Topic, error) {
	t := pinflow.Topic{Name: topic, ID: "id of " + topic, AppendTime: true}
	for _, tp := range j.log.Partitions() {
		for tp.Topic == topic && len(t.Partitions) <= int(tp.Partition) {
			p := int32(len(t.Partitions))
			key := pinflow.TopicPartition{Topic: topic, Partition: p}
			t.Partitions = append(t.Partitions, pinflow.PartitionBounds{Partition: p, Start: j.start[key], End: j.end(key)})
		}
	}
	return t, nil
}

func (j *journal) OffsetAt(context.Context, string, int64) (map[int32]int64, error) { return nil, nil }
