package main

import (
	"slices"

	"github.com/alecthomas/kong"
)

// idle are the settings without effect on a command that takes them with others; its help leaves them out.
var idle = map[string][]string{
	"lake":              {"store", "seal-grace", "patience", "batch-memory", "stream-memory", "http", "max-record", "max-bulk", "ingest-memory", "duckdb-memory", "sql-rows", "sql-time"},
	"ingest":            {"lake", "store", "log-period", "seal-grace", "patience", "lake-flush", "lake-memory", "batch-memory", "stream-memory", "duckdb-memory", "sql-rows", "sql-time"},
	"stream":            slices.Concat(ofIngest, []string{"http", "seal-grace", "patience", "lake-memory", "batch-memory", "sql-rows", "sql-time"}),
	"web":               slices.Concat(ofIngest, []string{"stream-memory"}),
	"doctor":            slices.Concat(ofIngest, []string{"sql-rows", "sql-time", "patience", "batch-memory", "stream-memory", "seal-grace", "lake-memory", "kafka-listen"}),
	"metric":            {"journal", "lake"},
	"sql":               {"journal"},
	"rejects list":      {"journal", "lake"},
	"schedule":          {"http", "kafka-listen", "max-record", "max-bulk", "ingest-memory", "sql-rows", "sql-time", "journal-retention", "stream-memory"},
	"batch":             slices.Concat(ofIngest, []string{"sql-rows", "sql-time", "stream-memory"}),
	"report":            slices.Concat(ofIngest, []string{"stream-memory"}),
	"audit":             slices.Concat(ofIngest, []string{"sql-rows", "sql-time", "patience", "stream-memory"}),
	"generation list":   slices.Concat(ofIngest, []string{"sql-rows", "sql-time", "patience", "batch-memory", "stream-memory"}),
	"generation build":  slices.Concat(ofIngest, []string{"sql-rows", "sql-time"}),
	"generation switch": slices.Concat(ofIngest, []string{"sql-rows", "sql-time", "stream-memory"}),
	"generation drop":   slices.Concat(ofIngest, []string{"sql-rows", "sql-time", "patience", "batch-memory", "stream-memory"}),
}

// ofIngest are the limits of what takes posts.
var ofIngest = []string{"max-record", "max-bulk", "ingest-memory", "journal-retention", "log-period", "lake-flush"}

// ofBroker are the settings of the embedded broker for clients elsewhere, which only those commands show that it goes on in.
var ofBroker = []string{"kafka-users", "kafka-tls-cert", "kafka-tls-key", "kafka-advertise"}

// hideIdle hides them.
func hideIdle(k *kong.Kong) error {
	for _, leaf := range k.Model.Leaves(false) {
		for _, flag := range leaf.Flags {
			flag.Hidden = flag.Hidden || slices.Contains(idle[leaf.Path()], flag.Name) || slices.Contains(ofBroker, flag.Name) && leaf.Path() != "up"
		}
	}
	return nil
}

// explain is what --help says of a flag or an argument: kong's own words and the default.
func explain(v *kong.Value) string {
	text := kong.DefaultHelpValueFormatter(v)
	if v.Flag == nil || v.Default == "" || v.IsBool() {
		return text
	}
	return text + " [default: " + v.Default + "]"
}
