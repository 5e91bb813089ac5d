package main

import (
	"slices"

	"github.com/alecthomas/kong"
)

// idle are the settings without effect on a command that takes them with others; its help leaves them out.
var idle = map[string][]string{
	"lake":              {"store", "seal-grace", "patience", "batch-memory", "http", "max-record", "max-bulk", "ingest-memory", "duckdb-memory", "sql-rows", "sql-time"},
	"ingest":            {"lake", "store", "log-period", "seal-grace", "patience", "lake-flush", "lake-memory", "batch-memory", "duckdb-memory", "sql-rows", "sql-time"},
	"stream":            slices.Concat(ofIngest, []string{"http", "seal-grace", "patience", "lake-memory", "batch-memory", "sql-rows", "sql-time"}),
	"web":               ofIngest,
	"doctor":            slices.Concat(ofIngest, []string{"sql-rows", "sql-time", "patience", "batch-memory", "seal-grace", "lake-memory", "kafka-listen"}),
	"metric":            {"journal", "lake"},
	"sql":               {"journal"},
	"rejects list":      {"journal", "lake"},
	"schedule":          {"http", "kafka-listen", "max-record", "max-bulk", "ingest-memory", "sql-rows", "sql-time", "journal-retention"},
	"batch":             slices.Concat(ofIngest, []string{"sql-rows", "sql-time"}),
	"report":            ofIngest,
	"audit":             slices.Concat(ofIngest, []string{"sql-rows", "sql-time", "patience"}),
	"generation list":   slices.Concat(ofIngest, []string{"sql-rows", "sql-time", "patience", "batch-memory"}),
	"generation build":  slices.Concat(ofIngest, []string{"sql-rows", "sql-time"}),
	"generation switch": slices.Concat(ofIngest, []string{"sql-rows", "sql-time"}),
	"generation drop":   slices.Concat(ofIngest, []string{"sql-rows", "sql-time", "patience", "batch-memory"}),
}

// ofIngest are the limits of what takes posts.
var ofIngest = []string{"max-record", "max-bulk", "ingest-memory", "journal-retention", "log-period", "lake-flush"}

// shownBy are the settings that few commands use of all that take them; the help of the others leaves them out. Those of the embedded broker for clients elsewhere
// are for where it goes on.
var shownBy = map[string][]string{
	"kafka-users": {"up"}, "kafka-tls-cert": {"up"}, "kafka-tls-key": {"up"}, "kafka-advertise": {"up"},
	"stream-memory": {"up", "stream", "generation build"},
}

// hideIdle hides them.
func hideIdle(k *kong.Kong) error {
	for _, leaf := range k.Model.Leaves(false) {
		for _, flag := range leaf.Flags {
			users, few := shownBy[flag.Name]
			flag.Hidden = flag.Hidden || slices.Contains(idle[leaf.Path()], flag.Name) || few && !slices.Contains(users, leaf.Path())
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
