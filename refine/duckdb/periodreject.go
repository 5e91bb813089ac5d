package duckdb

import (
	"context"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
)

// rejected is the rejects that lie in the workshop.
type rejected struct {
	made  bool
	rows  int
	bytes int
}

// The most rejects that are kept before they are written.
const (
	rejectRows  = 100_000
	rejectBytes = 16 << 20
)

// reject takes the rejects of a step.
func (p *period) reject(ctx context.Context, found rejects) error {
	if len(found) == 0 {
		return nil
	}
	p.sharing.Lock()
	defer p.sharing.Unlock()
	r := &p.rejected
	if !r.made {
		if err := p.exec(ctx, createTable(p.table("rejects"), pinflow.RejectsTable().Keys)); err != nil {
			return err
		}
		r.made = true
	}
	// A step's rejects are already in Go's memory; they need not all be in DuckDB's too.
	for from := 0; from < len(found); {
		to := from
		for to < len(found) && r.rows < rejectRows && r.bytes < rejectBytes {
			model, tp := found[to][0].(string), pinflow.TopicPartition{Topic: found[to][1].(string), Partition: found[to][2].(int32)}
			p.counts.add(model, tp, pinflow.ModelCount{Rejected: 1})
			payload, _ := found[to][7].([]byte)
			r.rows++
			r.bytes += len(payload)
			to++
		}
		if err := p.fill(ctx, "rejects", found[from:to]); err != nil {
			return workError(ctx, err)
		}
		if from = to; from < len(found) {
			if err := p.writeRejects(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeRejects writes the rejects kept, a part per model.
func (p *period) writeRejects(ctx context.Context) error {
	if p.rejected.rows == 0 {
		return nil
	}
	t := pinflow.RejectsTable()
	for i := range p.Plan.Models {
		name := p.Plan.Models[i].Name
		query := "SELECT * FROM " + p.table("rejects") + " WHERE model = " + duck.Literal(name) + ` ORDER BY "partition", "offset"`
		if _, err := p.write(ctx, p.conn, pinflow.RejectPart, name, query, t.Keys); err != nil {
			return err
		}
	}
	p.rejected = rejected{}
	return p.exec(ctx, "DROP TABLE "+p.table("rejects"))
}
