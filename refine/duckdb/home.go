package duckdb

import (
	"slices"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/protocol"
	"github.com/pinflow/pinflow/value"
)

// homes tells in which partition the records of each key value of a source belong.
type homes struct {
	field      string // of the source's key, "" for none
	integer    bool   // the key is a BIGINT
	partitions int
}

func homesOf(p *pinflow.PlannedSource, schema *value.Schema) homes {
	return homes{p.Key, slices.Contains(schema.Columns(), pinflow.Column{Name: p.Key, Type: "BIGINT"}), max(p.Partitions, 1)}
}

// of returns the home of an accepted value. One without a key has none, where there is a choice.
func (h homes) of(schema *value.Schema, v []byte) (int32, bool) {
	if h.field == "" || h.partitions == 1 {
		return 0, true
	}
	key, ok := schema.KeyOf(v, h.field)
	if !ok {
		return 0, false
	}
	if h.integer && string(key) == "-0" { // the only integer that is written in two ways
		key = key[1:]
	}
	return protocol.Home(key, h.partitions), true
}
