package audit

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
)

// installationOf is the period as an installation: the rows of its pieces merged.
func (t *tail) installationOf(p pinflow.Period) (pinflow.Installation, error) {
	own := t.periods[p]
	var parts []pinflow.Part
	for _, m := range own.pieces {
		parts = append(parts, m.Parts...)
	}
	var ranges []pinflow.InstalledRange
	for _, tp := range slices.SortedFunc(maps.Keys(t.at), pinflow.TopicPartition.Compare) {
		if r := own.ranges[tp]; r != nil {
			ranges = append(ranges, *r)
		} else {
			ranges = append(ranges, pinflow.InstalledRange{TopicPartition: tp, Start: t.at[tp], End: t.at[tp]})
		}
	}
	in := t.installation(p, ranges, parts, t.state)
	if len(own.pieces) == 1 {
		return in, nil
	}
	for i := range in.Added {
		rows, ok := in.Added[i].Rows.(*duck.Table)
		if !ok {
			return in, &pinflow.Error{Op: "audit", On: in.Added[i].Table, Kind: pinflow.Invalid, Err: errors.New("the files are not read by DuckDB")}
		}
		merged := *rows
		merged.Name = mergedRows(rows.Name, t.Plan.Table(in.Added[i].Table))
		in.Added[i].Rows = &merged
	}
	return in, nil
}

// mergedRows is the rows of a table that several pieces of one period make together, as a subquery.
func mergedRows(rows string, t *pinflow.Table) string {
	switch t.Kind {
	case pinflow.Partials:
		groups, columns := []string{"_period", "_shard"}, []string{"_period", "_shard"}
		for _, k := range t.Keys {
			groups, columns = append(groups, duck.Quote(k.Name)), append(columns, duck.Quote(k.Name))
		}
		for _, m := range t.Measures {
			columns = append(columns, fmt.Sprintf("CAST(%s(%s) AS %s) AS %s", m.Merge, duck.Quote(m.Name), m.Type, duck.Quote(m.Name)))
		}
		return "(SELECT " + strings.Join(columns, ", ") + " FROM " + rows + " AS t GROUP BY " + strings.Join(groups, ", ") + ")"
	case pinflow.Entities:
		keys := make([]string, len(t.Key))
		for i, k := range t.Key {
			keys[i] = duck.Quote(k)
		}
		last := "DESC"
		if t.Keep == "first" {
			last = "ASC"
		}
		return "(SELECT * FROM " + rows + " AS t QUALIFY row_number() OVER (PARTITION BY " + strings.Join(keys, ", ") + " ORDER BY _offset " + last + ") = 1)"
	}
	return rows
}
