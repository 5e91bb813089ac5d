package main

import (
	"cmp"
	"io"
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
	var all []pinflow.Position
	for tp, p := range positions {
		all = append(all, pinflow.Position{TopicPartition: tp, Offset: p.NextOffset})
	}
	slices.SortFunc(all, func(a, b pinflow.Position) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	text := ""
	for i, at := range all {
		if text += ", "; i == 0 {
			text = ", exact for what lies before "
		}
		text += at.String()
	}
	return text
}
