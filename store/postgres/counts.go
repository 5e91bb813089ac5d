package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/store"
)

// Counts implements pinflow.AuditStore.
func (s *Store) Counts(ctx context.Context, generation string) (counts pinflow.StoreCounts, err error) {
	err = s.look(ctx, "count rows", generation, func(tx pgx.Tx) error {
		p, err := planOf(ctx, tx, generation)
		if err != nil {
			return err
		}
		if counts.Positions, err = progress(ctx, tx, ofGeneration, generation); err != nil {
			return err
		}
		counts.Counts, err = countAll(ctx, tx, p)
		return err
	})
	return counts, err
}

func countAll(ctx context.Context, tx pgx.Tx, p *pinflow.Plan) ([]pinflow.StoreCount, error) {
	all := store.NewTally(p)
	each := func(query string, add func(c *pinflow.StoreCount, n int64)) error {
		rows, err := tx.Query(ctx, query, pgx.QueryExecModeExec)
		if err != nil {
			return err
		}
		var model string
		var tp pinflow.TopicPartition
		var period pinflow.Period
		var n int64
		_, err = pgx.ForEachRow(rows, []any{&model, &tp.Topic, &tp.Partition, &period, &n}, func() error {
			add(all.At(model, tp, period), n)
			return nil
		})
		return err
	}
	for i := range p.Models {
		m := &p.Models[i]
		if p.Table(m.Accepted.Table) != nil {
			err := each(fmt.Sprintf("SELECT %s::text, %s::text, _shard, _period, sum(n)::bigint FROM %s GROUP BY _shard, _period", literal(m.Name), literal(store.TopicOf(p, m.Source)), named(p.Generation, m.Accepted.Table)),
				func(c *pinflow.StoreCount, n int64) { c.Accepted += n })
			if err != nil {
				return nil, err
			}
		}
		if store.Counted(p, m) {
			err := each(fmt.Sprintf("SELECT %s::text, _topic, _partition, _period, count(*) FROM %s GROUP BY _topic, _partition, _period", literal(m.Name), named(p.Generation, m.Table)),
				func(c *pinflow.StoreCount, n int64) { c.Rows += n })
			if err != nil {
				return nil, err
			}
		}
	}
	if t := p.Table("rejects"); t != nil && t.Kind == pinflow.Rejects {
		err := each(`SELECT model, topic, "partition", period, count(*) FROM `+named(p.Generation, t.Name)+` GROUP BY model, topic, "partition", period`,
			func(c *pinflow.StoreCount, n int64) { c.Rejected += n })
		if err != nil {
			return nil, err
		}
	}
	return all.Sorted(), nil
}
