package main

import (
	"path/filepath"
	"testing"

	"github.com/pinflow/pinflow/emulate"
	"github.com/pinflow/pinflow/internal/realtest"
)

// TestRealPins posts all real rows, then the recorded sequence of the original's emulator, and compares
// every metric with the oracle over what was posted: over the running process, and at rest.
func TestRealPins(t *testing.T) {
	dir := realtest.Data(t)
	data, acknowledged := dataFolder(t), receipts{}
	p := start(t, data, "up", "--log-period", "1s", "--lake-flush", "200ms")
	post := func(rows emulate.Rows, err error, bulk, connections, want int) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		report, err := emulate.Run(t.Context(), emulate.Options{To: p.info.HTTP + "/pin/", Rows: rows, Bulk: bulk, Connections: connections, OnOutcome: acknowledged.take})
		if err != nil || report.Rejected > 0 || int(report.Acknowledged) != want {
			t.Fatalf("%+v, %v", report, err)
		}
	}
	pinsFile := filepath.Join(dir, "pins.ndjson")
	rows, err := emulate.OpenRows(pinsFile, nil)
	post(rows, err, 1, 8, 3461)
	rows, err = emulate.OpenSequence(filepath.Join(dir, "emulator_sequence.csv"), pinsFile, nil, false)
	post(rows, err, 1, 1, 2710)
	rows, err = emulate.OpenRows(pinsFile, nil)
	post(rows, err, 500, 2, 3461)
	waitUntilCounted(t, p, pins)
	live := map[string][]string{}
	for metric := range newOracle(t, nil).names() {
		live[metric] = shown(t, data, metric)
	}
	p.interrupt()

	if want := 3461 + 2710 + 3461; len(acknowledged) != want {
		t.Errorf("%d different receipts, want %d", len(acknowledged), want)
	}
	a := readAftermath(t, data, pins)
	a.journalHolds(acknowledged)
	a.lakeHolds(pins)
	a.metricsAreExact()
	compareMetrics(t, live, func(metric string) []string { return shown(t, data, metric) })
}
