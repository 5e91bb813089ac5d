package ingest_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/ingest"
	"github.com/pinflow/pinflow/internal/realtest"
)

// TestRealRows posts every real pin, as a bulk and alone: each is taken, byte for byte but for the whitespace between tokens.
func TestRealRows(t *testing.T) {
	rows, err := os.ReadFile(filepath.Join(realtest.Data(t), "pins.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	schema, err := os.ReadFile("../pipelines/pinterest/schemas/pin.json")
	if err != nil {
		t.Fatal(err)
	}
	src := pinSource()
	src.Schema = schema
	alone, bulk := newJournal(1), newJournal(1)
	url := start(t, ingest.Options{Journal: alone, Sources: []pinflow.Source{src}})
	lines := strings.Split(strings.TrimSpace(string(rows)), "\n")
	for _, line := range lines {
		post(t, url+"/note/", strings.NewReader(line)).receipt(t)
	}
	all := post(t, start(t, ingest.Options{Journal: bulk, Sources: []pinflow.Source{src}})+"/note/", bytes.NewReader(rows), "Content-Type", ndjsonType).results(t)
	if all.Refused != 0 || all.Taken != len(lines) || bulk.count() != alone.count() {
		t.Fatalf("%d rows: %d taken, %d refused", len(lines), all.Taken, all.Refused)
	}
	for i, d := range bulk.records[0] {
		if !bytes.Equal(d.Value, alone.records[0][i].Value) || !bytes.Equal(d.Key, alone.records[0][i].Key) || len(d.Key) == 0 {
			t.Fatalf("row %d differs", i)
		}
	}
}
