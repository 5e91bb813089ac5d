package main

import (
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/emulate"
	"github.com/pinflow/pinflow/journal/embedded"
	"github.com/pinflow/pinflow/journal/kafka"
	"github.com/pinflow/pinflow/lake"
	"github.com/pinflow/pinflow/lake/folder"
	"github.com/pinflow/pinflow/value"
)

const pins = "PinterestPipelineTopic"

// receipts are what posts were acknowledged with, and what was posted.
type receipts map[pinflow.Position]string

func (r receipts) take(o emulate.Outcome) {
	if o.Err == nil {
		r[o.Position] = string(value.Compact(nil, o.Row))
	}
}

// aftermath is what a data folder holds when nobody runs on it.
type aftermath struct {
	t       testing.TB
	data    string
	records map[pinflow.Position]pinflow.Record // the journal's
}

// readAftermath reads the journal of a data folder.
func readAftermath(t testing.TB, data, topic string) *aftermath {
	t.Helper()
	b, err := embedded.Open(t.Context(), embedded.Options{Dir: filepath.Join(data, "journal"), Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	j, err := kafka.Open(t.Context(), kafka.Options{Brokers: []string{b.Addr()}})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	about, err := j.Topic(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	a := &aftermath{t: t, data: data, records: map[pinflow.Position]pinflow.Record{}}
	for _, p := range about.Partitions {
		tp := pinflow.TopicPartition{Topic: topic, Partition: p.Partition}
		for next := p.Start; ; {
			records, err := j.Read(t.Context(), tp, next, 10_000)
			if err != nil {
				t.Fatal(err)
			}
			if len(records) == 0 {
				break
			}
			for _, r := range records {
				a.records[r.Position()] = r
			}
			next = records[len(records)-1].Offset + 1
		}
	}
	return a
}

// journalHolds checks I1: every acknowledged post lies in the journal at its offset.
func (a *aftermath) journalHolds(r receipts) {
	a.t.Helper()
	for at, row := range r {
		if got, ok := a.records[at]; !ok || string(got.Value) != row {
			a.t.Errorf("the post acknowledged at %s is not there (there: %t)", at, ok)
		}
	}
}

// lakeHolds checks I1 and I2: the lake has every record of the journal once, and its objects tile the offsets.
func (a *aftermath) lakeHolds(topic string) {
	a.t.Helper()
	f, err := folder.Open(filepath.Join(a.data, "lake"))
	if err != nil {
		a.t.Fatal(err)
	}
	defer f.Close()
	kept, err := lake.OpenTopic(a.t.Context(), f, topic)
	if err != nil {
		a.t.Fatal(err)
	}
	flaws, err := kept.Tiles(a.t.Context())
	if err != nil {
		a.t.Fatal(err)
	}
	for _, flaw := range flaws {
		a.t.Error(flaw)
	}
	seen := map[pinflow.Position]int{}
	for o, err := range kept.Objects(a.t.Context()) {
		if err != nil {
			a.t.Fatal(err)
		}
		for line, err := range kept.Read(a.t.Context(), o) {
			if err != nil {
				a.t.Fatal(err)
			}
			at := line.Position()
			seen[at]++
			if r := a.records[at]; !sameValue(line.Value, r.Value) || r.Timestamp != line.Timestamp || string(r.Key) != string(line.Key) {
				a.t.Errorf("the lake's record at %s is not the journal's", at)
			}
		}
	}
	for at := range a.records {
		if seen[at] != 1 {
			a.t.Errorf("the record at %s is %d times in the lake", at, seen[at])
		}
	}
	if len(seen) != len(a.records) {
		a.t.Errorf("%d positions in the lake, %d in the journal", len(seen), len(a.records))
	}
}

// metricsAreExact checks I4: every shipped metric is the oracle's over all records of the journal.
func (a *aftermath) metricsAreExact(more ...string) {
	a.t.Helper()
	var posts []posted
	for _, r := range a.records {
		posts = append(posts, posted{r.Value, r.Time(), r.Position()})
	}
	compareMetrics(a.t, newOracle(a.t, posts).metrics(), func(metric string) []string { return shown(a.t, a.data, metric, more...) })
	rows := rowsOf(a.t, command(a.t, append([]string{"sql", "SELECT count(*) AS n, count(DISTINCT (_partition, _offset)) AS d FROM posts", "--data", a.data, "--output", "json"}, more...)...))
	if got := linesOf(rows)[0]; got != linesOf([][]any{{len(a.records), len(a.records)}})[0] {
		a.t.Errorf("posts has %s rows and different positions, the journal %d records", got, len(a.records))
	}
}

// sameValue tells whether a record's value is the one that was appended: the same bytes, or the same JSON without white space.
func sameValue(kept, appended []byte) bool {
	return string(kept) == string(appended) || json.Valid(appended) && string(kept) == string(value.Compact(nil, appended))
}
