package duckdb

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/pinflow/pinflow/value"
)

// rejects are the rows of pinflow.RejectsTable, a relation in Go's memory. Payloads are the records' own bytes.
type rejects [][]any

// Scan implements pinflow.Relation.
func (r rejects) Scan(ctx context.Context, f func(row []any) error) error {
	for _, row := range r {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := f(row); err != nil {
			return err
		}
	}
	return nil
}

// findRejects adds the rejects of a model: records against the schema, those for which cleaning says so, and
// those for which SQL has failed.
func (b *bench) findRejects(ctx context.Context, m *model, to *rejects) error {
	reasons := maps.Clone(m.source.wrong)
	maps.Copy(reasons, m.cleaning.failed)
	rows, err := b.conn.QueryContext(ctx, "SELECT _partition, _offset, _reject FROM "+m.table+" WHERE _reject IS NOT NULL")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var partition int32
		var offset int64
		var reason string
		if err := rows.Scan(&partition, &offset, &reason); err != nil {
			return err
		}
		number, err := m.source.numbered.find(partition, offset)
		if err != nil {
			return err
		}
		reasons[number] = bounded(reason)
	}
	for _, number := range slices.Sorted(maps.Keys(reasons)) {
		s, i := m.source.numbered.at(number)
		r := &s.Records[i]
		var payload any // NULL for a tombstone, and for the empty value from which the lake does not tell it
		if len(r.Value) > 0 {
			payload = r.Value
		}
		*to = append(*to, []any{m.Name, r.Topic, r.Partition, r.Offset, int64(s.Periods[i]), time.UnixMilli(value.Time(r.Timestamp)).UTC(), reasons[number], payload})
	}
	return rows.Err()
}

// reasonOf joins faults.
func reasonOf(faults []value.Fault) string {
	texts := make([]string, len(faults))
	for i, f := range faults {
		texts[i] = f.String()
	}
	return bounded(strings.Join(texts, "; "))
}
