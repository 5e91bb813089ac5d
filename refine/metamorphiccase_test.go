package refine_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/refine/plan"
	"github.com/pinflow/pinflow/refine/refinetest"
)

// marks is a definition that has one of everything and no more: a model without a key, one that keeps the latest row of a key, one that
// keeps the first, metrics over each that move between groups, a set, a report. It costs a fraction of what the others do.
func marks(t *testing.T, rows string) refinetest.Case {
	t.Helper()
	script := func(name, sql string) pinflow.Script {
		return pinflow.Script{Name: name, File: name + ".sql", SQL: sql}
	}
	d := &pinflow.Definition{
		Name: "marks",
		Sources: []pinflow.Source{{Name: "mark", Topic: "marks", Partitions: 3, Key: "id", SchemaFile: "mark.json",
			Schema: json.RawMessage(`{"type": "object", "properties": {"id": {"type": "string"}, "kind": {"type": "string"}, "n": {"type": "integer"}}, "required": ["id", "n"], "additionalProperties": false}`)}},
		Models: []pinflow.ModelScript{
			{From: "mark", Rows: rows, Script: script("marks", "SELECT id, kind, n, _timestamp AS at, CASE WHEN n < 0 THEN 'negative' END AS _reject FROM mark")},
			{From: "mark", Rows: "all", Key: []string{"id"}, Keep: "latest", Script: script("current", "SELECT id, kind, n, CASE WHEN n = 13 THEN 'unlucky' END AS _reject FROM mark")},
			{From: "mark", Rows: "all", Key: []string{"id", "kind"}, Keep: "first", Script: script("firsts", "SELECT id, kind, n FROM mark")},
		},
		Metrics: []pinflow.Script{
			script("by_kind", "-- Marks by kind.\nSELECT kind, count(*) AS marks, sum(n) AS total, max(n) AS most, count(DISTINCT id) AS ids FROM marks GROUP BY kind"),
			script("current_by_kind", "-- Where the ids are now.\nSELECT kind, count(*) AS ids, sum(n) AS total, count(DISTINCT n) AS numbers, round(100.0 * count(*) FILTER (n > 5) / count(*), 2) AS large FROM current GROUP BY kind"),
			script("firsts_by_number", "-- Firsts by number.\nSELECT n, count(*) AS firsts, count(kind) AS kinds FROM firsts GROUP BY n"),
		},
		Reports: []pinflow.Script{script("often", "-- The ids with the most marks.\nSELECT id, count(*) AS marks, median(n) AS middle FROM marks GROUP BY id ORDER BY marks DESC, id LIMIT 3"),
			script("spread", "-- How many ids there are of a kind.\nSELECT c.kind, count(*) AS ids, max(b.marks) AS marks FROM current c LEFT JOIN by_kind b ON b.kind IS NOT DISTINCT FROM c.kind GROUP BY c.kind")},
	}
	p, faults, err := plan.Compile(t.Context(), d)
	if err != nil || len(faults) > 0 {
		t.Fatal(faults, err)
	}
	return refinetest.Case{Name: "marks", Definition: d, Plan: p, Values: mark}
}

// mark is a value to post: few ids, so that they meet often, and now and then what is to be rejected.
func mark(r *rand.Rand, _ string) []byte {
	switch r.IntN(25) {
	case 0:
		return pickOf(r, nil, []byte("{"), []byte(`{"id": 1, "n": 2}`), []byte(`{"id": "a"}`), []byte(`[]`))
	case 1:
		return fmt.Appendf(nil, `{"id": "id %d", "n": %d, "extra": true}`, r.IntN(9), r.IntN(20))
	case 2, 3, 4:
		return fmt.Appendf(nil, `{"n": %d, "id": "id %d"}`, r.IntN(22)-2, r.IntN(9))
	}
	return fmt.Appendf(nil, `{"id": "id %d", "kind": "%s", "n": %d}`, r.IntN(9), pickOf(r, "a", "b", "c"), r.IntN(22)-2)
}

// small leaves amounts out that are so large that the definition's own SQL, which computes in DOUBLE, is wrong about their differences.
func small(c refinetest.Case) refinetest.Case {
	values := c.Values
	c.Values = func(r *rand.Rand, source string) []byte {
		for {
			if v := values(r, source); !bytes.Contains(v, []byte("9999999999999999")) {
				return v
			}
		}
	}
	return c
}
