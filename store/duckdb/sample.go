package duckdb

import (
	"context"
	"fmt"
	"strings"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
)

// maxSamples is how many differing rows of a table are recorded.
const maxSamples = 20

// samples returns the first rows that differ as JSON.
func (i *install) samples(ctx context.Context, diff string, c contest) ([]pinflow.Divergence, error) {
	list := strings.Join(c.keys, ", ")
	few := fmt.Sprintf(`(SELECT *, row_number() OVER (ORDER BY %s) - 1 AS "_pinflow_i" FROM (SELECT * FROM %s ORDER BY %[1]s LIMIT %[3]d))`, list, diff, maxSamples)
	same := sameOf("_pinflow_x", "d", c.keys)
	rows, err := i.s.o.Instance.DB.QueryContext(ctx, fmt.Sprintf(`WITH d AS MATERIALIZED %s
		SELECT d."_pinflow_i", 0, to_json(_pinflow_x)::VARCHAR FROM d JOIN %s AS _pinflow_x ON %s
		UNION ALL SELECT d."_pinflow_i", 1, to_json(_pinflow_x)::VARCHAR FROM d JOIN %s AS _pinflow_x ON %[3]s`, few, c.live, same, c.batch))
	if err != nil {
		return nil, err
	}
	samples := make([]pinflow.Divergence, maxSamples)
	n := 0
	err = duck.EachRow(rows, func(row []any) error {
		at := &samples[row[0].(int64)]
		n = max(n, int(row[0].(int64))+1)
		if row[1].(int32) == 0 {
			at.Live = row[2].(string)
		} else {
			at.Batch = row[2].(string)
		}
		return nil
	})
	return samples[:n], err
}

// sameOf is the condition that two rows have the same values in some columns, NULL being one.
func sameOf(a, b string, columns []string) string {
	conditions := make([]string, len(columns))
	for j, c := range columns {
		conditions[j] = a + "." + c + " IS NOT DISTINCT FROM " + b + "." + c
	}
	return strings.Join(conditions, " AND ")
}
