package bench

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/emulate"
	"github.com/pinflow/pinflow/internal/duck"
	"github.com/pinflow/pinflow/journal/kafka"
	"github.com/pinflow/pinflow/refine"
	live "github.com/pinflow/pinflow/refine/duckdb"
	store "github.com/pinflow/pinflow/store/duckdb"
)

// backlog is how many records wait in the journal: some 606 bytes each.
const backlog = 200_000

// BenchmarkLive is what the live half makes of a backlog, from the journal to committed tables, beside the raw path:
// a Kafka client, a spool file of lines, read_json with given columns, the same cleaning, the same metrics, and
// nothing committed.
func BenchmarkLive(b *testing.B) {
	for _, c := range []struct {
		name, rows, metrics string
		entities            bool
	}{
		{"partials", "none", "", false}, {"posts", "all", "", false}, {"partials of one metric", "none", "posts_per_window", false}, {"as it ships", "all", "", true},
	} {
		b.Run(c.name, func(b *testing.B) {
			d, p := liveDefinition(b, c.rows, c.metrics, c.entities)
			j, addr := journalOf(b, p, backlog)
			for b.Loop() {
				compare(b, "records/s", func(time.Duration) float64 { return liveRate(b, j, p) },
					func(time.Duration) float64 { return rawRate(b, addr, d, p) })
			}
		})
	}
}

// liveDefinition is the shipped definition with rows kept or not, with all metrics or one, and with its entities or without.
func liveDefinition(b *testing.B, rows, metric string, entities bool) (*pinflow.Definition, *pinflow.Plan) {
	b.Helper()
	d := shipped(b)
	d.Models[0].Rows = rows
	d.Reports = nil
	if !entities {
		d.Models = slices.DeleteFunc(d.Models, func(m pinflow.ModelScript) bool { return len(m.Key) > 0 })
		d.Metrics = slices.DeleteFunc(d.Metrics, func(m pinflow.Script) bool { return strings.HasPrefix(m.Name, "pins_") })
	}
	for _, m := range d.Metrics {
		if m.Name == metric {
			d.Metrics = []pinflow.Script{m}
			break
		}
	}
	return d, compile(b, d)
}

// journalOf is a broker with n pins in the plan's topic.
func journalOf(b *testing.B, p *pinflow.Plan, n int) (*kafka.Journal, string) {
	b.Helper()
	j, addr := newJournal(b, p)
	pins := emulate.Pins(1, 20_000)
	drafts := make([]pinflow.Draft, len(pins))
	for i, v := range pins {
		drafts[i] = pinflow.Draft{Topic: p.Sources[0].Topic, Key: []byte(fmt.Sprint(i)), Value: v}
	}
	for ; n > 0; n -= len(drafts) {
		for _, r := range j.Append(b.Context(), drafts) {
			if r.Err != nil {
				b.Fatal(r.Err)
			}
		}
	}
	return j, addr
}

// counting ends a worker when a number of records is committed.
type counting struct {
	pinflow.LiveStore
	left int64
	end  context.CancelFunc
}

func (c *counting) Commit(ctx context.Context, d pinflow.Delta) error {
	err := c.LiveStore.Commit(ctx, d)
	if err != nil {
		return err
	}
	for _, a := range d.Advances {
		c.left -= a.End - a.Start
	}
	if c.left <= 0 {
		c.end()
	}
	return nil
}

// liveRate runs a worker over the backlog into a new store, and returns records per second.
func liveRate(b *testing.B, j *kafka.Journal, p *pinflow.Plan) float64 {
	b.Helper()
	dir := b.TempDir()
	instance, err := duck.Open(b.Context(), duck.Options{Path: filepath.Join(dir, "store.duckdb"), Dir: filepath.Join(dir, "spool"), Memory: 96 << 20})
	if err != nil {
		b.Fatal(err)
	}
	defer instance.Close()
	s, err := store.Open(b.Context(), store.Options{Instance: instance})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	engine, err := live.NewEngine(b.Context(), live.Options{Instance: instance, Plan: p})
	if err != nil {
		b.Fatal(err)
	}
	defer engine.Close()
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	worker, err := refine.NewStream(refine.Options{Journal: j, Engine: engine, Store: &counting{s, backlog, cancel}, Plan: p, Group: "bench-" + filepath.Base(dir) + fmt.Sprint(time.Now().UnixNano())})
	if err != nil {
		b.Fatal(err)
	}
	start := time.Now()
	if err := worker.Run(ctx); err != nil {
		b.Fatal(err)
	}
	return backlog / time.Since(start).Seconds()
}

// rawRate is the raw path over the same backlog, in batches of 20,000 records.
func rawRate(b *testing.B, broker string, d *pinflow.Definition, p *pinflow.Plan) float64 {
	b.Helper()
	topic := p.Sources[0].Topic
	cl, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().AtStart()}}))
	if err != nil {
		b.Fatal(err)
	}
	defer cl.Close()
	db, err := sql.Open("duckdb", "")
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	conn, err := db.Conn(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	spool := filepath.Join(b.TempDir(), "batch.json")
	var columns []string
	for _, c := range append(p.Sources[0].Columns, pinflow.Column{Name: "_partition", Type: "INTEGER"}, pinflow.Column{Name: "_offset", Type: "BIGINT"}, pinflow.Column{Name: "_timestamp", Type: "TIMESTAMPTZ"}) {
		columns = append(columns, duck.Literal(c.Name)+": "+duck.Literal(c.Type))
	}
	exec := func(statement string) {
		if _, err := conn.ExecContext(b.Context(), statement); err != nil {
			b.Fatalf("%v: %s", err, statement)
		}
	}
	if err := os.WriteFile(spool, nil, 0o600); err != nil {
		b.Fatal(err)
	}
	exec("SET preserve_insertion_order = false")
	exec("CREATE VIEW pin AS SELECT * FROM read_json(" + duck.Literal(spool) + ", format = 'newline_delimited', columns = {" + strings.Join(columns, ", ") + "})")
	start := time.Now()
	for done := 0; done < backlog; {
		n := spoolBatch(b, cl, spool, 20_000)
		done += n
		exec("CREATE OR REPLACE TEMP TABLE posts AS " + d.Models[0].SQL)
		if len(d.Models) > 1 { // the entities of this batch alone
			exec("CREATE OR REPLACE TEMP TABLE pins AS SELECT * FROM posts QUALIFY row_number() OVER (PARTITION BY unique_id ORDER BY _offset DESC) = 1")
		}
		for i, m := range d.Metrics {
			exec(fmt.Sprintf("CREATE OR REPLACE TEMP TABLE metric_%d AS %s", i, m.SQL))
		}
	}
	return backlog / time.Since(start).Seconds()
}

// spoolBatch writes about n records as lines and returns how many they were.
func spoolBatch(b *testing.B, cl *kgo.Client, spool string, n int) (written int) {
	f, err := os.Create(spool)
	if err != nil {
		b.Fatal(err)
	}
	w := bufio.NewWriterSize(f, 1<<20)
	for written < n {
		fetches := cl.PollRecords(b.Context(), n-written)
		if err := fetches.Err(); err != nil {
			b.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			written++
			_, _ = w.Write(r.Value[:len(r.Value)-1])
			fmt.Fprintf(w, `,"_partition":%d,"_offset":%d,"_timestamp":"%s"}`+"\n", r.Partition, r.Offset, r.Timestamp.UTC().Format("2006-01-02T15:04:05.000Z"))
		})
	}
	if err := w.Flush(); err != nil {
		b.Fatal(err)
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
	return written
}
