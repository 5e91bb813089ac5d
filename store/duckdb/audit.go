package duckdb

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/protocol"
)

// record notes that the period is installed.
func (i *install) record(ctx context.Context, tx *sql.Tx) error {
	ranges, err := json.Marshal(i.in.Ranges)
	if err != nil {
		return err
	}
	parts, err := json.Marshal(storeParts(i.in.Parts))
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "DELETE FROM _pinflow.installed WHERE generation = ? AND period = ?", i.g.name, int64(i.in.Period)); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, "INSERT INTO _pinflow.installed VALUES (?, ?, now(), ?, ?)", i.g.name, int64(i.in.Period), string(ranges), string(parts))
	return err
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

// nextComparison gives c its number. The caller holds the right to write.
func nextComparison(ctx context.Context, q querier, c *pinflow.Comparison) error {
	return q.QueryRowContext(ctx, "SELECT coalesce(max(id), 0) + 1 FROM _pinflow.comparisons").Scan(&c.ID)
}

// recordComparison notes c for good.
func recordComparison(ctx context.Context, tx *sql.Tx, c *pinflow.Comparison) error {
	tables, err := json.Marshal(c.Tables)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, "INSERT INTO _pinflow.comparisons VALUES (?, ?, ?, ?, ?, ?, ?, ?, false)",
		c.ID, c.Generation, int64(c.Period), c.At, c.Why, c.Rows, c.Differing, string(tables))
	return err
}

// Compare implements pinflow.AuditStore. The partials are those of all periods from in.Period up to in.Next.
func (s *Store) Compare(ctx context.Context, in pinflow.Installation, record bool) (*pinflow.Comparison, error) {
	i := &install{s: s, op: "compare periods", in: in, all: true}
	i.in.Again = true
	defer i.release()
	why, err := i.ready(ctx)
	if err != nil {
		return nil, err
	}
	if err := i.place(ctx); err != nil {
		return nil, failed(i.op, i.name(), err)
	}
	for why == "" {
		if err := i.compare(ctx); err != nil {
			return nil, failed(i.op, i.name(), err)
		}
		was := i.installs
		if why, err = i.ready(ctx); err != nil {
			return nil, err
		}
		if i.installs == was {
			break
		}
	}
	c := i.comparison(why)
	if !record {
		return c, nil
	}
	if err := s.lock(ctx, i.op); err != nil {
		return nil, err
	}
	defer s.unlock()
	return c, s.write(ctx, i.op, i.name(), func(tx *sql.Tx) error {
		if err := nextComparison(ctx, tx, c); err != nil {
			return err
		}
		return recordComparison(ctx, tx, c)
	})
}

// ready tells why nothing can be compared, "" if it can.
func (i *install) ready(ctx context.Context) (why string, err error) {
	if err := i.s.lock(ctx, i.op); err != nil {
		return "", err
	}
	defer i.s.unlock()
	if i.g, err = i.s.generation(i.op, i.in.Generation); err != nil {
		return "", err
	}
	i.ranges = rangesOf(i.in.Ranges)
	at, err := progress(ctx, i.s.writer, ofGeneration, i.in.Generation)
	if err == nil {
		err = i.stampAll(ctx)
	}
	if err != nil {
		return "", failed(i.op, i.name(), err)
	}
	return protocol.PlanInstall(at, i.ranges, i.in.Next, false, true).Why, nil
}

func rangesOf(installed []pinflow.InstalledRange) []protocol.Range {
	ranges := make([]protocol.Range, len(installed))
	for j, r := range installed {
		ranges[j] = protocol.Range{TopicPartition: r.TopicPartition, Start: r.Start, End: r.End}
	}
	return ranges
}

// Installed implements pinflow.BatchStore and pinflow.AuditStore.
func (s *Store) Installed(ctx context.Context, generation string) ([]pinflow.Installed, error) {
	const op = "read installed periods"
	rows, err := s.db.QueryContext(ctx, "SELECT period, installed_at, ranges, parts FROM _pinflow.installed WHERE generation = ? ORDER BY period", generation)
	if err != nil {
		return nil, failed(op, generation, err)
	}
	defer rows.Close()
	var all []pinflow.Installed
	for rows.Next() {
		var one pinflow.Installed
		var ranges, parts string
		var stored []storedPart
		if err := rows.Scan(&one.Period, &one.At, &ranges, &parts); err != nil {
			return nil, failed(op, generation, err)
		}
		if err := errors.Join(json.Unmarshal([]byte(ranges), &one.Ranges), json.Unmarshal([]byte(parts), &stored)); err != nil {
			return nil, failed(op, generation, err)
		}
		one.At, one.Parts = one.At.UTC(), partsOf(stored)
		all = append(all, one)
	}
	return all, failed(op, generation, rows.Err())
}

// Comparisons implements pinflow.AuditStore.
func (s *Store) Comparisons(ctx context.Context, generation string) ([]pinflow.Comparison, error) {
	const op = "read comparisons"
	rows, err := s.db.QueryContext(ctx, `SELECT id, period, compared_at, why, "rows", differing, tables, acknowledged FROM _pinflow.comparisons WHERE generation = ? ORDER BY id`, generation)
	if err != nil {
		return nil, failed(op, generation, err)
	}
	defer rows.Close()
	var all []pinflow.Comparison
	for rows.Next() {
		c := pinflow.Comparison{Generation: generation}
		var tables string
		if err := rows.Scan(&c.ID, &c.Period, &c.At, &c.Why, &c.Rows, &c.Differing, &tables, &c.Acknowledged); err != nil {
			return nil, failed(op, generation, err)
		}
		if err := json.Unmarshal([]byte(tables), &c.Tables); err != nil {
			return nil, failed(op, generation, err)
		}
		c.At = c.At.UTC()
		all = append(all, c)
	}
	return all, failed(op, generation, rows.Err())
}

// Acknowledge implements pinflow.AuditStore.
func (s *Store) Acknowledge(ctx context.Context, generation string, p pinflow.Period) error {
	const op = "acknowledge difference"
	if err := s.lock(ctx, op); err != nil {
		return err
	}
	defer s.unlock()
	on := time.UnixMilli(int64(p)).UTC().Format(time.RFC3339)
	return s.write(ctx, op, on, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, "UPDATE _pinflow.comparisons SET acknowledged = true WHERE generation = ? AND period = ? AND differing > 0", generation, int64(p))
		if err != nil {
			return err
		}
		n, err := result.RowsAffected()
		if err == nil && n == 0 {
			err = &pinflow.Error{Op: op, On: on, Kind: pinflow.NotFound, Err: fmt.Errorf("no difference was recorded of the period in generation %s", generation)}
		}
		return err
	})
}
