package duckdb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/protocol"
)

// install is a period on its way into a generation's tables.
type install struct {
	s      *Store
	op     string
	in     pinflow.Installation
	ranges []protocol.Range
	g      *generation
	placed map[string]string // the period's rows by table, as SQL reads them
	gives  []func()
	// compared is the outcome by table, nil if nothing was compared. It holds as long as the generation has seen so many installs.
	compared map[string]*outcome
	installs int64
	stamps   map[string]stamp // of the tables of partials, before they were compared
	all      bool             // the rows of installed periods are compared too
}

// Install implements pinflow.BatchStore. What takes long is done before the right to write is taken: rows of the period that lie
// elsewhere are brought here, and compared with the live rows, which once every position is past the period's end only an install can change.
func (s *Store) Install(ctx context.Context, in pinflow.Installation) (*pinflow.Comparison, error) {
	i := &install{s: s, op: "install period", in: in}
	defer i.release()
	plan, err := i.look(ctx)
	if err != nil || plan.Skip {
		return i.unchanged(), err
	}
	if err := i.place(ctx); err != nil {
		return nil, failed(i.op, i.name(), err)
	}
	start := time.Now()
	for {
		if plan.Compare {
			if err := i.compare(ctx); err != nil {
				return nil, failed(i.op, i.name(), err)
			}
		}
		c, again, err := i.put(ctx)
		if !again {
			s.metrics.installed(err, time.Since(start))
			return c, err
		}
		if plan, err = i.look(ctx); err != nil {
			return nil, err
		}
	}
}

func (i *install) name() string {
	return fmt.Sprintf("%s of generation %s", time.UnixMilli(int64(i.in.Period)).UTC().Format(time.RFC3339), i.in.Generation)
}

func (i *install) unchanged() *pinflow.Comparison {
	return &pinflow.Comparison{Generation: i.in.Generation, Period: i.in.Period, Unchanged: true}
}

// look decides what is to be done as things stand now, and notes what a comparison depends on.
func (i *install) look(ctx context.Context) (protocol.InstallPlan, error) {
	if err := i.s.lock(ctx, i.op); err != nil {
		return protocol.InstallPlan{}, err
	}
	defer i.s.unlock()
	plan, err := i.plan(ctx)
	if err == nil {
		err = i.stampAll(ctx)
	}
	return plan, failed(i.op, i.name(), err)
}

// plan decides under lock. A period that is to wait for the one before is a Fenced error.
func (i *install) plan(ctx context.Context) (protocol.InstallPlan, error) {
	var err error
	if i.g, err = i.s.generation(i.op, i.in.Generation); err != nil {
		return protocol.InstallPlan{}, err
	}
	i.ranges = rangesOf(i.in.Ranges)
	at, err := progress(ctx, i.s.writer, ofGeneration, i.in.Generation)
	if err != nil {
		return protocol.InstallPlan{}, err
	}
	var times int
	err = i.s.writer.QueryRowContext(ctx, "SELECT count(*) FROM _pinflow.installed WHERE generation = ? AND period = ?", i.in.Generation, int64(i.in.Period)).Scan(&times)
	if err != nil {
		return protocol.InstallPlan{}, err
	}
	p := protocol.PlanInstall(at, i.ranges, i.in.Next, times > 0, i.in.Again)
	if len(p.Early) > 0 && !p.Skip {
		return p, &pinflow.Error{Op: i.op, On: i.name(), Kind: pinflow.Fenced, Hint: "Install the period before first.",
			Err: fmt.Errorf("%s stands before the period's start", p.Early[0])}
	}
	return p, nil
}

// place makes all rows of the period ones that SQL reads.
func (i *install) place(ctx context.Context) error {
	i.placed = map[string]string{}
	for _, a := range i.in.Added {
		t := i.g.tables[a.Table]
		if t == nil || i.placed[a.Table] != "" {
			return invalid(i.op, a.Table, "", errors.New("the generation has no such table, or it is named twice"))
		}
		from, release, err := i.s.place(ctx, t.columns(), a.Rows)
		if err != nil {
			return fmt.Errorf("rows of %s: %w", a.Table, err)
		}
		i.placed[a.Table] = from
		i.gives = append(i.gives, release)
	}
	return nil
}

// rows is what SQL reads as the period's rows of a table, which may be none.
func (i *install) rows(t *table) string {
	if from := i.placed[t.Name]; from != "" {
		return from
	}
	return "(SELECT * FROM " + i.s.everywhere(t.target()) + " WHERE false)"
}

// has tells whether the period may have rows of a table.
func (i *install) has(t *table) bool { return i.placed[t.Name] != "" }

func (i *install) release() {
	i.forget()
	for _, give := range i.gives {
		give()
	}
}

// put is the transaction of the install. again means that what was compared before does not hold any more. Its long part, which
// replaces rows, keeps only those waiting who write into the same generation: others commit meanwhile.
func (i *install) put(ctx context.Context) (c *pinflow.Comparison, again bool, err error) {
	g, leave, err := i.s.enter(ctx, i.op, i.in.Generation)
	if err != nil {
		return nil, false, err
	}
	defer leave()
	i.g = g
	todo, err := i.decide(ctx)
	if err != nil || todo.plan.Skip || todo.again {
		return i.unchanged(), todo.again, err
	}
	c = i.comparison(todo.plan.Why)
	if err := i.fill(ctx, todo, c); err != nil {
		return nil, false, failed(i.op, i.name(), err)
	}
	return c, false, nil
}

// todo is what an install is to do.
type todo struct {
	plan   protocol.InstallPlan
	again  bool // not yet: what was compared does not hold
	states map[string]*state
}

// decide plans under lock. What it finds holds until the generation is left: nobody else writes into it.
func (i *install) decide(ctx context.Context) (todo, error) {
	if err := i.s.lock(ctx, i.op); err != nil {
		return todo{}, err
	}
	defer i.s.unlock()
	defer i.locked(time.Now())
	plan, err := i.plan(ctx)
	if err != nil || plan.Skip {
		return todo{plan: plan}, failed(i.op, i.name(), err)
	}
	if !plan.Compare {
		i.forget()
	} else if i.compared == nil || i.installs != i.g.installs {
		i.forget()
		return todo{again: true}, nil
	} else if err := i.refresh(ctx); err != nil {
		return todo{}, failed(i.op, i.name(), err)
	}
	states, err := i.states(ctx)
	return todo{plan: plan, states: states}, failed(i.op, i.name(), err)
}

// locked counts the time in which nobody else could write.
func (i *install) locked(since time.Time) { i.s.metrics.installLocked(time.Since(since)) }

// fill replaces what is not equal, and then, under lock, moves the positions, records the period and commits.
func (i *install) fill(ctx context.Context, todo todo, c *pinflow.Comparison) error {
	ctx, cancel := i.s.untilClosed(ctx)
	defer cancel()
	i.s.fills.Add(1)
	filled := sync.OnceFunc(func() { i.s.fills.Add(-1) })
	defer filled()
	conn, err := i.s.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	tx, err := conn.BeginTx(context.WithoutCancel(ctx), nil)
	if err != nil {
		return err
	}
	for _, t := range i.g.order {
		if err := i.replace(ctx, tx, t, todo.states[t.Name]); err != nil {
			i.s.rollBack(ctx, tx, err)
			return fmt.Errorf("rows of %s: %w", t.Name, err)
		}
	}
	if err := i.s.lock(ctx, i.op); err != nil {
		i.s.rollBack(ctx, tx, err)
		return err
	}
	defer i.s.unlock()
	defer i.locked(time.Now())
	// The transaction's snapshot is as old as its first statement: what others may have changed since is read beside it.
	if err = nextComparison(ctx, i.s.writer, c); err == nil {
		err = i.finish(ctx, tx, todo.plan, c)
	}
	if err != nil {
		i.s.rollBack(ctx, tx, err)
		return err
	}
	if err := tx.Commit(); err != nil {
		return &unsureError{err}
	}
	filled()
	i.g.installs++
	for _, t := range i.g.order {
		if err := t.count(context.WithoutCancel(ctx), i.s.writer); err != nil {
			i.s.o.Log.Warn("rows were not counted", "table", t.Name, "error", err)
		}
	}
	i.s.announce()
	i.s.maintain(ctx, i.g)
	return nil
}

// finish moves the positions and records the period.
func (i *install) finish(ctx context.Context, tx *sql.Tx, plan protocol.InstallPlan, c *pinflow.Comparison) error {
	if err := i.move(ctx, tx, plan.Moves); err != nil {
		return err
	}
	if err := i.record(ctx, tx); err != nil {
		return err
	}
	if err := i.g.showRecent(ctx, tx, i.s.o.File); err != nil {
		return err
	}
	return recordComparison(ctx, tx, c)
}

// move moves the positions that the period's end is ahead of.
func (i *install) move(ctx context.Context, tx *sql.Tx, moves map[pinflow.TopicPartition]pinflow.Progress) error {
	partitions := make([]pinflow.TopicPartition, 0, len(moves))
	for tp := range moves {
		partitions = append(partitions, tp)
	}
	slices.SortFunc(partitions, pinflow.TopicPartition.Compare)
	for _, tp := range partitions {
		to := moves[tp]
		result, err := tx.ExecContext(ctx, `UPDATE _pinflow.progress SET next_offset = ?, period = ? WHERE generation = ? AND topic = ? AND "partition" = ?`,
			to.NextOffset, int64(to.Period), i.g.name, tp.Topic, tp.Partition)
		if err != nil {
			return err
		}
		n, err := result.RowsAffected()
		if err == nil && n == 0 {
			_, err = tx.ExecContext(ctx, "INSERT INTO _pinflow.progress VALUES (?, ?, ?, ?, ?)", i.g.name, tp.Topic, tp.Partition, to.NextOffset, int64(to.Period))
		}
		if err != nil {
			return err
		}
	}
	return nil
}
