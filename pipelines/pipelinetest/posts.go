package pipelinetest

import (
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/protocol"
	"github.com/pinflow/pinflow/value"
)

// IdempotencyKey is the header by which the model requests tells what was sent again.
const IdempotencyKey = "Idempotency-Key"

// Posts returns n records of a source as its topic gets them, without offsets and times, the same ones for the same seed. The values
// are those of Records, so that keys come again with other values. Mostly a record lies in its home partition with the source's
// key as its own; about one in fifteen lies elsewhere. About one in eight is an earlier one sent again, header and all; half of
// the others bear IdempotencyKey, and many of those an id that came before with another value. Of requests, many have no id at all.
func Posts(t testing.TB, seed uint64, source string, n int) []pinflow.Record {
	t.Helper()
	p := poster{r: rand.New(rand.NewPCG(seed, 1)), ids: n/4 + 1}
	for _, s := range Definition(t).Sources {
		if s.Name == source {
			p.source = s
		}
	}
	schema, faults := value.CompileSchema(p.source.SchemaFile, p.source.Schema)
	if len(faults) > 0 {
		t.Fatal(source, faults)
	}
	p.schema = schema
	all := make([]pinflow.Record, 0, n)
	for _, v := range Records(seed, source, n) {
		if len(all) > 0 && p.r.IntN(8) == 0 {
			all = append(all, all[p.r.IntN(len(all))])
			continue
		}
		all = append(all, p.record(v))
	}
	return all
}

// poster makes records of values.
type poster struct {
	r      *rand.Rand
	source pinflow.Source
	schema *value.Schema
	ids    int // how many there are
}

func (p *poster) record(v []byte) pinflow.Record {
	record := pinflow.Record{Topic: p.source.Topic, Partition: p.anywhere(), Value: v}
	if p.schema.Check(v) == nil {
		if key, ok := p.schema.KeyOf(v, p.source.Key); ok && p.r.IntN(15) > 0 {
			record.Key, record.Partition = key, protocol.Home(key, p.source.Partitions)
		}
	}
	switch p.r.IntN(20) {
	case 0:
		record.Key = nil
	case 1:
		record.Key = []byte("\xff of its own")
	}
	record.Headers = p.headers()
	return record
}

func (p *poster) anywhere() int32 { return int32(p.r.IntN(p.source.Partitions)) }

func (p *poster) headers() (all []pinflow.Header) {
	for p.r.IntN(4) == 0 {
		all = append(all, pinflow.Header{Key: pick(p.r, "trace", "", "é\"", "idempotency"), Value: pick(p.r, nil, []byte{}, []byte("a\n\x00"), []byte("\xff"))})
	}
	if p.r.IntN(2) == 0 {
		id := []byte("r" + strconv.Itoa(p.r.IntN(p.ids)))
		all = append(all, pinflow.Header{Key: pick(p.r, IdempotencyKey, IdempotencyKey, "idempotency-key"), Value: pick(p.r, id, id, id, id, id, nil, []byte("\xfe"))})
	}
	return all
}
