package duck

import (
	"context"
	"database/sql"
	"encoding/json"
	"math/big"
	"strings"

	"github.com/duckdb/duckdb-go/v2"
	"github.com/pinflow/pinflow"
)

// Table is a pinflow.Relation: a table of an Instance, mostly of a scratch database. A store on the same Instance
// reads it by name; any other scans it.
type Table struct {
	Instance *Instance
	Name     string // qualified and quoted
	Columns  []pinflow.Column
	Order    string // of the rows as Scan gives them, as ORDER BY has it; "" for any. Who reads by name has to see to it himself
}

// Scan implements pinflow.Relation.
func (t *Table) Scan(ctx context.Context, f func(row []any) error) error {
	query := "SELECT " + Exact(t.Columns) + " FROM " + t.Name
	if t.Order != "" {
		query += " ORDER BY " + t.Order
	}
	rows, err := t.Instance.DB.QueryContext(ctx, query)
	if err != nil {
		return &pinflow.Error{Op: "read table", On: t.Name, Err: err}
	}
	return EachRow(rows, f)
}

// Exact returns a select list of columns in which JSON is text: decoded to Go values it would lose digits.
func Exact(columns []pinflow.Column) string {
	parts := make([]string, len(columns))
	for i, c := range columns {
		parts[i] = Quote(c.Name)
		if c.Type == "JSON" {
			parts[i] += "::VARCHAR AS " + Quote(c.Name)
		}
	}
	return strings.Join(parts, ", ")
}

// EachRow calls f with each row as pinflow.Relation describes it and closes rows. f must not keep the slice.
func EachRow(rows *sql.Rows, f func(row []any) error) error {
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	row, into := make([]any, len(columns)), make([]any, len(columns))
	for i := range row {
		into[i] = &row[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		for i, v := range row {
			row[i] = Value(v)
		}
		if err := f(row); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Value turns a value as duckdb-go gives it into one as pinflow.Relation describes it; types that
// it does not list (structs, maps) become their JSON text.
func Value(v any) any {
	switch v := v.(type) {
	case duckdb.Decimal:
		return decimalText(v)
	case int8:
		return int32(v)
	case int16:
		return int32(v)
	case uint8:
		return int32(v)
	case uint16:
		return int32(v)
	case uint32:
		return int64(v)
	case uint64:
		return new(big.Int).SetUint64(v)
	case float32:
		return float64(v)
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = Value(v[i])
		}
		return list
	case map[string]any, duckdb.Map, duckdb.OrderedMap:
		text, err := json.Marshal(v)
		if err != nil {
			return nil
		}
		return string(text)
	}
	return v
}

// decimalText is a DECIMAL with all the places of its type, as DuckDB writes it; the driver's own text drops zeros.
func decimalText(d duckdb.Decimal) string {
	digits := new(big.Int).Abs(d.Value).String()
	places := int(d.Scale)
	if missing := places + 1 - len(digits); missing > 0 {
		digits = strings.Repeat("0", missing) + digits
	}
	if places > 0 {
		digits = digits[:len(digits)-places] + "." + digits[len(digits)-places:]
	}
	if d.Value.Sign() < 0 {
		return "-" + digits
	}
	return digits
}
