package postgres

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/pinflow/pinflow"
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

// countKey is the place of a count.
type countKey struct {
	model string
	pinflow.TopicPartition
	period pinflow.Period
}

// tally is the counts on their way.
type tally map[countKey]*pinflow.StoreCount

func (all tally) at(k countKey, rows int64) *pinflow.StoreCount {
	if all[k] == nil {
		all[k] = &pinflow.StoreCount{Model: k.model, TopicPartition: k.TopicPartition, Period: k.period, Rows: rows}
	}
	return all[k]
}

func countAll(ctx context.Context, tx pgx.Tx, p *pinflow.Plan) ([]pinflow.StoreCount, error) {
	all, none := tally{}, map[string]int64{}
	each := func(query string, f func(k countKey, n int64)) error {
		rows, err := tx.Query(ctx, query, pgx.QueryExecModeExec)
		if err != nil {
			return err
		}
		var k countKey
		var n int64
		_, err = pgx.ForEachRow(rows, []any{&k.model, &k.Topic, &k.Partition, &k.period, &n}, func() error { f(k, n); return nil })
		return err
	}
	for _, m := range p.Models {
		rows := p.Table(m.Table)
		counted := rows != nil && rows.Kind == pinflow.Rows && rows.Rows != "recent"
		none[m.Name] = -1
		if counted {
			none[m.Name] = 0
		}
		if p.Table(m.Accepted.Table) != nil {
			err := each(fmt.Sprintf("SELECT %s::text, %s::text, _shard, _period, sum(n)::bigint FROM %s GROUP BY _shard, _period", literal(m.Name), literal(topicOf(p, m.Source)), named(p.Generation, m.Accepted.Table)),
				func(k countKey, n int64) { all.at(k, none[m.Name]).Accepted += n })
			if err != nil {
				return nil, err
			}
		}
		if counted {
			err := each(fmt.Sprintf("SELECT %s::text, _topic, _partition, _period, count(*) FROM %s GROUP BY _topic, _partition, _period", literal(m.Name), named(p.Generation, m.Table)),
				func(k countKey, n int64) { all.at(k, 0).Rows += n })
			if err != nil {
				return nil, err
			}
		}
	}
	if t := p.Table("rejects"); t != nil && t.Kind == pinflow.Rejects {
		err := each(`SELECT model, topic, "partition", period, count(*) FROM `+named(p.Generation, t.Name)+` GROUP BY model, topic, "partition", period`,
			func(k countKey, n int64) { all.at(k, none[k.model]).Rejected += n })
		if err != nil {
			return nil, err
		}
	}
	return all.sorted(), nil
}

func (all tally) sorted() []pinflow.StoreCount {
	counts := make([]pinflow.StoreCount, 0, len(all))
	for _, c := range all {
		counts = append(counts, *c)
	}
	slices.SortFunc(counts, func(a, b pinflow.StoreCount) int {
		return cmp.Or(cmp.Compare(a.Model, b.Model), cmp.Compare(a.Period, b.Period), a.TopicPartition.Compare(b.TopicPartition))
	})
	return counts
}

// topicOf returns the topic of a source.
func topicOf(p *pinflow.Plan, source string) string {
	for _, s := range p.Sources {
		if s.Name == source {
			return s.Topic
		}
	}
	return fmt.Sprintf("(no topic of %s)", source)
}
