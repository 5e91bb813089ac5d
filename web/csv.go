package web

import (
	"bufio"
	"encoding/base64"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/pinflow/pinflow"
)

// WriteCSV writes a header line and the rows. NULL is an empty field, the empty string is "".
// Lists are JSON, instants and bytes as in JSON.
func WriteCSV(w io.Writer, res *pinflow.Result) error {
	out := bufio.NewWriterSize(w, 32<<10)
	var line []byte
	for i, c := range res.Columns {
		line = appendField(line, i, c.Name)
	}
	line = append(line, '\n')
	for _, row := range res.Rows {
		if _, err := out.Write(line); err != nil {
			return err
		}
		line = appendCSVRow(line[:0], res.Columns, row)
	}
	if _, err := out.Write(line); err != nil {
		return err
	}
	return out.Flush()
}

func appendCSVRow(line []byte, columns []pinflow.Column, row []any) []byte {
	for i, v := range row {
		typ := columns[i].Type
		switch v := v.(type) {
		case nil:
			if i > 0 {
				line = append(line, ',')
			} else if len(row) == 1 {
				line = append(line, `""`...) // readers skip a line that is empty
			}
		case float64:
			line = appendField(line, i, strconv.FormatFloat(v, 'g', -1, 64))
		case string:
			line = appendField(line, i, v)
		case []byte:
			line = appendField(line, i, base64.StdEncoding.EncodeToString(v))
		case time.Time:
			line = appendField(line, i, formatTime(typ, v))
		default:
			line = appendField(line, i, string(appendValue(nil, typ, v)))
		}
	}
	return append(line, '\n')
}

// appendField appends the field of that index, quoted where a reader would take it for something else.
func appendField(line []byte, index int, s string) []byte {
	if index > 0 {
		line = append(line, ',')
	}
	if s != "" && !strings.ContainsAny(s, ",\"\r\n") && s == strings.TrimSpace(s) {
		return append(line, s...)
	}
	line = append(line, '"')
	line = append(line, strings.ReplaceAll(s, `"`, `""`)...)
	return append(line, '"')
}
