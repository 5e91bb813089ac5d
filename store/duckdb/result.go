package duckdb

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
)

// exact is a select list of columns in which what Go has no exact type for is text.
func exact(columns []pinflow.Column) string {
	parts := make([]string, len(columns))
	for i, c := range columns {
		name := duck.Quote(c.Name)
		switch {
		case asText(c.Type):
			parts[i] = name + "::VARCHAR AS " + name
		case asJSON(c.Type):
			parts[i] = "to_json(" + name + ")::VARCHAR AS " + name
		default:
			parts[i] = name
		}
	}
	return strings.Join(parts, ", ")
}

// asText tells whether a type's values travel as DuckDB writes them.
func asText(columnType string) bool {
	if strings.HasSuffix(columnType, "]") {
		return false
	}
	switch base, _, _ := strings.Cut(columnType, "("); base {
	case "JSON", "UUID", "TIME", "TIME WITH TIME ZONE", "INTERVAL", "ENUM", "BIT", "BIGNUM":
		return true
	}
	return false
}

// asJSON tells whether a type's values travel as JSON: structs, maps, unions, and lists of what travels as text.
func asJSON(columnType string) bool {
	element := strings.TrimRight(columnType, "[]0123456789")
	if element != columnType {
		return asText(element) || asJSON(element)
	}
	base, _, _ := strings.Cut(columnType, "(")
	return base == "STRUCT" || base == "MAP" || base == "UNION" || base == "VARIANT" || base == "GEOMETRY"
}

// collect reads the rows into the result, within its limits.
func (s *Store) collect(ctx context.Context, rows *sql.Rows, maxRows int, result *pinflow.Result) error {
	numbers := make([]bool, len(result.Columns))
	for i, c := range result.Columns {
		numbers[i] = strings.HasPrefix(c.Type, "DECIMAL") || c.Type == "BIGNUM"
	}
	var bytes int64
	return duck.EachRow(rows, func(row []any) error {
		if maxRows > 0 && len(result.Rows) == maxRows {
			return &pinflow.Error{Op: "query", Kind: pinflow.TooLarge, Err: fmt.Errorf("there are more than %d rows", maxRows), Hint: "Ask for fewer, with a limit or a filter."}
		}
		kept := make([]any, len(row))
		for i, v := range row {
			kept[i] = encodable(v, numbers[i])
			bytes += sizeOf(v)
		}
		if bytes > s.o.ResultBytes {
			return &pinflow.Error{Op: "query", Kind: pinflow.TooLarge, Err: fmt.Errorf("the rows take more than %d MiB", s.o.ResultBytes>>20), Hint: "Ask for fewer rows or columns."}
		}
		result.Rows = append(result.Rows, kept)
		if len(result.Rows)%1024 == 0 {
			return ctx.Err()
		}
		return nil
	})
}

// encodable is v in a form that JSON has. Numbers that Go could round are json.Number; what JSON has no
// number or time for is its name.
func encodable(v any, number bool) any {
	switch v := v.(type) {
	case *big.Int:
		return json.Number(v.String())
	case string:
		if number {
			return json.Number(v)
		}
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return strconv.FormatFloat(v, 'g', -1, 64)
		}
	case time.Time:
		if y := v.UTC().Year(); y < 0 || y > 9999 {
			return v.UTC().Format("2006-01-02T15:04:05Z")
		}
	case []any:
		for i := range v {
			v[i] = encodable(v[i], number)
		}
	}
	return v
}

// sizeOf is about what a value takes in memory.
func sizeOf(v any) int64 {
	switch v := v.(type) {
	case string:
		return 32 + int64(len(v))
	case []byte:
		return 40 + int64(len(v))
	case []any:
		n := int64(40)
		for _, e := range v {
			n += sizeOf(e)
		}
		return n
	}
	return 32
}
