package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/protocol"
)

// Commit implements pinflow.LiveStore. An error of Kind Unavailable means that nothing was applied, or that the fence will
// tell: the same delta can be tried again and is applied once at the most.
func (s *Store) Commit(ctx context.Context, d pinflow.Delta) error {
	const op = "commit"
	start := time.Now()
	g, err := s.find(ctx, op, d.Generation)
	if err != nil {
		return err
	}
	var c *commit
	err = s.retry(ctx, func() error {
		c = &commit{s: s, g: g, d: d, added: map[*table]map[pinflow.Period]int64{}}
		return c.run(ctx)
	})
	err = failed(op, onAdvances(d.Advances), err)
	s.metrics.committed(err, time.Since(start))
	if err != nil {
		return err
	}
	s.announce()
	s.grow(ctx, g, c.added)
	return nil
}

// commit is an attempt to apply a delta.
type commit struct {
	s     *Store
	g     *generation
	d     pinflow.Delta
	conn  *pgx.Conn
	added map[*table]map[pinflow.Period]int64 // rows of partials by period
	last  *pgx.Batch                          // what is to be done at the end
}

// run copies the rows into the tables, where nobody sees them yet, and then takes the fence and commits. Who ends in the middle has held nobody up. Only what
// changes the row of a key has to look at the one that stands, and so comes behind the fence.
func (c *commit) run(ctx context.Context) error {
	conn, err := c.s.acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release() // which drops one that is in a transaction still
	c.conn, c.last = conn.Conn(), &pgx.Batch{}
	if err := c.makeStages(ctx); err != nil {
		return err
	}
	if err = c.s.answered(ctx, func(ctx context.Context) error { return c.fence(ctx, "", "BEGIN") }); err == nil {
		err = c.apply(ctx)
	}
	if err != nil {
		c.rollBack(ctx)
		return err
	}
	return c.end(ctx)
}

func (c *commit) apply(ctx context.Context) error {
	if err := c.add(ctx, c.d.Added); err != nil {
		return err
	}
	for i := range c.d.Changes {
		if err := c.stage(ctx, &c.d.Changes[i]); err != nil {
			return fmt.Errorf("rows of %s: %w", c.d.Changes[i].Table, err)
		}
	}
	before := []string{giveWay}
	if len(c.d.Changes) > 0 {
		before = append(before, byIndex[:]...)
	}
	if err := c.s.answered(ctx, func(ctx context.Context) error { return c.fence(ctx, inOrder, before...) }); err != nil {
		return err
	}
	for i := range c.d.Changes {
		if err := c.change(ctx, &c.d.Changes[i]); err != nil {
			return fmt.Errorf("rows of %s: %w", c.d.Changes[i].Table, err)
		}
	}
	return nil
}

// giveWay has a worker that is paused behind its fence lose the lock on its partitions before they go to another one, who would wait for it.
const giveWay = "SET LOCAL idle_in_transaction_session_timeout = '5s'"

// rollBack ends a transaction whose error is told already. A connection that does not even do that is dropped.
func (c *commit) rollBack(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if !c.conn.IsClosed() && c.conn.PgConn().TxStatus() != 'I' {
		_, _ = c.conn.Exec(ctx, "ROLLBACK")
	}
}

// end moves the positions, and commits. Behind the fence nothing of it is refused. An error leaves open whether it was carried out, unless the server tells of a statement.
func (c *commit) end(ctx context.Context) error {
	for _, a := range c.d.Advances {
		c.last.Queue(`UPDATE _pinflow.progress SET next_offset = $1, period = greatest(period, $2) WHERE generation = $3 AND topic = $4 AND "partition" = $5`,
			a.End, int64(a.Period), c.g.name, a.Topic, a.Partition)
	}
	c.last.Queue(announceSQL, c.s.id)
	c.last.Queue("COMMIT")
	err := c.s.answered(ctx, func(ctx context.Context) error { return c.conn.SendBatch(ctx, c.last).Close() })
	if err == nil {
		return nil
	}
	c.rollBack(ctx)
	if code(err) == "" || isConnection(err) {
		return &unsureError{err}
	}
	return err
}

const (
	lookPositions = `SELECT topic, "partition", next_offset, period FROM _pinflow.progress
		WHERE generation = $1 AND (topic, "partition") IN (SELECT * FROM unnest($2::text[], $3::integer[]))`
	lookState = `SELECT g.generation IS NOT NULL, s.current IS NOT DISTINCT FROM $1 AND h.until > clock_timestamp(), h.generation, h.until
		FROM _pinflow.store AS s LEFT JOIN _pinflow.generations AS g ON g.generation = $1 LEFT JOIN _pinflow.hold AS h ON true`
)

// fence looks at the positions, and at what else decides whether the delta may go in. It refuses
// one that does not start where its partitions stand, or that must wait. With locks, nobody else moves them until the transaction ends. Statements go before.
func (c *commit) fence(ctx context.Context, locks string, before ...string) error {
	topics, partitions := make([]string, len(c.d.Advances)), make([]int32, len(c.d.Advances))
	for i, a := range c.d.Advances {
		if a.End < a.Start {
			return invalid("commit", a.TopicPartition.String(), "", fmt.Errorf("the advance ends at %d, before its start %d", a.End, a.Start))
		}
		topics[i], partitions[i] = a.Topic, a.Partition
	}
	var at map[pinflow.TopicPartition]pinflow.Progress
	var there bool
	var held *bool
	var successor *string
	var until *time.Time
	b := &pgx.Batch{}
	for _, statement := range before {
		b.Queue(statement)
	}
	b.Queue(lookPositions+locks, c.g.name, topics, partitions).Query(func(rows pgx.Rows) (err error) { at, err = scanProgress(rows); return err })
	b.Queue(lookState, c.g.name).QueryRow(func(row pgx.Row) error { return row.Scan(&there, &held, &successor, &until) })
	if err := c.conn.SendBatch(ctx, b).Close(); err != nil {
		return err
	}
	if !there {
		c.s.forget(c.g.name)
		return noGeneration("commit", c.g.name)
	}
	if err := standsAt(at, c.d.Advances); err != nil {
		return err
	}
	if held != nil && *held {
		return c.waits(ctx, *successor, *until)
	}
	return nil
}

// standsAt refuses advances that do not start where their partitions stand, or in a period that is over.
func standsAt(at map[pinflow.TopicPartition]pinflow.Progress, advances []pinflow.Advance) error {
	for _, a := range advances {
		have, ok := at[a.TopicPartition]
		switch {
		case !ok:
			return fenced(a, errors.New("the partition has not been claimed"))
		case protocol.Fenced(have.NextOffset, a.Start):
			return fenced(a, fmt.Errorf("the position is not at %d any more", a.Start))
		case a.First != 0 && a.Start != a.End && protocol.Stale(have.Period, a.First):
			return fenced(a, errors.New("an install has moved the partition beyond the period of the first record"))
		}
		at[a.TopicPartition] = pinflow.Progress{NextOffset: a.End, Period: max(have.Period, a.Period)}
	}
	return nil
}

func fenced(a pinflow.Advance, why error) error {
	return &pinflow.Error{Op: "commit", On: a.TopicPartition.String(), Kind: pinflow.Fenced, Err: why,
		Hint: "Another worker has gone on: drop what is held for the partition and claim it again."}
}

// waits is the error of a commit that goes beyond the generation that is to take over.
func (c *commit) waits(ctx context.Context, successor string, until time.Time) error {
	at, err := progress(ctx, c.conn, ofGeneration, successor)
	if err != nil {
		return err
	}
	for _, a := range c.d.Advances {
		if to := at[a.TopicPartition].NextOffset; a.End > a.Start && protocol.Held(a.End, to) {
			return &pinflow.Error{Op: "commit", On: a.TopicPartition.String(), Kind: pinflow.Unavailable,
				Err:  fmt.Errorf("%w: generation %s, which stands at %d", pinflow.ErrHeld, successor, to),
				Hint: "Try again: it ends with the switch, or at " + until.UTC().Format(time.RFC3339) + "."}
		}
	}
	return nil
}

// add copies rows into the tables that they are for.
func (c *commit) add(ctx context.Context, all []pinflow.Addition) error {
	for _, a := range all {
		t := c.g.tables[a.Table]
		if t == nil || t.Kind == pinflow.Entities {
			return invalid("commit", a.Table, "", errors.New("the generation has no such table to add to"))
		}
		var each func(period int64)
		if t.Kind == pinflow.Partials {
			if c.added[t] == nil {
				c.added[t] = map[pinflow.Period]int64{}
			}
			each = func(period int64) { c.added[t][pinflow.Period(period)]++ }
		}
		if _, err := c.s.copyInto(ctx, c.conn, t.name, t.columns, a.Rows, each); err != nil {
			return fmt.Errorf("rows of %s: %w", a.Table, err)
		}
	}
	return nil
}

func onAdvances(advances []pinflow.Advance) string {
	switch len(advances) {
	case 0:
		return "no partition"
	case 1:
		return advances[0].TopicPartition.String()
	default:
		return fmt.Sprintf("%s and %d more", advances[0].TopicPartition, len(advances)-1)
	}
}
