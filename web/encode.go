package web

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/pinflow/pinflow"
)

// milliseconds is how instants are written: RFC 3339, UTC.
const milliseconds = "2006-01-02T15:04:05.000Z"

// appendRow appends a row as a JSON object, its members in the order of the columns.
func appendRow(dst []byte, columns []pinflow.Column, row []any) []byte {
	dst = append(dst, '{')
	for i, v := range row {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, columns[i].Name)
		dst = append(dst, ':')
		dst = appendValue(dst, columns[i].Type, v)
	}
	return append(dst, '}')
}

// appendValue appends v, of a column of the given type, as JSON. Numbers keep every digit; NaN and the
// infinities, which JSON lacks, are text; bytes are base64. It cannot fail: what it does not know is text.
func appendValue(dst []byte, typ string, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...)
	case bool:
		return strconv.AppendBool(dst, v)
	case int32:
		return strconv.AppendInt(dst, int64(v), 10)
	case int64:
		return strconv.AppendInt(dst, v, 10)
	case *big.Int:
		return v.Append(dst, 10)
	case json.Number:
		return append(dst, v...)
	case float64:
		return appendFloat(dst, v)
	case string:
		if isNested(typ) && json.Valid([]byte(v)) {
			return appendJSON(dst, json.RawMessage(v))
		}
		return appendString(dst, v)
	case []byte:
		return appendString(dst, base64.StdEncoding.EncodeToString(v))
	case time.Time:
		return appendString(dst, formatTime(typ, v))
	case []any:
		return appendList(dst, typ, v)
	default:
		return appendJSON(dst, v)
	}
}

// isNested tells whether a text of that type is JSON: a struct, a map, or a list of what Go has no type for.
func isNested(typ string) bool {
	name, _, _ := strings.Cut(typ, "(")
	switch name {
	case "JSON", "STRUCT", "MAP", "UNION", "VARIANT":
		return true
	}
	return strings.HasSuffix(typ, "]")
}

func appendFloat(dst []byte, f float64) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return appendString(dst, strconv.FormatFloat(f, 'g', -1, 64))
	}
	return strconv.AppendFloat(dst, f, 'g', -1, 64)
}

func appendList(dst []byte, typ string, list []any) []byte {
	if n := len(typ); n > 2 && typ[n-2:] == "[]" {
		typ = typ[:n-2]
	}
	dst = append(dst, '[')
	for i, v := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendValue(dst, typ, v)
	}
	return append(dst, ']')
}

// appendString appends s as a JSON string that is also safe inside HTML.
func appendString(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= utf8.RuneSelf || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			return appendJSON(dst, s)
		}
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}

// appendJSON appends what encoding/json makes of v, or v's text where that can't.
func appendJSON(dst []byte, v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		text, _ = json.Marshal(fmt.Sprint(v)) // a string never fails
	}
	return append(dst, text...)
}

func formatTime(typ string, t time.Time) string {
	switch typ {
	case "DATE":
		return t.Format(time.DateOnly)
	case "TIME":
		return t.Format("15:04:05.000")
	}
	return t.UTC().Format(milliseconds)
}

// unique returns columns with no name twice: an object's members need names of their own.
func unique(columns []pinflow.Column) []pinflow.Column {
	taken := make(map[string]bool, len(columns))
	out := make([]pinflow.Column, len(columns))
	for i, c := range columns {
		name := c.Name
		for n := 1; taken[name]; n++ {
			name = c.Name + "_" + strconv.Itoa(n)
		}
		taken[name] = true
		out[i] = pinflow.Column{Name: name, Type: c.Type}
	}
	return out
}
