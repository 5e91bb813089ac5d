package duckdb

import (
	"fmt"
	"strings"
	"unsafe"

	"github.com/duckdb/duckdb-go/v2"
	"github.com/duckdb/duckdb-go/v2/mapping"
)

// scalar is how one value is written.
type scalar uint8

const (
	varchar scalar = iota
	json
	bigint
	double
	boolean
	integer
	timestamptz // in microseconds
)

// size is how many bytes a value takes in a vector.
func (s scalar) size() int {
	switch s {
	case varchar, json:
		return textSize
	case boolean:
		return 1
	case integer:
		return 4
	}
	return 8
}

func (s scalar) duck() duckdb.Type {
	return [...]duckdb.Type{duckdb.TYPE_VARCHAR, duckdb.TYPE_VARCHAR, duckdb.TYPE_BIGINT, duckdb.TYPE_DOUBLE, duckdb.TYPE_BOOLEAN, duckdb.TYPE_INTEGER, duckdb.TYPE_TIMESTAMP_TZ}[s]
}

// kind is the type of a column.
type kind struct {
	scalar scalar
	list   bool
}

var asJSON = kind{scalar: json}

// columnOf returns how a column of a type that value.Schema gives is written.
func columnOf(typ string) (kind, duckdb.TypeInfo, error) {
	k := kind{list: strings.HasSuffix(typ, "[]")}
	switch strings.TrimSuffix(typ, "[]") {
	case "VARCHAR":
		k.scalar = varchar
	case "JSON":
		k.scalar = json
	case "BIGINT":
		k.scalar = bigint
	case "DOUBLE":
		k.scalar = double
	case "BOOLEAN":
		k.scalar = boolean
	case "INTEGER":
		k.scalar = integer
	case "TIMESTAMPTZ":
		k.scalar = timestamptz
	default:
		return k, nil, fmt.Errorf("no way to write a column of type %s", typ)
	}
	info, err := duckdb.NewTypeInfo(k.scalar.duck())
	if err == nil && k.list {
		info, err = duckdb.NewListInfo(info)
	}
	return k, info, err
}

// column is a column of a source: one of the schema's, or one of the engine's own.
type column struct {
	kind kind
	own  int // which of the engine's own, -1 for the schema's
}

// writer is where the values of a column go during one fill.
type writer struct {
	column
	index    int
	vector   mapping.Vector
	data     unsafe.Pointer
	validity unsafe.Pointer
	items    []byte // of lists: the items of all rows as they lie in the child vector
	nulls    []bool // by item
}

// flush writes the items of lists to the child vector, now that their number is known.
func (w *writer) flush() {
	n := len(w.nulls)
	if !w.kind.list || n == 0 {
		return
	}
	mapping.ListVectorReserve(w.vector, mapping.IdxT(n))
	mapping.ListVectorSetSize(w.vector, mapping.IdxT(n))
	child := mapping.ListVectorGetChild(w.vector)
	copy(unsafe.Slice((*byte)(mapping.VectorGetData(child)), len(w.items)), w.items)
	var validity unsafe.Pointer
	for i, null := range w.nulls {
		if !null {
			continue
		}
		if validity == nil {
			mapping.VectorEnsureValidityWritable(child)
			validity = mapping.VectorGetValidity(child)
		}
		setNull(validity, i)
	}
}
