package readonly

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
)

// View returns the view's name as it was made, out of those that there are; NotFound names them.
func View(names []string, view string) (string, error) {
	for _, name := range names {
		if strings.EqualFold(name, view) {
			return name, nil
		}
	}
	hint := "There is none yet: nothing has been counted into this store."
	if len(names) > 0 {
		hint = "There are " + strings.Join(names, ", ") + "."
	}
	return "", &pinflow.Error{Op: op, On: view, Kind: pinflow.NotFound, Err: errors.New("there is no such view"), Hint: hint}
}

// operators of a Condition, and the SQL of each.
func operator(op string) (string, bool) {
	i := slices.Index([]string{"=", "!=", "<", "<=", ">", ">="}, op)
	return op, i >= 0
}

// Bound is a condition on a column of a view, held against its type.
type Bound struct {
	Column pinflow.Column
	Op     string // as SQL has it
	Text   string // what it is compared with, as it was given
	Value  any    // the same in the column's type, as pinflow.Relation describes it
}

// SQL is the condition with a parameter in it, for Text.
func (b Bound) SQL() string {
	return duck.Quote(b.Column.Name) + " " + b.Op + " CAST(?::VARCHAR AS " + b.Column.Type + ")"
}

// Bind holds a condition against the columns of a view. What is not as it should be is an Invalid error.
func Bind(ctx context.Context, q Querier, columns []pinflow.Column, f pinflow.Condition) (Bound, error) {
	c, err := column(columns, f.Column)
	if err != nil {
		return Bound{}, err
	}
	op, ok := operator(f.Op)
	if !ok {
		return Bound{}, invalid("filter on "+c.Name, "Use one of = != < <= > >=.", fmt.Errorf("there is no operator %q", f.Op))
	}
	b := Bound{Column: c, Op: op, Text: f.Value}
	castable := fits(c.Type, f.Value)
	if castable {
		cast := pinflow.Column{Name: "v", Type: c.Type}
		row := q.QueryRowContext(ctx, "SELECT v IS NOT NULL, "+Exact([]pinflow.Column{cast})+" FROM (SELECT TRY_CAST(?::VARCHAR AS "+c.Type+") AS v)", f.Value)
		if err := row.Scan(&castable, &b.Value); err != nil {
			return b, err
		}
	}
	if !castable {
		return b, invalid("filter on "+c.Name, "", fmt.Errorf("%q is no %s", f.Value, c.Type))
	}
	b.Value = duck.Value(b.Value)
	return b, nil
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

// OrderBy returns the ORDER BY of a query on a view, "" for none. key writes a column as a sort key. NULL is last either way.
func OrderBy(columns []pinflow.Column, order []pinflow.Order, key func(c pinflow.Column, descending bool) string) (string, error) {
	keys := make([]string, len(order))
	for i, o := range order {
		c, err := column(columns, o.Column)
		if err != nil {
			return "", err
		}
		keys[i] = key(c, o.Descending)
	}
	if len(keys) == 0 {
		return "", nil
	}
	return " ORDER BY " + strings.Join(keys, ", "), nil
}

// Key is a sort key in DuckDB's words.
func Key(c pinflow.Column, descending bool) string {
	if descending {
		return duck.Quote(c.Name) + " DESC"
	}
	return duck.Quote(c.Name)
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
	return pinflow.Column{}, invalid("column "+name, "There are "+strings.Join(names, ", ")+".", fmt.Errorf("there is no such column"))
}
