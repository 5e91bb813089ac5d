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
	"unicode/utf8"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/value"
)

// cellKind is what the cells of a column become.
type cellKind uint8

const (
	asString cellKind = iota
	asInteger
	asNumber
	asBoolean
	asJSON
)

// csvRows are the rows of a file of CSV.
type csvRows struct {
	path  string
	file  *os.File
	in    *csv.Reader
	names [][]byte // of the columns, as JSON strings
	kinds []cellKind
}

func openCSV(path string, columns []pinflow.Column) (Rows, error) {
	kinds, err := columnKinds(path, columns)
	if err != nil {
		return nil, err
	}
	r, header, err := startCSV(path)
	if err != nil {
		return nil, err
	}
	for _, name := range header {
		r.names = append(r.names, value.AppendString(nil, name))
	}
	r.kinds = kinds
	return r, nil
}

// startCSV opens the file and reads its header.
func startCSV(path string) (*csvRows, []string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, fileError(path, err)
	}
	r := &csvRows{path: path, file: f, in: csv.NewReader(newFileReader(f))}
	header, err := r.in.Read()
	if err == io.EOF {
		err = errors.New("it has no header")
	}
	for i, name := range header {
		if !utf8.ValidString(name) {
			err = fmt.Errorf("column %d of the header is not UTF-8", i+1)
		}
		if name == "" || slices.Contains(header[:i], name) {
			err = fmt.Errorf("column %d of the header has no name of its own", i+1)
		}
	}
	if info, e := f.Stat(); err == nil && (e != nil || !info.Mode().IsRegular()) {
		err = errors.New("CSV is read twice, for the types of its columns, which needs a regular file")
	}
	if err != nil {
		_ = f.Close()
		return nil, nil, fileError(path, err)
	}
	return r, header, nil
}

// columnKinds decides what the cells of each column become; see OpenRows.
func columnKinds(path string, columns []pinflow.Column) ([]cellKind, error) {
	r, header, err := startCSV(path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	kinds, unknown := declaredKinds(header, columns)
	if len(unknown) == 0 {
		return kinds, nil
	}
	seen := make([]bool, len(header))
	for {
		cells, err := r.in.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fileError(path, err)
		}
		for _, i := range unknown {
			if cells[i] == "" {
				continue
			}
			kinds[i] = widen(kinds[i], kindOfCell(cells[i]), seen[i])
			seen[i] = true
		}
	}
	return kinds, nil
}

// declaredKinds takes from columns what they say of the header's names, and returns the indexes of the others.
func declaredKinds(header []string, columns []pinflow.Column) (kinds []cellKind, unknown []int) {
	kinds = make([]cellKind, len(header))
	for i, name := range header {
		at := slices.IndexFunc(columns, func(c pinflow.Column) bool { return c.Name == name })
		if at < 0 {
			unknown = append(unknown, i)
			continue
		}
		switch columns[at].Type {
		case "VARCHAR":
			kinds[i] = asString
		case "BIGINT":
			kinds[i] = asInteger
		case "DOUBLE":
			kinds[i] = asNumber
		case "BOOLEAN":
			kinds[i] = asBoolean
		default:
			kinds[i] = asJSON
		}
	}
	return kinds, unknown
}

// kindOfCell returns the narrowest kind that holds the cell.
func kindOfCell(cell string) cellKind {
	switch {
	case isInteger(cell):
		return asInteger
	case isNumber(cell):
		return asNumber
	case cell == "true" || cell == "false":
		return asBoolean
	}
	return asString
}

// widen returns the narrowest kind that holds a column's cells so far, if there were any, and one more.
func widen(column, cell cellKind, any bool) cellKind {
	switch {
	case !any || column == cell:
		return cell
	case column == asInteger && cell == asNumber, column == asNumber && cell == asInteger:
		return asNumber
	}
	return asString
}

// isNumber tells whether the text is a number as JSON writes it.
func isNumber(text string) bool {
	digit := func(c byte) bool { return '0' <= c && c <= '9' }
	return text != "" && (text[0] == '-' || digit(text[0])) && digit(text[len(text)-1]) && json.Valid([]byte(text))
}

// isInteger tells whether the text is a number that a schema's type integer allows.
func isInteger(text string) bool {
	_, err := strconv.ParseInt(text, 10, 64)
	return err == nil && isNumber(text)
}

func (r *csvRows) Next() (Row, error) {
	cells, err := r.in.Read()
	if err == io.EOF {
		return Row{}, io.EOF
	}
	if err != nil {
		return Row{}, fileError(r.path, err)
	}
	row := []byte{'{'}
	for i, cell := range cells {
		if cell == "" && r.kinds[i] != asString {
			continue
		}
		if len(row) > 1 {
			row = append(row, ',')
		}
		row = append(append(row, r.names[i]...), ':')
		row = appendCell(row, r.kinds[i], cell)
	}
	return Row{JSON: append(row, '}')}, nil
}

// appendCell appends a cell as what it is to be, or as a string if it can't be that.
func appendCell(dst []byte, kind cellKind, cell string) []byte {
	var fits bool
	switch kind {
	case asInteger:
		fits = isInteger(cell)
	case asNumber:
		fits = isNumber(cell)
	case asBoolean:
		fits = cell == "true" || cell == "false"
	case asJSON:
		if text := []byte(cell); json.Valid(text) {
			return value.Compact(dst, text) // a row is one line
		}
	}
	if fits {
		return append(dst, cell...)
	}
	return value.AppendString(dst, cell)
}

func (r *csvRows) Close() error { return r.file.Close() }
