package faults

import (
	"encoding/json"
	"hash/maphash"
	"os"
	"strings"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/lake"
)

// check holds everything to everything, once posts have ended: what was acknowledged to the journal, the journal to the lake, the metrics to their SQL over the lake's
// files; then the audit is asked. All processes have ended when the audit comes.
func (w *world) check(p *posts) {
	w.t.Helper()
	w.follow()
	w.metricsAreExact()
	w.stopAll()
	w.checkAtRest(p.receipts)
}

// checkAtRest is check where all processes have ended, in an orderly way.
func (w *world) checkAtRest(receipts map[pinflow.Position]uint64) {
	w.t.Helper()
	for _, c := range []struct {
		name string
		do   func()
	}{
		{"the batch", w.batch},
		{"journal and lake", func() { w.journalHolds(receipts) }},
		{"the lake's tiles", w.lakeTiles},
		{"the audit", w.audit},
	} {
		began := time.Now()
		c.do()
		w.t.Logf("%s: %s", c.name, time.Since(began).Round(100*time.Millisecond))
	}
}

// batch installs what is not installed yet.
func (w *world) batch() {
	w.t.Helper()
	out, errs := w.command(0, append([]string{"batch", "--wait"}, w.timing...)...)
	w.t.Logf("the batch:\n%s%s", out, errs)
}

// journalHolds checks that every acknowledged post lies at its position, and that the lake has the journal's records: each once, in order, as they are.
func (w *world) journalHolds(receipts map[pinflow.Position]uint64) {
	t, raw := w.t, lake.NewRaw(w.objects)
	t.Helper()
	ends, err := w.journalEnds(t.Context())
	must(t, err)
	found, all := 0, int64(0)
	for partition, end := range ends {
		tp := pinflow.TopicPartition{Topic: w.name, Partition: partition}
		next := int64(0)
		for line, err := range raw.ReadFrom(t.Context(), tp, 0) {
			must(t, err)
			records, err := w.read(tp, next)
			must(t, err)
			r := records[0]
			if line.Offset != r.Offset || line.Timestamp != r.Timestamp {
				t.Fatalf("%s: the lake has %s at %d, the journal %s at %d", tp, line.Position(), line.Timestamp, r.Position(), r.Timestamp)
			}
			at := r.Position()
			if want, ok := receipts[at]; ok {
				found++
				if maphash.Bytes(seed, r.Value) != want {
					t.Fatalf("another post is at %s than the one that was acknowledged there", at)
				}
			}
			next = r.Offset + 1
			all++
		}
		if next != end {
			t.Errorf("%s: the lake ends at %d, the journal at %d", tp, next, end)
		}
	}
	t.Logf("%d posts were acknowledged, %d records are in the journal and the lake", len(receipts), all)
	if found != len(receipts) || found == 0 {
		t.Errorf("%d posts were acknowledged, %d of them are there", len(receipts), found)
	}
}

// read reads the journal from an offset.
func (w *world) read(tp pinflow.TopicPartition, offset int64) ([]pinflow.Record, error) {
	ahead := &w.ahead
	if len(ahead.records) == 0 || ahead.tp != tp || ahead.records[0].Offset != offset {
		records, err := w.journal.Read(w.t.Context(), tp, offset, 5000)
		if err != nil {
			return nil, err
		}
		*ahead = fetched{tp, records}
	}
	records := ahead.records
	if len(records) == 0 {
		return []pinflow.Record{{Topic: tp.Topic, Partition: tp.Partition, Offset: -1}}, nil
	}
	ahead.records = records[1:]
	return records, nil
}

// fetched is what was read of the journal and not looked at yet.
type fetched struct {
	tp      pinflow.TopicPartition
	records []pinflow.Record
}

// lakeTiles checks that the lake's objects have no gap and no overlap.
func (w *world) lakeTiles() {
	w.t.Helper()
	kept, err := lake.OpenTopic(w.t.Context(), w.objects, w.name)
	must(w.t, err)
	flaws, err := kept.Tiles(w.t.Context())
	must(w.t, err)
	for _, flaw := range flaws {
		w.t.Error(flaw)
	}
}

// audit runs a deep audit.
func (w *world) audit() {
	w.t.Helper()
	out, errs := w.command(0, append([]string{"audit", "--deep", "--output", "json", "--log-level", "warn"}, w.timing...)...)
	var report pinflow.AuditReport
	if err := json.NewDecoder(strings.NewReader(out)).Decode(&report); err != nil {
		w.t.Fatalf("%v: %s%s", err, out, errs)
	}
	compared := 0
	for _, c := range report.Comparisons {
		if c.Why == "" {
			compared++
		}
	}
	w.t.Logf("the audit: %d periods compared, of %d comparisons; notes: %q", compared, len(report.Comparisons), report.Notes)
	if !report.OK || !report.Deep || compared == 0 {
		w.t.Errorf("the audit: %s", out)
	}
}

// copyLake copies the lake's objects of records to a folder, as they are.
func (w *world) copyLake(dir string) {
	t := w.t
	t.Helper()
	kept, err := lake.OpenTopic(t.Context(), w.objects, w.name)
	must(t, err)
	for o, err := range kept.Objects(t.Context()) {
		must(t, err)
		name := o.Name(kept.PeriodLength())
		r, err := w.objects.Get(t.Context(), name)
		must(t, err)
		f, err := os.Create(dir + "/" + strings.ReplaceAll(name, "/", "_"))
		must(t, err)
		_, err = f.ReadFrom(r)
		must(t, err)
		must(t, f.Close())
		must(t, r.Close())
	}
}
