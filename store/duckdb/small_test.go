package duckdb_test

import (
	"context"
	"strconv"

	"github.com/pinflow/pinflow"
)

// smallPlan counts records three times: in one row, by word, and as rows.
func smallPlan() *pinflow.Plan {
	n := []pinflow.Measure{{Column: pinflow.Column{Name: "n", Type: "BIGINT"}, Merge: pinflow.Sum}}
	return &pinflow.Plan{Pipeline: "shop", Generation: "g1", Tables: []pinflow.Table{
		{Name: "totals", Kind: pinflow.Partials, Measures: n},
		{Name: "words", Kind: pinflow.Partials, Keys: []pinflow.Column{{Name: "word", Type: "VARCHAR"}}, Measures: n},
		{Name: "things", Kind: pinflow.Rows, Keys: []pinflow.Column{{Name: "word", Type: "VARCHAR"}, {Name: "_partition", Type: "INTEGER"}, {Name: "_offset", Type: "BIGINT"}}},
		pinflow.RejectsTable(),
	}, Views: []pinflow.View{
		{Name: "totals", DuckDB: "SELECT sum(n)::BIGINT AS n FROM {gen}.totals"},
		{Name: "words", DuckDB: "SELECT word, sum(n)::BIGINT AS n FROM {gen}.words GROUP BY word"},
		{Name: "things", DuckDB: "SELECT * FROM {gen}.things"},
	}}
}

type relation [][]any

func (r relation) Scan(_ context.Context, f func([]any) error) error {
	for _, row := range r {
		if err := f(row); err != nil {
			return err
		}
	}
	return nil
}

// smallDelta is the delta of the records from start to end.
func smallDelta(p *pinflow.Plan, tp pinflow.TopicPartition, start, end int64) pinflow.Delta {
	totals, words, things := relation{{int64(0), tp.Partition, end - start}}, relation{}, relation{}
	for at := start; at < end; at++ {
		word := strconv.FormatInt(at%1000, 36)
		words = append(words, []any{at / 10000, tp.Partition, word, int64(1)})
		things = append(things, []any{at / 10000, tp.Topic, word, tp.Partition, at})
	}
	return pinflow.Delta{Generation: p.Generation, Close: func() {}, Advances: []pinflow.Advance{{TopicPartition: tp, Start: start, End: end, Period: 0}},
		Added: []pinflow.Addition{{Table: "totals", Rows: totals}, {Table: "words", Rows: words}, {Table: "things", Rows: things}}}
}
