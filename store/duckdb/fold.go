package duckdb

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
)

// maintain keeps tables and log small. It runs after a commit that readers see already, so nothing that fails here
// loses anything: it is reported, and tried again once as much has come again.
func (s *Store) maintain(ctx context.Context, g *generation) {
	if ctx.Err() != nil {
		return
	}
	// It is short, and what is begun is ended: an interrupted checkpoint would have to be begun anew.
	ctx = context.WithoutCancel(ctx)
	for _, t := range g.tables {
		if t.Kind == pinflow.Entities {
			if t.replaced(s.o.Recent) {
				s.maintainBy(s.compact, ctx, t, "a table was not made anew, its rows are right all the same")
			}
			continue
		}
		if t.recent <= max(s.recentLimit(t), t.retry) {
			continue
		}
		s.maintainBy(s.fold, ctx, t, "recent rows were not merged, the metrics are exact all the same")
	}
	if err := s.checkpointIfLong(ctx); err != nil {
		s.metrics.trouble()
		s.o.Log.Warn("the write-ahead log was not folded into the store's file", "file", s.file, "error", err)
	}
}

// maintainBy does one thing for a table, and says so if it fails.
func (s *Store) maintainBy(do func(context.Context, *table) error, ctx context.Context, t *table, failed string) {
	if err := do(ctx, t); err != nil {
		t.retry = 2 * t.recent
		s.metrics.trouble()
		s.o.Log.Warn(failed, "table", t.Name, "rows", t.recent, "error", err)
	}
}

// recentLimit is after how many recent rows a table is folded: often enough that reading stays
// fast, seldom enough that looking through the merged rows does not weigh.
func (s *Store) recentLimit(t *table) int64 {
	if s.o.Recent > 0 {
		return s.o.Recent
	}
	return max(32<<10, t.merged/8)
}

// fold moves the recent rows of a table into its merged ones, in one transaction.
func (s *Store) fold(ctx context.Context, t *table) error {
	var inserted int64
	start := time.Now()
	err := s.write(ctx, "merge recent rows", t.Name, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, t.groupSQL()); err != nil {
			return err
		}
		nulls, err := t.nullKeys(ctx, tx)
		if err != nil {
			return err
		}
		// The table of recent rows is made anew rather than emptied: deleted rows would be scanned until the next checkpoint.
		for _, statement := range []string{t.updateSQL(nulls), "CREATE OR REPLACE TABLE " + t.part("recent") + " " + storedList(t.columns())} {
			if statement == "" {
				continue
			}
			if _, err := tx.ExecContext(ctx, statement); err != nil {
				return err
			}
		}
		result, err := tx.ExecContext(ctx, t.insertSQL(nulls))
		if err != nil {
			return err
		}
		if inserted, err = result.RowsAffected(); err != nil {
			return err
		}
		if t.Signed {
			if _, err := tx.ExecContext(ctx, t.forgetSQL(nulls)); err != nil {
				return err
			}
		}
		_, err = tx.ExecContext(ctx, "DROP TABLE temp."+folding)
		return err
	})
	if err != nil {
		return err
	}
	s.metrics.folded(time.Since(start))
	t.recent, t.retry = 0, 0
	t.merged += inserted
	t.folds++
	return nil
}

// folding is the temporary table of the recent rows, merged among themselves.
const folding = "_pinflow_folding"

// groupSQL merges the recent rows among themselves.
func (t *table) groupSQL() string {
	keys := t.keyNames()
	list := append([]string(nil), keys...)
	for _, m := range t.Measures {
		name := duck.Quote(m.Name)
		list = append(list, fmt.Sprintf("%s(%s)::%s AS %s", m.Merge, name, m.Type, name))
	}
	return fmt.Sprintf("CREATE OR REPLACE TEMP TABLE %s AS SELECT %s FROM %s GROUP BY %s",
		folding, strings.Join(list, ", "), t.part("recent"), strings.Join(keys, ", "))
}

// nullKeys tells which keys are NULL in some row that is folded. The others are joined by plain equality, which
// lets DuckDB skip the row groups whose keys are out of range.
func (t *table) nullKeys(ctx context.Context, tx *sql.Tx) ([]bool, error) {
	keys := t.keyNames()
	tests, nulls, into := make([]string, len(keys)), make([]bool, len(keys)), make([]any, len(keys))
	for i, k := range keys {
		tests[i], into[i] = "count(*) <> count("+k+")", &nulls[i]
	}
	err := tx.QueryRowContext(ctx, "SELECT "+strings.Join(tests, ", ")+" FROM temp."+folding).Scan(into...)
	return nulls, err
}

// updateSQL merges what is folded into the rows that have its keys already; "" for a set.
func (t *table) updateSQL(nulls []bool) string {
	if len(t.Measures) == 0 {
		return ""
	}
	sets := make([]string, len(t.Measures))
	for i, m := range t.Measures {
		sets[i] = mergeExpression(m)
	}
	return fmt.Sprintf("UPDATE %s AS m SET %s FROM temp.%s AS f WHERE %s", t.part("merged"), strings.Join(sets, ", "), folding, t.sameKeys(nulls))
}

func mergeExpression(m pinflow.Measure) string {
	name := duck.Quote(m.Name)
	switch m.Merge {
	case pinflow.Min:
		return fmt.Sprintf("%[1]s = CASE WHEN m.%[1]s IS NULL OR f.%[1]s < m.%[1]s THEN f.%[1]s ELSE m.%[1]s END", name)
	case pinflow.Max:
		return fmt.Sprintf("%[1]s = CASE WHEN m.%[1]s IS NULL OR f.%[1]s > m.%[1]s THEN f.%[1]s ELSE m.%[1]s END", name)
	default:
		return fmt.Sprintf("%[1]s = coalesce(m.%[1]s + f.%[1]s, m.%[1]s, f.%[1]s)::%[2]s", name, m.Type)
	}
}

// insertSQL adds what is folded and has new keys.
func (t *table) insertSQL(nulls []bool) string {
	return fmt.Sprintf("INSERT INTO %[1]s SELECT f.* FROM temp.%[2]s AS f WHERE NOT EXISTS (SELECT 1 FROM %[1]s AS m WHERE %[3]s)",
		t.part("merged"), folding, t.sameKeys(nulls))
}

// forgetSQL removes the merged rows of a Signed table that what was folded has made rows of zeros.
func (t *table) forgetSQL(nulls []bool) string {
	return fmt.Sprintf("DELETE FROM %s AS m USING temp.%s AS f WHERE %s AND NOT (%s)", t.part("merged"), folding, t.sameKeys(nulls), t.counts("m."))
}

// counts is a condition on merged rows of a Signed table: that some measure is not zero.
func (t *table) counts(alias string) string {
	tests := make([]string, len(t.Measures))
	for i, m := range t.Measures {
		tests[i] = "coalesce(" + alias + duck.Quote(m.Name) + ", 0) <> 0"
	}
	return strings.Join(tests, " OR ")
}

func (t *table) sameKeys(nulls []bool) string {
	conditions := t.keyNames()
	for i, k := range conditions {
		op := "="
		if nulls[i] {
			op = "IS NOT DISTINCT FROM"
		}
		conditions[i] = "m." + k + " " + op + " f." + k
	}
	return strings.Join(conditions, " AND ")
}

// keyNames are the columns that tell the rows of partials apart, quoted.
func (t *table) keyNames() []string {
	names := []string{`"_period"`, `"_shard"`}
	for _, k := range t.Keys {
		names = append(names, duck.Quote(k.Name))
	}
	return names
}
