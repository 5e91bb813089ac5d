package postgres

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pinflow/pinflow"
)

// mergeAfter is how many rows come to a period of a table, at the least, before they are merged.
const mergeAfter = 64 << 10

// growth is how the periods of a table of partials have grown, as far as this store has seen. It is no matter if
// it is forgotten: it only tells when merging is worth while.
type growth struct {
	mu      sync.Mutex
	periods map[pinflow.Period]*grown
}

// grown is how a period has grown since it was merged, and what it was then.
type grown struct {
	added, merged int64
	merging       chan struct{} // closed when it is done; nil if nobody is at it
}

// due notes rows that have come to a period. start means that the caller is to merge it, and then calls done; wait, if not nil, is what a caller waits for who
// adds faster than is merged.
func (g *growth) due(period pinflow.Period, rows, limit int64) (start bool, wait <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	at := g.periods[period]
	if at == nil {
		g.prune()
		at = &grown{}
		g.periods[period] = at
	}
	at.added += rows
	if limit <= 0 {
		limit = max(mergeAfter, at.merged)
	}
	switch {
	case at.added <= limit:
		return false, nil
	case at.merging == nil:
		at.merging = make(chan struct{})
		return true, nil
	case at.added > 4*max(limit, mergeAfter):
		return false, at.merging
	}
	return false, nil
}

// prune forgets periods to which nothing has come for long: few live ones are open at a time.
func (g *growth) prune() {
	const most = 64
	for period, at := range g.periods {
		if len(g.periods) < most {
			return
		}
		if at.merging == nil {
			delete(g.periods, period)
		}
	}
}

// done notes that a period was merged to so many rows. What came meanwhile counts towards the next time.
func (g *growth) done(period pinflow.Period, began, rows int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	at := g.periods[period]
	close(at.merging)
	*at = grown{added: at.added - began, merged: rows}
}

// added returns how many rows have come to a period since it was merged.
func (g *growth) added(period pinflow.Period) int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.periods[period].added
}

// grow has the periods merged to which enough has come. It runs after a commit that readers see already, so nothing that fails here
// loses anything: it is reported, and tried again once as much has come again.
func (s *Store) grow(ctx context.Context, g *generation, added map[*table]map[pinflow.Period]int64) {
	for t, periods := range added {
		for period, rows := range periods {
			start, wait := t.growth.due(period, rows, s.o.Merge)
			if start && !s.goBeside(func() { s.mergeBeside(g, t, period) }) {
				t.growth.done(period, 0, 0)
			}
			if wait == nil {
				continue
			}
			select {
			case <-wait:
			case <-ctx.Done():
			case <-s.ctx.Done():
			}
		}
	}
}

// mergeBeside merges a period while commits go on, one at a time.
func (s *Store) mergeBeside(g *generation, t *table, period pinflow.Period) {
	began, rows := t.growth.added(period), int64(0)
	defer func() { t.growth.done(period, began, rows) }()
	select {
	case s.merging <- struct{}{}:
		defer func() { <-s.merging }()
	case <-s.ctx.Done():
		return
	}
	start := time.Now()
	var err error
	if rows, err = s.merge(s.ctx, g, t, period); err == nil {
		s.metrics.merged(time.Since(start))
		err = s.clean(s.ctx, t)
	}
	if err != nil && s.ctx.Err() == nil {
		s.metrics.trouble()
		s.o.Log.Warn("recent rows were not merged, the metrics are exact all the same", "table", t.Name, "error", err)
	}
}

// clean frees the room of the rows that were merged at once: until the server gets round to it, the table would grow by as much again and again.
func (s *Store) clean(ctx context.Context, t *table) error {
	conn, err := s.acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	return s.patiently(ctx, conn.Conn(), func(ctx context.Context) error {
		return runOn(ctx, conn.Conn(), "VACUUM (SKIP_LOCKED, TRUNCATE false) "+t.name)
	})
}

// merge merges the rows of a period among themselves, as far as they are committed, and returns how many there are then. It goes beside commits, and not beside an
// install, which could miss what it moves.
func (s *Store) merge(ctx context.Context, g *generation, t *table, period pinflow.Period) (rows int64, err error) {
	err = s.writeLong(ctx, "merge recent rows", t.Name, func(tx pgx.Tx) error {
		var may bool
		err := s.answered(ctx, func(ctx context.Context) error {
			return tx.QueryRow(ctx, "SELECT pg_try_advisory_xact_lock_shared("+mergeLock+")", g.name).Scan(&may)
		})
		if err != nil || !may {
			return err
		}
		return s.patiently(ctx, tx.Conn(), func(ctx context.Context) error {
			tag, err := tx.Exec(ctx, "WITH taken AS (DELETE FROM "+t.name+" WHERE _period = $1 RETURNING *) INSERT INTO "+t.name+" "+t.mergedSQL("taken", ""), int64(period))
			rows = tag.RowsAffected()
			return err
		})
	})
	return rows, err
}

// mergeLock is the key of the advisory lock that keeps merges and installs of a generation, its parameter, apart.
const mergeLock = "hashtextextended('pinflow merge ' || $1, 0)"

// mergedSQL is a query of the rows of partials merged among themselves; of a Signed table without those of zeros.
func (t *table) mergedSQL(from, where string) string {
	keys := t.keyNames()
	all, having := append([]string(nil), keys...), ""
	for i := range t.Measures {
		m := &t.Measures[i]
		text := merged(m)
		if t.Signed {
			text = "coalesce(" + text + ", 0)"
		}
		all = append(all, text+" AS "+quote(m.Name))
	}
	if t.Signed {
		tests := make([]string, len(t.Measures))
		for i, m := range t.Measures {
			tests[i] = "coalesce(sum(" + quote(m.Name) + "), 0) <> 0"
		}
		having = " HAVING " + strings.Join(tests, " OR ")
	}
	return "SELECT " + list(all) + " FROM " + from + " AS m" + where + " GROUP BY " + list(keys) + having
}

// merged is the aggregate that makes one of the values of a measure.
func merged(m *pinflow.Measure) string {
	name := quote(m.Name)
	t, err := sqlType(m.Type)
	if err != nil {
		t = "text" // the table could not have been made
	}
	switch {
	case m.Merge == pinflow.Sum:
		return fmt.Sprintf("CAST(sum(%s) AS %s)", name, t)
	case t == "boolean":
		return map[pinflow.Merge]string{pinflow.Min: "bool_and", pinflow.Max: "bool_or"}[m.Merge] + "(" + name + ")"
	case t == "bytea":
		return "(array_agg(" + name + " ORDER BY " + name + map[pinflow.Merge]string{pinflow.Min: "", pinflow.Max: " DESC NULLS LAST"}[m.Merge] + "))[1]"
	}
	return string(m.Merge) + "(" + name + ")"
}

// keyNames are the columns that tell the rows of partials apart, quoted.
func (t *table) keyNames() []string {
	names := []string{`"_period"`, `"_shard"`}
	for _, k := range t.Keys {
		names = append(names, quote(k.Name))
	}
	return names
}
