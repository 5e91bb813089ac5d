package duckdb

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/duckdb/duckdb-go/v2"
	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
)

// refine computes the delta of a batch. Its tables are the bench's, until finish.
func (b *bench) refine(ctx context.Context, in pinflow.Batch) (pinflow.Delta, error) {
	delta := pinflow.Delta{Generation: b.engine.plan.Generation}
	for _, s := range in.Slices {
		a := pinflow.Advance{TopicPartition: s.TopicPartition, Start: s.Start, End: s.End, Period: s.Floor}
		if len(s.Periods) > 0 {
			a.First = s.Periods[0]
		}
		delta.Advances = append(delta.Advances, a)
	}
	all, err := bySource(b.engine.plan, in)
	if err != nil {
		return delta, err
	}
	for i := range all {
		b.sources[i].load(all[i])
	}
	var rejected rejects
	for _, m := range b.models {
		if m.source.numbered.n == 0 {
			continue
		}
		added, err := b.refineModel(ctx, m, &rejected)
		if err != nil {
			return delta, b.failure(ctx, m, err)
		}
		delta.Added = append(delta.Added, added...)
		if m.entity == nil {
			continue
		}
		change, err := m.entity.change(ctx, b)
		if err != nil {
			return delta, b.failure(ctx, m, err)
		}
		delta.Changes = append(delta.Changes, change...)
	}
	if len(rejected) > 0 {
		delta.Added = append(delta.Added, pinflow.Addition{Table: pinflow.RejectsTable().Name, Rows: rejected})
	}
	return delta, nil
}

// failure says what a failed statement means to the caller.
func (b *bench) failure(ctx context.Context, m *model, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	out := &pinflow.Error{Op: "refine", On: m.Name, Kind: pinflow.KindOf(err), Err: err}
	var e *duckdb.Error
	if errors.As(err, &e) && e.Type == duckdb.ErrorTypeOutOfMemory {
		out.Kind, out.Hint = pinflow.Unavailable, "Give DuckDB more memory, or the batches fewer records."
	}
	return out
}

// refineModel cleans the records of a model's source, unless another model has, and computes the partials over the accepted rows.
func (b *bench) refineModel(ctx context.Context, m *model, rejected *rejects) ([]pinflow.Addition, error) {
	c := m.cleaning
	if !c.done {
		if err := b.clean(ctx, c, c.sql, 0, c.source.numbered.n); err != nil {
			return nil, err
		}
		c.done = true
	}
	if err := b.addPartials(ctx, m); err != nil {
		return nil, err
	}
	if err := b.findRejects(ctx, m, rejected); err != nil {
		return nil, err
	}
	return m.additions(b.engine.instance), nil
}

// clean inserts the rows of the records numbered from to to into the table. If a record makes the SQL
// fail, the careful text is tried, and then ever fewer records, until those that fail alone are found.
func (b *bench) clean(ctx context.Context, c *cleaning, text string, from, to int) error {
	err := b.insertRows(ctx, c, text, from, to)
	switch {
	case err == nil || !ofRecord(err):
		return err
	case c.careful != "" && text != c.careful:
		return b.clean(ctx, c, c.careful, from, to)
	case to-from == 1:
		c.failed[from] = message(err)
		return nil
	}
	half := from + (to-from)/2
	if err := b.clean(ctx, c, text, from, half); err != nil {
		return err
	}
	return b.clean(ctx, c, text, half, to)
}

// insertRows runs cleaning over some records. The period of a row is mostly that of all records; else it is
// looked up by the record that the row is of.
func (b *bench) insertRows(ctx context.Context, c *cleaning, text string, from, to int) error {
	s := c.source
	s.from, s.to = from, to
	defer s.settle()
	c.used = true
	period, join := "", ""
	if p, one := s.numbered.period(); one {
		period = strconv.FormatInt(int64(p), 10)
	} else {
		period = "p._period"
		join = " JOIN " + s.name + "() p ON m._partition = p._partition AND m._offset = p._offset"
	}
	return b.exec(ctx, fmt.Sprintf("INSERT INTO %s SELECT %s, %s, %s, m.%s FROM (%s) m%s",
		c.table, period, duck.Literal(s.numbered.slices[0].Topic), prefixed("m", c.columns), strings.Join(c.rejects, ", m."), text, join))
}

// ofRecord tells whether an error is what a record's values can cause. Any other (no memory, no connection)
// says nothing of records and must reject none.
func ofRecord(err error) bool {
	var e *duckdb.Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Type {
	case duckdb.ErrorTypeOutOfRange, duckdb.ErrorTypeConversion, duckdb.ErrorTypeDecimal, duckdb.ErrorTypeMismatchType,
		duckdb.ErrorTypeDivideByZero, duckdb.ErrorTypeInvalidInput, duckdb.ErrorTypeInvalid, duckdb.ErrorTypeObjectSize:
		return true
	}
	return false
}

const maxReason = 1000 // bytes

// message is a reason made of an error: its first line, bounded.
func message(err error) string {
	text, _, _ := strings.Cut(err.Error(), "\n")
	return bounded(text)
}

func bounded(reason string) string {
	if len(reason) <= maxReason {
		return reason
	}
	return strings.ToValidUTF8(reason[:maxReason], "") + "…"
}
