package refinetest

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
	"github.com/pinflow/pinflow/value"
	"github.com/twmb/franz-go/pkg/kgo"
)

// keep makes of a model's rows, which lie in the order of partitions and offsets, those that count: with a whole key, of a
// record in its home partition, and of each key the latest or the first.
func (o *Oracle) keep(s *pinflow.Source, m pinflow.ModelScript, records []*pinflow.Record) {
	o.db.t.Helper()
	home := homeOf(s)
	keys := make([]string, len(m.Key))
	for i, name := range m.Key {
		keys[i] = "CAST(" + duck.Quote(name) + " AS VARCHAR)"
	}
	rows := o.db.query("SELECT " + strings.Join(keys, ", ") + " FROM " + m.Name + " ORDER BY rowid")
	whole := o.db.query("SELECT CAST(" + strings.Join(keys, " IS NOT NULL AND ") + " IS NOT NULL AS VARCHAR) FROM " + m.Name + " ORDER BY rowid")
	if len(rows) != len(records) {
		o.db.t.Fatalf("%d rows of %s, of %d records", len(rows), m.Name, len(records))
	}
	standing := map[string]int{}
	for i, row := range rows {
		if whole[i][0] != "true" || home(records[i].Value) != records[i].Partition {
			o.Rejected[m.Name][records[i].Position()] = true
			continue
		}
		key := fmt.Sprintf("%q", row)
		if _, known := standing[key]; !known || m.Keep != "first" {
			standing[key] = i
		}
	}
	kept := []string{"-1"}
	for _, i := range standing {
		kept = append(kept, strconv.Itoa(i))
	}
	o.db.exec("DELETE FROM " + m.Name + " WHERE rowid NOT IN (" + strings.Join(kept, ", ") + ")")
}

// homeOf tells to which partition Kafka's own clients send a record of a value's key, -1 if it has none.
func homeOf(s *pinflow.Source) func(v []byte) int32 {
	schema, faults := value.CompileSchema(s.SchemaFile, s.Schema)
	kafka := kgo.StickyKeyPartitioner(nil).ForTopic(s.Topic)
	return func(v []byte) int32 {
		if len(faults) > 0 || schema.Check(v) != nil {
			return -1
		}
		key, ok := schema.KeyOf(v, s.Key)
		if !ok {
			return -1
		}
		return int32(kafka.Partition(&kgo.Record{Key: key}, max(s.Partitions, 1)))
	}
}
