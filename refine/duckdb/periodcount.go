package duckdb

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/pinflow/pinflow"
)

// counts is what becomes of a period's records. Several steps count at the same time.
type counts struct {
	plan *pinflow.Plan

	mu      sync.Mutex
	records map[pinflow.TopicPartition]int64 // as sealed
	all     map[modelPartition]*pinflow.ModelCount
	order   []modelPartition
}

type modelPartition struct {
	model string
	pinflow.TopicPartition
}

func newCounts(p *pinflow.Plan, seals []pinflow.Seal) *counts {
	c := &counts{plan: p, records: map[pinflow.TopicPartition]int64{}, all: map[modelPartition]*pinflow.ModelCount{}}
	for _, s := range seals {
		for _, part := range s.Partitions {
			tp := pinflow.TopicPartition{Topic: s.Topic, Partition: part.Partition}
			c.records[tp] = part.Records
			for _, m := range modelsOf(p, s.Topic) {
				at := modelPartition{m, tp}
				c.all[at] = &pinflow.ModelCount{Model: m, TopicPartition: tp}
				c.order = append(c.order, at)
			}
		}
	}
	return c
}

// erased counts an erased line in each model that it would have gone to.
func (c *counts) erased(tp pinflow.TopicPartition) {
	for _, m := range modelsOf(c.plan, tp.Topic) {
		c.add(m, tp, pinflow.ModelCount{Erased: 1})
	}
}

func (c *counts) add(model string, tp pinflow.TopicPartition, more pinflow.ModelCount) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.all[modelPartition{model, tp}]
	n.Accepted += more.Accepted
	n.Rejected += more.Rejected
	n.Erased += more.Erased
}

// check holds what was counted to what was sealed.
func (c *counts) check() error {
	for _, at := range c.order {
		n := c.all[at]
		if sum := n.Accepted + n.Rejected + n.Erased; sum != c.records[at.TopicPartition] {
			return &pinflow.Error{Op: "refine", On: at.model + " of " + at.String(), Err: fmt.Errorf("%d records are accepted, %d rejected and %d erased, the period has %d",
				n.Accepted, n.Rejected, n.Erased, c.records[at.TopicPartition])}
		}
	}
	return nil
}

func (c *counts) list() []pinflow.ModelCount {
	list := make([]pinflow.ModelCount, len(c.order))
	for i, at := range c.order {
		list[i] = *c.all[at]
	}
	return list
}

// countAccepted counts a model's rows in a relation.
func (p *period) countAccepted(ctx context.Context, b *bench, m *model, from string) error {
	rows, err := b.conn.QueryContext(ctx, "SELECT _topic, _partition, count(*) FROM "+from+" GROUP BY ALL")
	if err != nil {
		return b.failure(ctx, m, err)
	}
	defer rows.Close()
	for rows.Next() {
		var tp pinflow.TopicPartition
		var n int64
		if err := rows.Scan(&tp.Topic, &tp.Partition, &n); err != nil {
			return err
		}
		p.counts.add(m.Name, tp, pinflow.ModelCount{Accepted: n})
	}
	return rows.Err()
}

// modelsOf returns the names of the plan's models over a topic.
func modelsOf(p *pinflow.Plan, topic string) (models []string) {
	for i := range p.Models {
		at := slices.IndexFunc(p.Sources, func(s pinflow.PlannedSource) bool { return s.Name == p.Models[i].Source })
		if at >= 0 && p.Sources[at].Topic == topic {
			models = append(models, p.Models[i].Name)
		}
	}
	return models
}
