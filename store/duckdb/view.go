package duckdb

import (
	"context"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
)

// operators of a Condition, and the SQL of each.
func operator(op string) (string, bool) {
	i := slices.Index([]string{"=", "!=", "<", "<=", ">", ">="}, op)
	return op, i >= 0
}

// filter returns a condition's SQL with a parameter in it, and the parameter's value.
func filter(ctx context.Context, tx querier, columns []pinflow.Column, f pinflow.Condition) (string, any, error) {
	c, err := column(columns, f.Column)
	if err != nil {
		return "", nil, err
	}
	op, ok := operator(f.Op)
	if !ok {
		return "", nil, invalid("query", "filter on "+c.Name, "Use one of = != < <= > >=.", fmt.Errorf("there is no operator %q", f.Op))
	}
	castable := fits(c.Type, f.Value)
	if castable {
		err = tx.QueryRowContext(ctx, "SELECT TRY_CAST(?::VARCHAR AS "+c.Type+") IS NOT NULL", f.Value).Scan(&castable)
	}
	if err != nil {
		return "", nil, err
	}
	if !castable {
		return "", nil, invalid("query", "filter on "+c.Name, "", fmt.Errorf("%q is no %s", f.Value, c.Type))
	}
	return duck.Quote(c.Name) + " " + op + " CAST(?::VARCHAR AS " + c.Type + ")", f.Value, nil
}

// fits tells whether a number's text is a value of an exact type as it stands: DuckDB's cast would round it.
func fits(columnType, text string) bool {
	places := 0
	switch base, parameters, _ := strings.Cut(columnType, "("); base {
	case "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT":
	case "DECIMAL":
		_, scale, _ := strings.Cut(strings.TrimSuffix(parameters, ")"), ",")
		places, _ = strconv.Atoi(strings.TrimSpace(scale))
	default:
		return true
	}
	if len(text) > 100 || strings.ContainsAny(text, "eE/_") {
		return false
	}
	r, ok := new(big.Rat).SetString(strings.TrimSpace(text))
	if !ok {
		return false
	}
	r.Mul(r, new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(places)), nil)))
	return r.IsInt()
}

func orderBy(columns []pinflow.Column, order []pinflow.Order) (string, error) {
	keys := make([]string, len(order))
	for i, o := range order {
		c, err := column(columns, o.Column)
		if err != nil {
			return "", err
		}
		keys[i] = duck.Quote(c.Name)
		if o.Descending {
			keys[i] += " DESC"
		}
	}
	if len(keys) == 0 {
		return "", nil
	}
	return " ORDER BY " + strings.Join(keys, ", "), nil
}

// column finds a column by its name, in which case does not matter, as in SQL.
func column(columns []pinflow.Column, name string) (pinflow.Column, error) {
	names := make([]string, len(columns))
	for i, c := range columns {
		if strings.EqualFold(c.Name, name) {
			return c, nil
		}
		names[i] = c.Name
	}
	return pinflow.Column{}, invalid("query", "column "+name, "There are "+strings.Join(names, ", ")+".", fmt.Errorf("there is no such column"))
}
