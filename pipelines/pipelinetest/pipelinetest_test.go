package pipelinetest_test

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/pipelines/pipelinetest"
	"github.com/pinflow/pinflow/protocol"
	"github.com/pinflow/pinflow/value"
)

// TestRecords: the same seed gives the same records, another others, and both sorts of them are there.
func TestRecords(t *testing.T) {
	for _, s := range pipelinetest.Definition(t).Sources {
		schema, faults := value.CompileSchema(s.SchemaFile, s.Schema)
		if len(faults) > 0 {
			t.Fatal(faults)
		}
		all := pipelinetest.Records(1, s.Name, 2000)
		if !slices.EqualFunc(all, pipelinetest.Records(1, s.Name, 2000), bytes.Equal) {
			t.Errorf("%s: the same seed gives other records", s.Name)
		}
		if slices.EqualFunc(all, pipelinetest.Records(2, s.Name, 2000), bytes.Equal) {
			t.Errorf("%s: another seed gives the same records", s.Name)
		}
		refused, keys := 0, map[string]bool{}
		for _, v := range all {
			if schema.Check(v) != nil {
				refused++
				continue
			}
			key, ok := schema.KeyOf(v, s.Key)
			if ok != (s.Key != "") {
				t.Errorf("%s has no key: %s", s.Name, v)
			}
			keys[string(key)] = true
		}
		if share := float64(refused) / 2000; share < 1.0/15 || share > 1.0/9 {
			t.Errorf("%s: %.3f of the records are refused, not one in twelve", s.Name, share)
		}
		if s.Key != "" && len(keys) < 8 {
			t.Errorf("%s has %d keys only", s.Name, len(keys))
		}
	}
}

// TestPosts: keys come again with other values and with the same, in their home and elsewhere, with ids and without.
func TestPosts(t *testing.T) {
	for _, s := range pipelinetest.Definition(t).Sources {
		schema, _ := value.CompileSchema(s.SchemaFile, s.Schema)
		all := pipelinetest.Posts(t, 1, s.Name, 2000)
		if !reflect.DeepEqual(all, pipelinetest.Posts(t, 1, s.Name, 2000)) {
			t.Errorf("%s: the same seed gives other records", s.Name)
		}
		elsewhere, ids, again, sent, changed := 0, 0, 0, map[string]bool{}, map[string][]byte{}
		moved := 0
		for _, r := range all {
			if r.Topic != s.Topic || int(r.Partition) >= s.Partitions || r.Partition < 0 {
				t.Fatalf("%+v", r)
			}
			if schema.Check(r.Value) != nil {
				continue
			}
			whole := fmt.Sprint(r)
			if sent[whole] {
				again++
			}
			sent[whole] = true
			if slices.ContainsFunc(r.Headers, func(h pinflow.Header) bool { return strings.EqualFold(h.Key, pipelinetest.IdempotencyKey) }) {
				ids++
			}
			key, _ := schema.KeyOf(r.Value, s.Key)
			if protocol.Home(key, s.Partitions) != r.Partition {
				elsewhere++
			}
			if before, ok := changed[string(key)]; ok && !bytes.Equal(before, r.Value) {
				moved++
			}
			changed[string(key)] = r.Value
		}
		for what, n := range map[string][2]int{"elsewhere": {elsewhere, 40}, "with an id": {ids, 600}, "sent again": {again, 150}, "that change a key's values": {moved, 1000}} {
			if n[0] < n[1] || n[0] > 1900 {
				t.Errorf("%s: %d records are %s", s.Name, n[0], what)
			}
		}
	}
}
