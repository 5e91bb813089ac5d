package duckdb

import (
	encoding "encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/value"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TestHomeIsWhereKafkasClientsSendIt for text and integers, whatever the number of partitions.
func TestHomeIsWhereKafkasClientsSendIt(t *testing.T) {
	schema, faults := value.CompileSchema("s.json", encoding.RawMessage(`{"properties": {"text": {"type": ["string", "null"]}, "n": {"type": "integer"}}}`))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	r := rand.New(rand.NewPCG(1, 2))
	homeOf := func(field string, partitions int, v string) (int32, bool) {
		s := &pinflow.PlannedSource{Source: pinflow.Source{Key: field, Partitions: partitions}}
		return homesOf(s, schema).of(schema, []byte(v))
	}
	for range 500 {
		n, partitions, text := r.Int64()-r.Int64(), 1+r.IntN(20), make([]rune, r.IntN(9))
		for i := range text {
			text[i] = []rune{'a', 'é', '"', '\n', '中', rune('0' + r.IntN(10))}[r.IntN(6)]
		}
		quoted, _ := encoding.Marshal(string(text))
		v := fmt.Sprintf(`{"n": %d, "text": %s}`, n, quoted)
		for field, key := range map[string]string{"n": fmt.Sprint(n), "text": string(text)} {
			want := int32(kgo.StickyKeyPartitioner(nil).ForTopic("t").Partition(&kgo.Record{Key: []byte(key)}, partitions))
			if got, ok := homeOf(field, partitions, v); !ok || got != want {
				t.Fatalf("home of %q among %d partitions is %d, %v, want %d", key, partitions, got, ok, want)
			}
		}
	}
	zero, _ := homeOf("n", 1000, `{"n": 0}`)
	if got, _ := homeOf("n", 1000, `{"n": -0}`); got != zero {
		t.Errorf("the home of -0 is %d, that of 0 %d", got, zero)
	}
	for _, v := range []string{`{}`, `{"text": null}`} {
		if _, ok := homeOf("text", 7, v); ok {
			t.Errorf("%s has a home", v)
		}
		if got, ok := homeOf("text", 1, v); !ok || got != 0 {
			t.Errorf("of one partition, the home of %s is %d, %v", v, got, ok)
		}
	}
}
