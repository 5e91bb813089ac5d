package web

import (
	"bufio"
	"cmp"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/pinflow/pinflow"
)

// positionHeader tells the position that an answer is exact for: topic:partition:offset, separated by
// commas, where all records before the offset are counted and none from it on.
const positionHeader = "Pinflow-Position"

// Position is the state of one partition in an answer.
type Position struct {
	Topic      string `json:"topic"`
	Partition  int32  `json:"partition"`
	NextOffset int64  `json:"next_offset" doc:"All records before this offset are counted, and none from it on"`
}

// rowsAnswer is the shape of an answer with rows; it is written by writeRows.
type rowsAnswer struct {
	Name      string           `json:"name,omitempty" doc:"The metric, model or view"`
	Columns   []pinflow.Column `json:"columns" doc:"In their order, types in DuckDB's words"`
	Positions []Position       `json:"positions" doc:"The position that the rows are exact for"`
	Rows      []map[string]any `json:"rows" doc:"One object per row, its members in the order of the columns"`
}

// answer waits, reads and writes rows as JSON or CSV.
func (s *Web) answer(w http.ResponseWriter, r *http.Request, by, name string, req request) error {
	if err := s.await(r.Context(), req.after, req.timeout); err != nil {
		return err
	}
	res, err := s.read(r.Context(), by, req.query)
	if err != nil {
		return err
	}
	return writeResult(w, name, req, res)
}

// writeResult writes rows in the form that was asked for.
func writeResult(w http.ResponseWriter, name string, req request, res *pinflow.Result) error {
	at := sortedPositions(res.Positions)
	w.Header().Set(positionHeader, headerOf(at))
	w.Header().Add("Vary", "Accept")
	if req.csv {
		w.Header().Set("Content-Type", "text/csv; charset=utf-8")
		w.Header().Set("Content-Disposition", `attachment; filename="`+cmp.Or(name, "rows")+`.csv"`)
		return gone(WriteCSV(w, res))
	}
	w.Header().Set("Content-Type", "application/json")
	return gone(writeRows(w, name, at, res))
}

// writeRows writes a rowsAnswer, its rows last, so that a reader may begin with them at once.
func writeRows(w io.Writer, name string, at []Position, res *pinflow.Result) error {
	columns := unique(res.Columns)
	out := bufio.NewWriterSize(w, 32<<10)
	head, err := json.Marshal(rowsAnswer{Name: name, Columns: orEmpty(columns), Positions: at})
	if err != nil {
		return err
	}
	_, _ = out.Write(head[:len(head)-len("null}")]) // its error stays with out until Flush
	_ = writeArray(out, columns, res.Rows)
	_, _ = out.WriteString("}\n")
	return out.Flush()
}

// WriteJSON writes the rows as a JSON array of objects.
func WriteJSON(w io.Writer, res *pinflow.Result) error {
	out := bufio.NewWriterSize(w, 32<<10)
	_ = writeArray(out, unique(res.Columns), res.Rows) // its error stays with out until Flush
	_ = out.WriteByte('\n')
	return out.Flush()
}

// writeArray writes one row a line.
func writeArray(out *bufio.Writer, columns []pinflow.Column, rows [][]any) error {
	line := []byte{'['}
	for i, row := range rows {
		if i > 0 {
			line = append(line, ',')
		}
		line = appendRow(append(line, '\n'), columns, row)
		if _, err := out.Write(line); err != nil {
			return err
		}
		line = line[:0]
	}
	_, err := out.Write(append(line, ']'))
	return err
}

func writeJSON(w http.ResponseWriter, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return &pinflow.Error{Op: "write the answer", Err: err}
	}
	w.Header().Set("Content-Type", "application/json")
	_, err = w.Write(append(body, '\n'))
	return gone(err)
}

func sortedPositions(at map[pinflow.TopicPartition]pinflow.Progress) []Position {
	all := make([]Position, 0, len(at))
	for _, tp := range slices.SortedFunc(maps.Keys(at), pinflow.TopicPartition.Compare) {
		all = append(all, Position{tp.Topic, tp.Partition, at[tp].NextOffset})
	}
	return all
}

func headerOf(at []Position) string {
	texts := make([]string, len(at))
	for i, p := range at {
		texts[i] = p.Topic + ":" + strconv.Itoa(int(p.Partition)) + ":" + strconv.FormatInt(p.NextOffset, 10)
	}
	return strings.Join(texts, ", ")
}

// orEmpty makes [] of what JSON would write as null.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
