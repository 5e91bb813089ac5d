package duckdb

import (
	"context"
	"os"
	"runtime"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
	"golang.org/x/sync/errgroup"
)

// steps reads the period's objects, several at once, and works on what was read, one step at a time.
func (p *period) steps(ctx context.Context) error {
	readers := runtime.GOMAXPROCS(0)
	// One step per reader is being filled, or waits; one is worked on.
	r := &reading{raw: p.Raw, period: p.in.Period, bytes: p.Memory / int64(readers+1), records: p.Step, counts: p.counts}
	r.periods = make([]pinflow.Period, p.Step)
	for i := range r.periods {
		r.periods[i] = p.in.Period
	}
	shares, err := sharesOf(p.in.Seals)
	if err != nil {
		return err
	}
	queue := make(chan share, len(shares))
	for _, s := range shares {
		queue <- s
	}
	close(queue)
	steps := make(chan *step)
	g, ctx := errgroup.WithContext(ctx)
	reads, readCtx := errgroup.WithContext(ctx)
	for range min(readers, len(shares)) {
		reads.Go(func() error { return r.read(readCtx, queue, steps) })
	}
	g.Go(func() error {
		defer close(steps)
		return reads.Wait()
	})
	g.Go(func() error {
		for s := range steps {
			if err := p.step(ctx, s); err != nil {
				return err
			}
		}
		return nil
	})
	return g.Wait()
}

// step cleans some records.
func (p *period) step(ctx context.Context, s *step) error {
	if len(s.batch.Slices) > 0 {
		b, err := p.engine.take(ctx)
		if err != nil {
			return err
		}
		err = p.stepOn(ctx, b, s.batch)
		b.finish()
		if err != nil {
			return err
		}
	}
	p.done(s.objects, s.rows)
	return nil
}

func (p *period) stepOn(ctx context.Context, b *bench, batch pinflow.Batch) error {
	all, err := bySource(p.Plan, batch)
	if err != nil {
		return err
	}
	for i := range all {
		b.sources[i].load(all[i])
	}
	var found rejects
	written := map[*cleaning]pinflow.Part{}
	for _, m := range b.models {
		if m.source.numbered.n == 0 {
			continue
		}
		if _, err := b.refineModel(ctx, m, &found); err != nil {
			return b.failure(ctx, m, err)
		}
		if err := p.keep(ctx, b, m, written); err != nil {
			return err
		}
	}
	return p.reject(ctx, found)
}

// keep takes what a model's tables on the bench hold. written are the parts of models before it that share its cleaning.
func (p *period) keep(ctx context.Context, b *bench, m *model, written map[*cleaning]pinflow.Part) error {
	if err := p.countAccepted(ctx, b, m); err != nil {
		return err
	}
	if err := p.writeClean(ctx, b, m, written); err != nil {
		return err
	}
	for i := range m.partials {
		if part := &m.partials[i]; part.used {
			if err := p.add(ctx, p.merged[part.Partial.Table], "SELECT * FROM "+part.table); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeClean writes a model's accepted rows. Of models that share their cleaning and accept the same records of the step, the file is the same.
func (p *period) writeClean(ctx context.Context, b *bench, m *model, written map[*cleaning]pinflow.Part) error {
	if one, ok := written[m.cleaning]; ok {
		var same bool
		if err := b.conn.QueryRowContext(ctx, "SELECT count(*) = 0 FROM "+m.cleaning.table+" WHERE ("+m.cleaning.rejects[0]+" IS NULL) <> ("+m.reject+" IS NULL)").Scan(&same); err != nil {
			return b.failure(ctx, m, err)
		}
		if same {
			return p.link(one, m.Name)
		}
	}
	part, err := p.write(ctx, b.conn, pinflow.CleanPart, m.Name, "SELECT * FROM "+m.table+" WHERE _reject IS NULL", m.rowColumns())
	if err == nil && part.Rows > 0 && m.reject == m.cleaning.rejects[0] {
		written[m.cleaning] = part
	}
	return err
}

// link makes a part of another name of the same file.
func (p *period) link(one pinflow.Part, of string) error {
	part := one
	part.Of = of
	part.File = partFile(p.in.Dir, len(p.parts), part)
	if err := os.Link(one.File, part.File); err != nil {
		return duck.Failure("write Parquet", part.File, err)
	}
	p.parts = append(p.parts, part)
	return nil
}

// write writes the rows of a query to a part, if there are any.
func (p *period) write(ctx context.Context, on duck.Execer, kind pinflow.PartKind, of, query string, columns []pinflow.Column) (pinflow.Part, error) {
	part, err := writePart(ctx, on, p.in.Dir, len(p.parts), pinflow.Part{Kind: kind, Of: of}, query, columns)
	if err == nil && part.Rows > 0 {
		p.parts = append(p.parts, part)
	}
	return part, err
}
