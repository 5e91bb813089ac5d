package duckdb

import (
	"context"
	"database/sql"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
	"github.com/pinflow/pinflow/internal/duck/readonly"
	"github.com/pinflow/pinflow/store"
)

// Counts implements pinflow.AuditStore.
func (s *Store) Counts(ctx context.Context, generation string) (pinflow.StoreCounts, error) {
	const op = "count rows"
	var counts pinflow.StoreCounts
	err := s.asReader(ctx, op, func(ctx context.Context) error {
		tx, end, err := readonly.Snapshot(ctx, s.db)
		if err != nil {
			return err
		}
		defer end()
		if counts.Positions, err = progress(ctx, tx, ofGeneration, generation); err != nil {
			return err
		}
		p, err := planOf(ctx, tx, generation)
		if err != nil {
			return err
		}
		counts.Counts, err = countAll(ctx, tx, p)
		return err
	})
	return counts, failed(op, generation, err)
}

func countAll(ctx context.Context, tx *sql.Conn, p *pinflow.Plan) ([]pinflow.StoreCount, error) {
	all := store.NewTally(p)
	each := func(query string, f func(tp pinflow.TopicPartition, p pinflow.Period, n int64, model string)) error {
		rows, err := tx.QueryContext(ctx, query)
		if err != nil {
			return err
		}
		return duck.EachRow(rows, func(row []any) error {
			f(pinflow.TopicPartition{Topic: row[0].(string), Partition: row[1].(int32)}, pinflow.Period(row[2].(int64)), row[3].(int64), row[4].(string))
			return nil
		})
	}
	schema := schemaOf(p.Generation) + "."
	for i := range p.Models {
		m := &p.Models[i]
		if p.Table(m.Accepted.Table) != nil {
			topic := duck.Literal(store.TopicOf(p, m.Source))
			err := each("SELECT "+topic+", _shard, _period, sum(n)::BIGINT, '' FROM "+schema+duck.Quote(m.Accepted.Table)+" GROUP BY _shard, _period",
				func(tp pinflow.TopicPartition, p pinflow.Period, n int64, _ string) {
					all.At(m.Name, tp, p).Accepted += n
				})
			if err != nil {
				return nil, err
			}
		}
		if store.Counted(p, m) {
			err := each("SELECT _topic, _partition, _period, count(*), '' FROM "+schema+duck.Quote(m.Table)+" GROUP BY _topic, _partition, _period",
				func(tp pinflow.TopicPartition, p pinflow.Period, n int64, _ string) { all.At(m.Name, tp, p).Rows += n })
			if err != nil {
				return nil, err
			}
		}
	}
	if t := p.Table("rejects"); t != nil && t.Kind == pinflow.Rejects {
		err := each(`SELECT topic, "partition", period, count(*), model FROM `+schema+duck.Quote(t.Name)+" GROUP BY ALL",
			func(tp pinflow.TopicPartition, p pinflow.Period, n int64, model string) {
				all.At(model, tp, p).Rejected += n
			})
		if err != nil {
			return nil, err
		}
	}
	return all.Sorted(), nil
}
