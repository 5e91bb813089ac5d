package main

import (
	"io"

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
	columns := make([]string, len(r.Columns))
	for i, c := range r.Columns {
		columns[i] = c.Name
	}
	return printTable(w, columns, r.Rows)
}
