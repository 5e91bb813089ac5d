package pipelinetest_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/pinflow/pinflow/pipelines/pipelinetest"
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
