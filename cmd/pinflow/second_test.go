package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/emulate"
	"github.com/pinflow/pinflow/internal/duck"
	"github.com/pinflow/pinflow/journal/kafka"
	"github.com/pinflow/pinflow/lake"
	"github.com/pinflow/pinflow/lake/folder"
	"github.com/pinflow/pinflow/pipelines/pipelinetest"
	"github.com/pinflow/pinflow/refine/plan"
	"github.com/pinflow/pinflow/refine/refinetest"
)

// TestSecondDefinition takes a definition that has nothing of the shipped one through the whole path: two sources, several
// partitions, two workers, posts of all kinds, poison past the API, a kill in the middle. In the end
// every metric is the definition's own SQL, run once over what lies in the lake.
func TestSecondDefinition(t *testing.T) {
	definition := pipelinetest.Definition(t)
	planned, faults, err := plan.Compile(t.Context(), definition)
	if err != nil || len(faults) > 0 {
		t.Fatal(faults, err)
	}
	dir := filepath.Join(t.TempDir(), "shop")
	if err := os.CopyFS(dir, pipelinetest.Files(t)); err != nil {
		t.Fatal(err)
	}
	data, acknowledged := dataFolder(t), receipts{}
	args := []string{"up", "--pipeline", dir, "--stream-workers", "2", "--log-period", "1s", "--lake-flush", "100ms"}
	for seed := range uint64(3) {
		p := start(t, data, args...)
		appendPoison(t, p, definition, seed)
		ctx, stop := context.WithCancel(t.Context())
		if kill := seed == 1; kill {
			r := rand.New(rand.NewPCG(seed, 0))
			time.AfterFunc(time.Duration(100+r.IntN(300))*time.Millisecond, p.kill)
		}
		go func() { <-p.done; stop() }()
		for i, s := range definition.Sources {
			rows := &values{recordsOf(seed*2+uint64(i), s.Name, 400)}
			report, err := emulate.Run(ctx, emulate.Options{To: p.info.HTTP + s.Route, Rows: rows, Bulk: int(1 + seed*40), Connections: 4,
				Rate: 2000, OnOutcome: acknowledged.take})
			if err != nil && ctx.Err() == nil {
				t.Fatal(err)
			}
			if ctx.Err() == nil && (report.Acknowledged == 0 || report.Rejected == 0) {
				t.Errorf("%s: %+v", s.Name, report)
			}
		}
		if seed == 1 {
			<-p.done
		} else {
			waitUntilCounted(t, p, definition.Sources[0].Topic)
			waitUntilCounted(t, p, definition.Sources[1].Topic)
			p.interrupt()
		}
		stop()
	}
	t.Logf("%d posts were acknowledged", len(acknowledged))

	inLake := refinetest.Log{}
	for _, s := range definition.Sources {
		a := readAftermath(t, data, s.Topic)
		a.journalHolds(acknowledged.of(s.Topic))
		a.lakeHolds(s.Topic)
		readLake(t, data, s.Topic, inLake)
	}
	oracle := refinetest.NewOracle(t, definition, planned, inLake)
	atRest := &tables{t: t, args: []string{"--data", data, "--pipeline", dir}}
	for _, m := range planned.Metrics {
		want, types := oracle.Metric(m.Name)
		if len(want) == 0 {
			t.Errorf("%s has no rows to compare", m.Name)
		}
		columns := make([]string, len(m.Columns))
		for i, c := range m.Columns {
			if columns[i] = c.Type; types[i] == "DOUBLE" {
				columns[i] = types[i]
			}
		}
		got := atRest.ask(m.Columns, "metric", m.Name)
		refinetest.SameMetric(t, m.Name, columns, got, want)
	}
	audited := auditOf(t, exitDone, "--data", data, "--pipeline", dir, "--deep")
	for _, m := range planned.Models {
		atRest.rejectsAre(m.Name, oracle.Rejected[m.Name])
		appended := int64(0)
		for tp, records := range inLake {
			for _, source := range definition.Sources {
				if source.Name == m.Source && source.Topic == tp.Topic {
					appended += int64(len(records))
				}
			}
		}
		var held pinflow.Tally
		for _, c := range audited.Counts {
			for _, in := range c.Models {
				if in.Model == m.Name && in.Store != nil {
					held.Accepted += in.Store.Accepted
					held.Rejected += in.Store.Rejected
				}
			}
		}
		if want := (pinflow.Tally{Accepted: appended - int64(len(oracle.Rejected[m.Name])), Rejected: int64(len(oracle.Rejected[m.Name]))}); held != want {
			t.Errorf("%s: the store holds %+v of %d appended, want %+v", m.Name, held, appended, want)
		}
	}
}

// auditOf runs an audit at rest, which must end with the exit code given, and returns its report.
func auditOf(t testing.TB, code int, args ...string) *pinflow.AuditReport {
	t.Helper()
	var out, errs bytes.Buffer
	if got := run(t.Context(), append([]string{"audit", "--output", "json"}, args...), &out, &errs); got != code {
		t.Fatalf("pinflow audit %v: exit %d, want %d\n%s%s", args, got, code, out.String(), errs.String())
	}
	var report pinflow.AuditReport
	if err := json.Unmarshal(out.Bytes(), &report); err != nil {
		t.Fatalf("%v: %s", err, out.String())
	}
	return &report
}

// values are rows to post. Those that are no row are left out: nothing, which no bulk can hold, and a list, which is a bulk.
type values struct{ left [][]byte }

func (v *values) Next() (emulate.Row, error) {
	v.left = slices.DeleteFunc(v.left, func(value []byte) bool { return len(value) == 0 || value[0] == '[' })
	if len(v.left) == 0 {
		return emulate.Row{}, io.EOF
	}
	row := emulate.Row{JSON: v.left[0]}
	v.left = v.left[1:]
	return row, nil
}

func (v *values) Close() error { return nil }

// recordsOf are values for a source, but for two that nobody could hold an answer to: amounts so large that the definition's own
// SQL, where it computes in DOUBLE, is off by whole units, and microseconds, which answers do not show.
func recordsOf(seed uint64, source string, n int) [][]byte {
	all := pipelinetest.Records(seed, source, n)
	for i := range all {
		all[i] = bytes.ReplaceAll(all[i], []byte("9999999999999999.99"), []byte("999999.99"))
		all[i] = bytes.ReplaceAll(all[i], []byte(".999999+02:00"), []byte(".999+02:00"))
	}
	return all
}

// of are the receipts of one topic.
func (r receipts) of(topic string) receipts {
	own := receipts{}
	for at, row := range r {
		if at.Topic == topic {
			own[at] = row
		}
	}
	return own
}

// appendPoison puts values, many of them bad, straight into the topics, each into any partition.
func appendPoison(t *testing.T, p *process, d *pinflow.Definition, seed uint64) {
	t.Helper()
	j, err := kafka.Open(t.Context(), kafka.Options{Brokers: []string{p.info.Kafka}})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	r := rand.New(rand.NewPCG(seed, 1))
	var drafts []pinflow.Draft
	for _, s := range d.Sources {
		for _, value := range recordsOf(100+seed, s.Name, 80) {
			draft := pinflow.Draft{Topic: s.Topic, Partition: int32(r.IntN(s.Partitions)), Value: value}
			switch r.IntN(6) {
			case 0:
				draft.Value = nil
			case 1:
				draft.Value = value[:r.IntN(len(value)+1)]
			case 2:
				draft.Key = []byte{0xff, 0, 'k'}
			case 3:
				draft.Value = []byte(strings.Repeat("[", 5000))
			}
			drafts = append(drafts, draft)
		}
	}
	for _, receipt := range j.Append(t.Context(), drafts) {
		if receipt.Err != nil {
			t.Fatal(receipt.Err)
		}
	}
}

// readLake adds a topic's records as they lie in the lake.
func readLake(t *testing.T, data, topic string, into refinetest.Log) {
	t.Helper()
	f, err := folder.Open(filepath.Join(data, "lake"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	kept, err := lake.OpenTopic(t.Context(), f, topic)
	if err != nil {
		t.Fatal(err)
	}
	for o, err := range kept.Objects(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		for line, err := range kept.Read(t.Context(), o) {
			if err != nil {
				t.Fatal(err)
			}
			tp := line.Position().TopicPartition
			into[tp] = append(into[tp], line.Record)
		}
	}
}

// tables asks the command line and reads its answers as DuckDB reads values of their columns' types.
type tables struct {
	t    *testing.T
	args []string
	db   *sql.Conn
}

// ask returns the rows that a command prints, each value as DuckDB's text and NULL as ∅.
func (a *tables) ask(columns []pinflow.Column, words ...string) [][]string {
	a.t.Helper()
	var all [][]string
	casts := make([]string, len(columns))
	for i, c := range columns {
		casts[i] = "coalesce(CAST(CAST(CAST(? AS VARCHAR) AS " + c.Type + ") AS VARCHAR), '∅')"
	}
	cast := "SELECT " + strings.Join(casts, ", ")
	for _, row := range rowsOf(a.t, command(a.t, slices.Concat(words, a.args, []string{"--output", "json"})...)) {
		given, texts, into := make([]any, len(row)), make([]string, len(row)), make([]any, len(row))
		for i, v := range row {
			if v != nil {
				given[i] = fmt.Sprint(v)
			}
			into[i] = &texts[i]
		}
		if err := a.conn().QueryRowContext(a.t.Context(), cast, given...).Scan(into...); err != nil {
			a.t.Fatalf("%v: %v", words, err)
		}
		for i := range texts {
			texts[i] = strings.Clone(texts[i])
		}
		all = append(all, texts)
	}
	return all
}

func (a *tables) conn() *sql.Conn {
	if a.db != nil {
		return a.db
	}
	pool, err := sql.Open("duckdb", "")
	if err != nil {
		a.t.Fatal(err)
	}
	if a.db, err = pool.Conn(a.t.Context()); err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() { _, _ = a.db.Close(), pool.Close() })
	if _, err := a.db.ExecContext(a.t.Context(), "SET TimeZone = 'UTC'"); err != nil {
		a.t.Fatal(err)
	}
	return a.db
}

// rejectsAre checks that the records rejected for a model are these.
func (a *tables) rejectsAre(model string, want map[pinflow.Position]bool) {
	a.t.Helper()
	if len(want) == 0 {
		a.t.Errorf("%s: nothing is to be rejected", model)
	}
	rows := a.ask([]pinflow.Column{{Name: "at", Type: "VARCHAR"}}, "sql",
		`SELECT concat_ws(':', topic, "partition", "offset") AS at FROM rejects WHERE model = `+duck.Literal(model))
	got := map[string]bool{}
	for _, row := range rows {
		got[row[0]] = true
	}
	if len(got) != len(rows) {
		a.t.Errorf("%s: %d rejects at %d positions", model, len(rows), len(got))
	}
	for at := range want {
		if !got[at.String()] {
			a.t.Errorf("%s: the record at %s is not rejected", model, at)
		}
		delete(got, at.String())
	}
	for at := range got {
		a.t.Errorf("%s: the record at %s is rejected, to the definition's SQL it is good", model, at)
	}
}
