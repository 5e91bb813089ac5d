// Package store is what the stores share.
package store

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/pinflow/pinflow"
)

// Tally gathers the numbers of rows of a plan's tables.
type Tally struct {
	plan   *pinflow.Plan
	counts map[place]*pinflow.StoreCount
}

// place of a count.
type place struct {
	model string
	pinflow.TopicPartition
	period pinflow.Period
}

// NewTally makes a Tally of nothing.
func NewTally(p *pinflow.Plan) *Tally {
	return &Tally{plan: p, counts: map[place]*pinflow.StoreCount{}}
}

// At returns the count of a model's records in a period of a partition, to be added to.
func (t *Tally) At(model string, tp pinflow.TopicPartition, p pinflow.Period) *pinflow.StoreCount {
	k := place{model, tp, p}
	if t.counts[k] == nil {
		t.counts[k] = &pinflow.StoreCount{Model: model, TopicPartition: tp, Period: p}
		if !t.counted(model) {
			t.counts[k].Rows = -1
		}
	}
	return t.counts[k]
}

// counted tells whether all of a model's rows are kept, one per record.
func (t *Tally) counted(model string) bool {
	for i := range t.plan.Models {
		if t.plan.Models[i].Name == model {
			return Counted(t.plan, &t.plan.Models[i])
		}
	}
	return true
}

// Counted tells whether a store keeps all rows of a model, one per record.
func Counted(p *pinflow.Plan, m *pinflow.PlannedModel) bool {
	t := p.Table(m.Table)
	return t != nil && t.Kind == pinflow.Rows && t.Rows != "recent"
}

// Sorted returns the counts by model, period and partition.
func (t *Tally) Sorted() []pinflow.StoreCount {
	counts := make([]pinflow.StoreCount, 0, len(t.counts))
	for _, c := range t.counts {
		counts = append(counts, *c)
	}
	slices.SortFunc(counts, func(a, b pinflow.StoreCount) int {
		return cmp.Or(cmp.Compare(a.Model, b.Model), cmp.Compare(a.Period, b.Period), a.TopicPartition.Compare(b.TopicPartition))
	})
	return counts
}

// TopicOf returns the topic of a source.
func TopicOf(p *pinflow.Plan, source string) string {
	for _, s := range p.Sources {
		if s.Name == source {
			return s.Topic
		}
	}
	return fmt.Sprintf("(no topic of %s)", source)
}
