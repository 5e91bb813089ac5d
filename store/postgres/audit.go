package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/protocol"
)

// storedPart is a part as the store remembers it: with the file that SQL reads.
type storedPart struct {
	pinflow.Part
	At string `json:"file,omitempty"`
}

func storeParts(parts []pinflow.Part) []storedPart {
	stored := make([]storedPart, len(parts))
	for i, p := range parts {
		stored[i] = storedPart{p, p.File}
	}
	return stored
}

func partsOf(stored []storedPart) []pinflow.Part {
	parts := make([]pinflow.Part, len(stored))
	for i, p := range stored {
		parts[i] = p.Part
		parts[i].File = p.At
	}
	return parts
}

// record notes that the period is installed.
func (i *install) record(b *pgx.Batch) error {
	ranges, err := json.Marshal(i.in.Ranges)
	if err != nil {
		return err
	}
	parts, err := json.Marshal(storeParts(i.in.Parts))
	if err != nil {
		return err
	}
	b.Queue(`INSERT INTO _pinflow.installed VALUES ($1, $2, now(), $3, $4)
		ON CONFLICT (generation, period) DO UPDATE SET installed_at = excluded.installed_at, ranges = excluded.ranges, parts = excluded.parts`, i.g.name, int64(i.in.Period), string(ranges), string(parts))
	return nil
}

// comparison is the outcome of all tables together.
func (i *install) comparison(why string) *pinflow.Comparison {
	c := &pinflow.Comparison{Generation: i.in.Generation, Period: i.in.Period, At: time.Now().UTC().Truncate(time.Microsecond), Why: why}
	for _, t := range i.g.order {
		o := i.compared[t.Name]
		if o == nil || o.rows == 0 {
			continue
		}
		c.Rows, c.Differing = c.Rows+o.rows, c.Differing+o.differing
		c.Tables = append(c.Tables, pinflow.TableComparison{Table: t.Name, Rows: o.rows, Differing: o.differing, Samples: o.samples})
	}
	return c
}

// recordComparison notes c for good, and gives it its number.
func recordComparison(b *pgx.Batch, c *pinflow.Comparison) error {
	tables, err := json.Marshal(c.Tables)
	if err != nil {
		return err
	}
	b.Queue(`INSERT INTO _pinflow.comparisons (generation, period, compared_at, why, "rows", differing, tables, acknowledged) VALUES ($1, $2, $3, $4, $5, $6, $7, false) RETURNING id`,
		c.Generation, int64(c.Period), c.At, c.Why, c.Rows, c.Differing, string(tables)).QueryRow(func(row pgx.Row) error { return row.Scan(&c.ID) })
	return nil
}

// Compare implements pinflow.AuditStore. The partials are those of all periods from in.Period up to in.Next.
func (s *Store) Compare(ctx context.Context, in pinflow.Installation, record bool) (c *pinflow.Comparison, err error) {
	i := &install{s: s, op: "compare periods", in: in, all: true}
	err = i.on(ctx, func() (err error) { c, err = i.compareOnly(ctx, record); return err })
	return c, err
}

func (i *install) compareOnly(ctx context.Context, record bool) (*pinflow.Comparison, error) {
	why, err := i.ready(ctx)
	if err != nil {
		return nil, err
	}
	if err := i.place(ctx); err != nil {
		return nil, err
	}
	if why == "" { // on one snapshot, beside which an install may go on: it changes nothing of what was there
		if err := i.compare(ctx); err != nil {
			return nil, err
		}
	}
	c := i.comparison(why)
	if !record {
		return c, nil
	}
	b := &pgx.Batch{}
	if err := recordComparison(b, c); err != nil {
		return nil, err
	}
	return c, i.s.answered(ctx, func(ctx context.Context) error { return i.conn.SendBatch(ctx, b).Close() })
}

// ready tells why nothing can be compared, "" if it can.
func (i *install) ready(ctx context.Context) (why string, err error) {
	var at map[pinflow.TopicPartition]pinflow.Progress
	err = i.s.answered(ctx, func(ctx context.Context) (err error) {
		at, err = progress(ctx, i.conn, ofGeneration, i.g.name)
		return err
	})
	return protocol.PlanInstall(at, i.ranges, i.in.Next, false, true).Why, err
}

// Installed implements pinflow.BatchStore and pinflow.AuditStore.
func (s *Store) Installed(ctx context.Context, generation string) (all []pinflow.Installed, err error) {
	err = s.look(ctx, "read installed periods", generation, func(tx pgx.Tx) (err error) {
		all, err = installed(ctx, tx, generation)
		return err
	})
	return all, err
}

// installed reads a generation's installed periods, oldest first.
func installed(ctx context.Context, q querier, generation string) (all []pinflow.Installed, err error) {
	rows, err := q.Query(ctx, "SELECT period, installed_at, ranges, parts FROM _pinflow.installed WHERE generation = $1 ORDER BY period", generation)
	if err != nil {
		return nil, err
	}
	var period pinflow.Period
	var at time.Time
	var ranges, parts string
	_, err = pgx.ForEachRow(rows, []any{&period, &at, &ranges, &parts}, func() error {
		one := pinflow.Installed{Period: period, At: at.UTC()}
		var stored []storedPart
		if err := errors.Join(json.Unmarshal([]byte(ranges), &one.Ranges), json.Unmarshal([]byte(parts), &stored)); err != nil {
			return err
		}
		one.Parts = partsOf(stored)
		all = append(all, one)
		return nil
	})
	return all, err
}

// Comparisons implements pinflow.AuditStore.
func (s *Store) Comparisons(ctx context.Context, generation string) (all []pinflow.Comparison, err error) {
	err = s.look(ctx, "read comparisons", generation, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT id, period, compared_at, why, "rows", differing, tables, acknowledged FROM _pinflow.comparisons WHERE generation = $1 ORDER BY id`, generation)
		if err != nil {
			return err
		}
		all = nil
		var c pinflow.Comparison
		var tables string
		_, err = pgx.ForEachRow(rows, []any{&c.ID, &c.Period, &c.At, &c.Why, &c.Rows, &c.Differing, &tables, &c.Acknowledged}, func() error {
			one := c
			one.Generation, one.At = generation, c.At.UTC()
			if err := json.Unmarshal([]byte(tables), &one.Tables); err != nil {
				return err
			}
			all = append(all, one)
			return nil
		})
		return err
	})
	return all, err
}

// Acknowledge implements pinflow.AuditStore.
func (s *Store) Acknowledge(ctx context.Context, generation string, p pinflow.Period) error {
	const op = "acknowledge difference"
	on := time.UnixMilli(int64(p)).UTC().Format(time.RFC3339)
	return s.write(ctx, op, on, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, "UPDATE _pinflow.comparisons SET acknowledged = true WHERE generation = $1 AND period = $2 AND differing > 0", generation, int64(p))
		if err == nil && tag.RowsAffected() == 0 {
			err = &pinflow.Error{Op: op, On: on, Kind: pinflow.NotFound, Err: fmt.Errorf("no difference was recorded of the period in generation %s", generation)}
		}
		return err
	})
}
