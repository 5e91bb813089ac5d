package emulate

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pinflow/pinflow"
)

// OpenSequence opens a recorded run: a CSV file with a column row_index, which names a row of the file rows by its
// field "index" (a number, or its text), and, if there were pauses, a column sleep_s, the seconds before the row. With
// withPauses false, rows have none. Columns are as in OpenRows, which reads rows. A row_index
// that rows does not have is an Invalid error at once. The rows that the sequence names are held in memory.
func OpenSequence(sequence, rows string, columns []pinflow.Column, withPauses bool) (Rows, error) {
	steps, err := readSteps(sequence, withPauses)
	if err != nil {
		return nil, &pinflow.Error{Op: "read the sequence", On: sequence, Kind: kindOfFile(err), Err: err,
			Hint: "It is a CSV file with a header and a column row_index, perhaps sleep_s."}
	}
	named := make(map[int64][]byte, len(steps))
	for _, s := range steps {
		named[s.index] = nil
	}
	if err := findRows(rows, columns, named); err != nil {
		return nil, err
	}
	var missing []int64
	for index, row := range named {
		if row == nil {
			missing = append(missing, index)
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return nil, &pinflow.Error{Op: "read the sequence", On: sequence, Kind: pinflow.Invalid,
			Err:  fmt.Errorf("%d of its rows are not in %s, the first has the index %d", len(missing), rows, missing[0]),
			Hint: "Give the file of rows that the sequence was recorded from."}
	}
	return &recorded{steps, named}, nil
}

// step is one line of a sequence.
type step struct {
	index int64
	pause time.Duration
}

func readSteps(path string, withPauses bool) ([]step, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	in := csv.NewReader(newFileReader(f))
	header, err := in.Read()
	if err != nil && err != io.EOF {
		return nil, err
	}
	index, sleep := slices.Index(header, "row_index"), slices.Index(header, "sleep_s")
	if index < 0 {
		return nil, errors.New("it has no column row_index")
	}
	var steps []step
	for {
		cells, err := in.Read()
		if err == io.EOF {
			return steps, nil
		}
		if err != nil {
			return nil, err
		}
		line, _ := in.FieldPos(index)
		var s step
		if s.index, err = strconv.ParseInt(cells[index], 10, 64); err != nil {
			return nil, fmt.Errorf("line %d: the row_index %q is no whole number", line, cells[index])
		}
		if withPauses && sleep >= 0 {
			if s.pause, err = parseSeconds(cells[sleep]); err != nil {
				return nil, fmt.Errorf("line %d: %w", line, err)
			}
		}
		steps = append(steps, s)
	}
}

// parseSeconds reads a pause: up to a day, in seconds.
func parseSeconds(text string) (time.Duration, error) {
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil || !(seconds >= 0 && seconds <= 24*60*60) {
		return 0, fmt.Errorf("the sleep_s %q is no number of seconds up to a day", text)
	}
	return time.Duration(seconds * float64(time.Second)), nil
}

// findRows puts the rows that are named into named; where rows share an index, the first.
func findRows(path string, columns []pinflow.Column, named map[int64][]byte) error {
	rows, err := OpenRows(path, columns)
	if err != nil {
		return err
	}
	defer rows.Close()
	for {
		row, err := rows.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if index, ok := indexOf(row.JSON); ok {
			if there, wanted := named[index]; wanted && there == nil {
				named[index] = row.JSON
			}
		}
	}
}

// indexOf returns a row's field "index", if it has one that is a whole number or the text of one.
func indexOf(row []byte) (int64, bool) {
	var r struct{ Index json.RawMessage }
	if json.Unmarshal(row, &r) != nil {
		return 0, false
	}
	index, err := strconv.ParseInt(strings.Trim(string(r.Index), `"`), 10, 64)
	return index, err == nil
}

// recorded are the rows of a sequence.
type recorded struct {
	steps []step
	rows  map[int64][]byte
}

func (r *recorded) Next() (Row, error) {
	if len(r.steps) == 0 {
		return Row{}, io.EOF
	}
	next := r.steps[0]
	r.steps = r.steps[1:]
	return Row{JSON: r.rows[next.index], Pause: next.pause}, nil
}

func (r *recorded) Close() error { return nil }
