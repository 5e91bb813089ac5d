package duckdb

import (
	"context"
	"os"
	"runtime"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
	"golang.org/x/sync/errgroup"
)

// stepMemory is what a step needs so that its file has row groups that compress well.
const stepMemory = 8 << 20

// steps is how many steps a period has in hand at once: each keeps a processor busy, with reading and then with SQL on one thread. So the rows of
// a step come into one row group.
func (o BatchOptions) steps() int {
	return max(1, min(runtime.GOMAXPROCS(0), int(o.Memory/stepMemory)))
}

// steps reads the period's objects, several at once, and works on what was read.
func (p *period) steps(ctx context.Context) error {
	readers := p.BatchOptions.steps()
	r := &reading{raw: p.Raw, period: p.in.Period, bytes: p.Memory / int64(readers), records: p.Step, counts: p.counts}
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
	g, ctx := errgroup.WithContext(ctx)
	for range min(readers, len(shares)) {
		g.Go(func() error { return r.read(ctx, queue, p.step) })
	}
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
	p.sharing.Lock()
	defer p.sharing.Unlock()
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
	streams := map[*cleaning]*stream{}
	defer func() {
		for _, st := range streams {
			st.forget()
		}
	}()
	for _, m := range b.models {
		if m.source.numbered.n == 0 {
			continue
		}
		if err := p.model(ctx, b, m, streams, &found); err != nil {
			return err
		}
	}
	return p.reject(ctx, found)
}

// model takes the records of a step as rows and rejects of a model. Mostly no record makes the SQL fail, and the rows need no table on
// the way to their file; else it is found out on the bench which ones do.
func (p *period) model(ctx context.Context, b *bench, m *model, streams map[*cleaning]*stream, found *rejects) error {
	st := streams[m.cleaning]
	if st == nil {
		st = &stream{period: p, bench: b, cleaning: m.cleaning}
		if err := st.write(ctx); err != nil && !ofRecord(err) {
			return b.failure(ctx, m, err)
		}
		streams[m.cleaning] = st
	}
	if st.good {
		err := st.model(ctx, m, found)
		if err == nil || !ofRecord(err) {
			return err
		}
		st.good = false
		if err := b.empty(ctx, m); err != nil {
			return b.failure(ctx, m, err)
		}
	}
	if err := b.show(ctx, m, ""); err != nil {
		return b.failure(ctx, m, err)
	}
	if _, err := b.refineModel(ctx, m, found); err != nil {
		return b.failure(ctx, m, err)
	}
	return p.keep(ctx, b, m)
}

// keep takes what a model's tables on the bench hold.
func (p *period) keep(ctx context.Context, b *bench, m *model) error {
	if err := p.countAccepted(ctx, b, m, m.table+" WHERE _reject IS NULL"); err != nil {
		return err
	}
	if _, err := p.write(ctx, b.conn, pinflow.CleanPart, m.Name, "SELECT * FROM "+m.table+" WHERE _reject IS NULL", m.rowColumns()); err != nil {
		return err
	}
	return p.keepPartials(ctx, m)
}

func (p *period) keepPartials(ctx context.Context, m *model) error {
	for i := range m.partials {
		if part := &m.partials[i]; part.used {
			if err := p.add(ctx, p.merged[part.Partial.Table], "SELECT * FROM "+part.table); err != nil {
				return err
			}
		}
	}
	return nil
}

// link makes a part of another name of the same file.
func (p *period) link(one pinflow.Part, of string) error {
	part := one
	part.Of = of
	part.File = partFile(p.in.Dir, p.number(), part)
	if err := os.Link(one.File, part.File); err != nil {
		return duck.Failure("write Parquet", part.File, err)
	}
	p.took(part)
	return nil
}

// write writes the rows of a query to a part, if there are any.
func (p *period) write(ctx context.Context, on duck.Execer, kind pinflow.PartKind, of, query string, columns []pinflow.Column) (pinflow.Part, error) {
	part, err := writePart(ctx, on, p.in.Dir, p.number(), pinflow.Part{Kind: kind, Of: of}, query, columns)
	if err == nil && part.Rows > 0 {
		p.took(part)
	}
	return part, err
}
