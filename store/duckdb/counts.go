package duckdb

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
	"github.com/pinflow/pinflow/internal/duck/readonly"
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

// place of a count.
type countKey struct {
	model string
	pinflow.TopicPartition
	period pinflow.Period
}

// tally is the counts on their way.
type tally map[countKey]*pinflow.StoreCount

func (all tally) at(model, topic string, partition int32, period int64, rows int64) *pinflow.StoreCount {
	k := countKey{model, pinflow.TopicPartition{Topic: topic, Partition: partition}, pinflow.Period(period)}
	if all[k] == nil {
		all[k] = &pinflow.StoreCount{Model: model, TopicPartition: k.TopicPartition, Period: k.period, Rows: rows}
	}
	return all[k]
}

func countAll(ctx context.Context, tx *sql.Conn, p *pinflow.Plan) ([]pinflow.StoreCount, error) {
	all, none := tally{}, map[string]int64{}
	each := func(query string, f func(topic string, partition int32, period, n int64, model string)) error {
		rows, err := tx.QueryContext(ctx, query)
		if err != nil {
			return err
		}
		return duck.EachRow(rows, func(row []any) error {
			f(row[0].(string), row[1].(int32), row[2].(int64), row[3].(int64), row[4].(string))
			return nil
		})
	}
	schema := schemaOf(p.Generation) + "."
	for _, m := range p.Models {
		rows := p.Table(m.Table)
		counted := rows != nil && rows.Kind == pinflow.Rows && rows.Rows != "recent"
		none[m.Name] = -1
		if counted {
			none[m.Name] = 0
		}
		if p.Table(m.Accepted.Table) != nil {
			topic := duck.Literal(topicOf(p, m.Source))
			err := each("SELECT "+topic+", _shard, _period, sum(n)::BIGINT, '' FROM "+schema+duck.Quote(m.Accepted.Table)+" GROUP BY _shard, _period",
				func(topic string, partition int32, period, n int64, _ string) {
					all.at(m.Name, topic, partition, period, none[m.Name]).Accepted += n
				})
			if err != nil {
				return nil, err
			}
		}
		if counted {
			err := each("SELECT _topic, _partition, _period, count(*), '' FROM "+schema+duck.Quote(m.Table)+" GROUP BY _topic, _partition, _period",
				func(topic string, partition int32, period, n int64, _ string) {
					all.at(m.Name, topic, partition, period, 0).Rows += n
				})
			if err != nil {
				return nil, err
			}
		}
	}
	if t := p.Table("rejects"); t != nil && t.Kind == pinflow.Rejects {
		err := each(`SELECT topic, "partition", period, count(*), model FROM `+schema+duck.Quote(t.Name)+" GROUP BY ALL", func(topic string, partition int32, period, n int64, model string) {
			all.at(model, topic, partition, period, none[model]).Rejected += n
		})
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
