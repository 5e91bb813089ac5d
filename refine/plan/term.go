package plan

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"github.com/pinflow/pinflow/internal/duck"
)

// term is one node of a view's expressions. Both engines' texts are written from the same terms. Integers
// in them are HUGEINT in DuckDB and numeric without fraction in PostgreSQL.
type term struct {
	op   termOp
	text string // a name, a literal, an operator, a type
	args []term
	n    int // a number of decimals
}

type termOp uint8

const (
	opColumn    termOp = iota // text: the column's name
	opInteger                 // text: digits
	opLiteral                 // text: value, of type typ in args
	opNull                    // NULL
	opCast                    // text: the stored type
	opInfix                   // text: the operator, which both engines have and mean alike
	opPrefix                  // text: NOT or -
	opCall                    // text: a function that both engines have and mean alike
	opIsNull                  //
	opCase                    // when, then, when, then, …, else
	opDivide                  // integers, towards zero
	opRemainder               // integers, the dividend's sign
	opUnscaled                // DECIMAL(…,n) as the integer without its point
	opScaled                  // integer as DECIMAL(38,n): n digits behind the point
	opQuotient                // two integers as one DOUBLE
	opBinary                  // text compared by its bytes
)

func columnTerm(name string) term      { return term{op: opColumn, text: name} }
func integerTerm(digits string) term   { return term{op: opInteger, text: digits} }
func nullTerm() term                   { return term{op: opNull} }
func castTerm(t term, typ string) term { return term{op: opCast, text: typ, args: []term{t}} }
func literalTerm(value, typ string) term {
	return term{op: opLiteral, text: value, args: []term{{text: typ}}}
}
func infix(op string, args ...term) term    { return term{op: opInfix, text: op, args: args} }
func call(name string, args ...term) term   { return term{op: opCall, text: name, args: args} }
func isNull(t term) term                    { return term{op: opIsNull, args: []term{t}} }
func caseTerm(parts ...term) term           { return term{op: opCase, args: parts} }
func divide(a, b term) term                 { return term{op: opDivide, args: []term{a, b}} }
func remainder(a, b term) term              { return term{op: opRemainder, args: []term{a, b}} }
func negative(t term) term                  { return term{op: opPrefix, text: "-", args: []term{t}} }
func not(t term) term                       { return term{op: opPrefix, text: "NOT ", args: []term{t}} }
func (t term) isInteger(digits string) bool { return t.op == opInteger && t.text == digits }

// powerOfTen is 10^n.
func powerOfTen(n int) term { return integerTerm("1" + strings.Repeat("0", n)) }

// times multiplies, leaving out ones.
func times(a, b term) term {
	switch {
	case a.op == opInteger && b.op == opInteger:
		x, _ := new(big.Int).SetString(a.text, 10)
		y, _ := new(big.Int).SetString(b.text, 10)
		return integerTerm(x.Mul(x, y).String())
	case a.isInteger("1"):
		return b
	case b.isInteger("1"):
		return a
	}
	return infix("*", a, b)
}

// sum adds or subtracts, at once if both are known.
func sum(op string, a, b term) term {
	if a.op != opInteger || b.op != opInteger {
		return infix(op, a, b)
	}
	x, _ := new(big.Int).SetString(a.text, 10)
	y, _ := new(big.Int).SetString(b.text, 10)
	if op == "-" {
		y.Neg(y)
	}
	return integerTerm(x.Add(x, y).String())
}

// dialect is what DuckDB and PostgreSQL write differently.
type dialect struct {
	typ                         func(stored string) string
	divide, remainder, quotient string // formats of two integers
	unscaled                    func(text string, n int) string
	binary                      string // format of text compared by its bytes
	merge                       func(aggregate, text, typ string) string
}

func duckDialect() dialect {
	return dialect{
		typ:    func(stored string) string { return stored },
		divide: "(%s // %s)", remainder: "(%s %% %s)",
		// By way of its digits a HUGEINT becomes the nearest DOUBLE.
		quotient: "(CAST(CAST(%s AS VARCHAR) AS DOUBLE) / CAST(CAST(%s AS VARCHAR) AS DOUBLE))",
		unscaled: func(text string, _ int) string {
			return "CAST(replace(CAST(" + text + " AS VARCHAR), '.', '') AS HUGEINT)"
		},
		binary: "%s",
		merge:  func(aggregate, text, _ string) string { return aggregate + "(" + text + ")" },
	}
}

func postgresDialect() dialect {
	return dialect{
		typ:    postgresType,
		divide: "div(%s, %s)", remainder: "mod(%s, %s)",
		quotient: "(CAST(%s AS double precision) / CAST(%s AS double precision))",
		unscaled: func(text string, n int) string { return "trunc(" + text + " * " + powerOfTen(n).text + ")" },
		binary:   `%s COLLATE "C"`,
		merge:    postgresMerge,
	}
}

// postgresMerge knows that PostgreSQL has no min and max of booleans and orders text by the
// database's locale unless told otherwise.
func postgresMerge(aggregate, text, typ string) string {
	switch {
	case typ == "BOOLEAN" && aggregate == "min":
		return "bool_and(" + text + ")"
	case typ == "BOOLEAN" && aggregate == "max":
		return "bool_or(" + text + ")"
	case typ == "VARCHAR" && aggregate != "count":
		return aggregate + "(" + text + ` COLLATE "C")`
	}
	return aggregate + "(" + text + ")"
}

// write returns a term's text.
func (d *dialect) write(t term) string {
	args := make([]string, len(t.args))
	if t.op != opLiteral {
		for i := range t.args {
			args[i] = d.write(t.args[i])
		}
	}
	switch t.op {
	case opColumn:
		return duck.Quote(t.text)
	case opInteger:
		return t.text
	case opLiteral:
		return "CAST(" + duck.Literal(t.text) + " AS " + d.typ(t.args[0].text) + ")"
	case opNull:
		return "NULL"
	case opCast:
		return "CAST(" + args[0] + " AS " + d.typ(t.text) + ")"
	case opInfix:
		return "(" + strings.Join(args, " "+t.text+" ") + ")"
	case opPrefix:
		return "(" + t.text + args[0] + ")"
	case opCall:
		return t.text + "(" + strings.Join(args, ", ") + ")"
	case opIsNull:
		return "(" + args[0] + " IS NULL)"
	case opCase:
		return writeCase(args)
	case opDivide:
		return fmt.Sprintf(d.divide, args[0], args[1])
	case opRemainder:
		return fmt.Sprintf(d.remainder, args[0], args[1])
	case opQuotient:
		return fmt.Sprintf(d.quotient, args[0], args[1])
	case opUnscaled:
		return d.unscaled(args[0], t.n)
	case opScaled:
		return d.scaled(args[0], t.n)
	case opBinary:
		return fmt.Sprintf(d.binary, args[0])
	}
	return ""
}

func writeCase(args []string) string {
	var b strings.Builder
	b.WriteString("CASE")
	for i := 0; i+1 < len(args); i += 2 {
		b.WriteString(" WHEN " + args[i] + " THEN " + args[i+1])
	}
	b.WriteString(" ELSE " + args[len(args)-1] + " END")
	return b.String()
}

// scaled moves the point n digits to the left: 10050 with 2 is 100.50.
func (d *dialect) scaled(text string, n int) string {
	whole, scale := strconv.Itoa(38-n), strconv.Itoa(n)
	unit := "0." + strings.Repeat("0", n-1) + "1"
	return "CAST(CAST(" + text + " AS " + d.typ("DECIMAL("+whole+",0)") + ") * CAST('" + unit + "' AS " + d.typ("DECIMAL("+scale+","+scale+")") +
		") AS " + d.typ("DECIMAL(38,"+scale+")") + ")"
}
