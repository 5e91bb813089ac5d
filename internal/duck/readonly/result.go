package readonly

import (
	"context"
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

// Exact is a select list of columns in which what Go has no exact type for is text.
func Exact(columns []pinflow.Column) string {
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

// Limits bound a query's answer. More than that is a TooLarge error.
type Limits struct {
	Rows  int   // 0 for no bound
	Bytes int64 // in memory, about
}

// Answer gathers rows within limits.
type Answer struct {
	limits  Limits
	numbers []bool // columns whose texts are numbers
	bytes   int64
	Rows    [][]any // as pinflow.Result has them
}

// NewAnswer makes an Answer without rows.
func NewAnswer(columns []pinflow.Column, limits Limits) *Answer {
	a := &Answer{limits: limits, numbers: make([]bool, len(columns)), Rows: [][]any{}}
	for i, c := range columns {
		a.numbers[i] = strings.HasPrefix(c.Type, "DECIMAL") || c.Type == "BIGNUM"
	}
	return a
}

// Add adds a row of values as pinflow.Relation describes them. The row stays the caller's.
func (a *Answer) Add(ctx context.Context, row []any) error {
	if a.limits.Rows > 0 && len(a.Rows) == a.limits.Rows {
		return &pinflow.Error{Op: op, Kind: pinflow.TooLarge, Err: fmt.Errorf("there are more than %d rows", a.limits.Rows), Hint: "Ask for fewer, with a limit or a filter."}
	}
	kept := make([]any, len(row))
	for i, v := range row {
		kept[i] = encodable(v, a.numbers[i])
		a.bytes += sizeOf(v)
	}
	if a.bytes > a.limits.Bytes {
		return &pinflow.Error{Op: op, Kind: pinflow.TooLarge, Err: fmt.Errorf("the rows take more than %d MiB", a.limits.Bytes>>20), Hint: "Ask for fewer rows or columns."}
	}
	a.Rows = append(a.Rows, kept)
	if len(a.Rows)%1024 == 0 {
		return ctx.Err()
	}
	return nil
}

// Limit is the LIMIT of a query that is answered within limits: one row more than is allowed tells that there are too many.
func (l Limits) Limit(limit int) string {
	switch {
	case l.Rows > 0 && (limit <= 0 || limit > l.Rows):
		return fmt.Sprintf(" LIMIT %d", l.Rows+1)
	case limit > 0:
		return fmt.Sprintf(" LIMIT %d", limit)
	}
	return ""
}

// Run has DuckDB answer a query: the columns of what stands behind FROM, with tail behind it.
func Run(ctx context.Context, q Querier, columns []pinflow.Column, from, tail string, args []any, limits Limits) ([][]any, error) {
	rows, err := q.QueryContext(ctx, "SELECT "+Exact(columns)+" FROM "+from+tail, args...)
	if err != nil {
		return nil, err
	}
	a := NewAnswer(columns, limits)
	err = duck.EachRow(rows, func(row []any) error { return a.Add(ctx, row) })
	return a.Rows, err
}

// Describe returns the columns of what stands behind FROM.
func Describe(ctx context.Context, q Querier, from string, args ...any) ([]pinflow.Column, error) {
	rows, err := q.QueryContext(ctx, "DESCRIBE SELECT * FROM "+from, args...)
	if err != nil {
		return nil, err
	}
	var columns []pinflow.Column
	err = duck.EachRow(rows, func(row []any) error {
		columns = append(columns, pinflow.Column{Name: row[0].(string), Type: columnType(row[1].(string))})
		return nil
	})
	return columns, err
}

// columnType is the short name of a type that DuckDB spells out.
func columnType(t string) string {
	element := strings.TrimRight(t, "[]")
	if element == "TIMESTAMP WITH TIME ZONE" {
		return "TIMESTAMPTZ" + t[len(element):]
	}
	return t
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
