package main

import (
	"io"
	"maps"
	"slices"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/web"
)

// printResult writes rows for people or for programs.
func printResult(w io.Writer, output string, r *pinflow.Result) error {
	switch output {
	case "json":
		return web.WriteJSON(w, r)
	case "csv":
		return web.WriteCSV(w, r)
	}
	return printTable(w, r.Columns, r.Rows, exactFor(r.Positions))
}

// exactFor says of which records rows are exact.
func exactFor(positions map[pinflow.TopicPartition]pinflow.Progress) string {
	text := ""
	for i, tp := range slices.SortedFunc(maps.Keys(positions), pinflow.TopicPartition.Compare) {
		if text += ", "; i == 0 {
			text = ", exact for what lies before "
		}
		text += pinflow.Position{TopicPartition: tp, Offset: positions[tp].NextOffset}.String()
	}
	return text
}
