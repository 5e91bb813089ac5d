package value

import (
	"iter"
)

// Cell is where the value of a column stands in a record's value, as CheckCells found it. Its methods take the
// value that it was found in, and give what DuckDB's read_json gives for a column of the type that they name. They are
// for accepted values: of a cell whose value is of another type they give nonsense.
type Cell struct{ token token }

// CheckCells is Check that notes on its way where the values of the columns stand: cells[i] becomes that of
// Columns()[i]. There must be as many. Of a value that is not accepted the cells mean nothing.
func (s *Schema) CheckCells(v []byte, cells []Cell) []Fault {
	clear(cells)
	return s.check(v, cells)
}

// IsNull tells whether the field is absent or null.
func (c *Cell) IsNull() bool { return c.token.kind == 0 || c.token.kind == 'n' }

// Bool returns a BOOLEAN.
func (c *Cell) Bool() bool { return c.token.kind == 't' }

// Int returns a BIGINT.
func (c *Cell) Int(v []byte) int64 {
	n, _ := int64Of(v[c.token.start:c.token.end])
	return n
}

// Float returns a DOUBLE. An integer's -0 is 0.
func (c *Cell) Float(v []byte) float64 {
	f := floatOf(v[c.token.start:c.token.end])
	if f == 0 && !c.token.fraction {
		return 0
	}
	return f
}

// Len returns how many bytes the value takes as it is written; AppendText never appends more.
func (c *Cell) Len() int { return c.token.end - c.token.start }

// AppendText appends a VARCHAR: what a string stands for.
func (c *Cell) AppendText(dst, v []byte) []byte {
	inner := v[c.token.start+1 : c.token.end-1]
	if c.token.escaped {
		return unescape(dst, inner)
	}
	return append(dst, inner...)
}

// JSON returns the value as it is written.
func (c *Cell) JSON(v []byte) []byte { return v[c.token.start:c.token.end] }

// Items yields the items of a list.
func (c *Cell) Items(v []byte) iter.Seq[Cell] {
	return func(yield func(Cell) bool) {
		for all := itemsOf(v, &c.token); all.next(); {
			if !yield(Cell{all.item}) {
				return
			}
		}
	}
}
