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

// install is a period on its way into a generation's tables, on one connection, where its rows lie in temporary tables.
type install struct {
	s      *Store
	op     string
	in     pinflow.Installation
	ranges []protocol.Range
	g      *generation
	conn   *pgx.Conn
	temps  int               // temporary tables made
	placed map[string]string // the period's rows by table, as SQL reads them
	// compared is the outcome by table, nil if nothing was compared. It was so at these positions, and behind so many installs.
	compared map[string]*outcome
	at       map[pinflow.TopicPartition]pinflow.Progress
	installs int64
	all      bool // the rows of installed periods are compared too
}

// Install implements pinflow.BatchStore. What takes long is done before the positions are locked: rows of the period are brought to the server
// and compared with the live rows, which once every position is past the period's end only an install can change.
func (s *Store) Install(ctx context.Context, in pinflow.Installation) (c *pinflow.Comparison, err error) {
	i := &install{s: s, op: "install period", in: in}
	start := time.Now()
	err = i.on(ctx, func() (err error) { c, err = i.install(ctx); return err })
	if c == nil || !c.Unchanged {
		s.metrics.installed(err, time.Since(start))
	}
	if err == nil && !c.Unchanged {
		s.goBeside(func() { s.summarize(i.g) })
	}
	return c, err
}

// summarize has the indexes tell where the rows of the period lie, and those that came since the last one. The server would do it some day; until then each install would
// look through all of these.
func (s *Store) summarize(g *generation) {
	const query = `SELECT count(brin_summarize_new_values(i.indexrelid)) FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid JOIN pg_am AS a ON a.oid = c.relam
		WHERE a.amname = 'brin' AND c.relnamespace = $1::text::regnamespace`
	if _, err := s.db.Exec(s.ctx, query, schemaOf(g.name)); err != nil && s.ctx.Err() == nil {
		s.o.Log.Debug("indexes were not brought up to date, what is read is right all the same", "generation", g.name, "error", err)
	}
}

// on runs f on a connection of its own, with what is known of the generation, again where that is safe.
func (i *install) on(ctx context.Context, f func() error) error {
	var err error
	if i.g, err = i.s.find(ctx, i.op, i.in.Generation); err != nil {
		return err
	}
	i.ranges = rangesOf(i.in.Ranges)
	err = i.s.retry(ctx, func() error {
		conn, err := i.s.acquire(ctx)
		if err != nil {
			return err
		}
		defer conn.Release()
		i.conn, i.placed = conn.Conn(), map[string]string{}
		i.forget()
		defer closeConn(i.conn) // and with it its temporary tables
		return f()
	})
	return failed(i.op, i.name(), err)
}

func (i *install) install(ctx context.Context) (*pinflow.Comparison, error) {
	plan, err := i.look(ctx)
	if err != nil || plan.Skip {
		return i.unchanged(), err
	}
	if err := i.place(ctx); err != nil {
		return nil, err
	}
	for {
		if plan.Compare {
			if err := i.compare(ctx); err != nil {
				return nil, err
			}
		}
		c, again, err := i.put(ctx)
		if !again || err != nil {
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

// look decides what is to be done as things stand now.
func (i *install) look(ctx context.Context) (protocol.InstallPlan, error) {
	var at map[pinflow.TopicPartition]pinflow.Progress
	err := i.s.answered(ctx, func(ctx context.Context) (err error) {
		at, err = progress(ctx, i.conn, ofGeneration, i.g.name)
		return err
	})
	if err != nil {
		return protocol.InstallPlan{}, err
	}
	return i.plan(ctx, at)
}

// plan decides, given the positions. A period that is to wait for the one before is a Fenced error.
func (i *install) plan(ctx context.Context, at map[pinflow.TopicPartition]pinflow.Progress) (protocol.InstallPlan, error) {
	var installed, there bool
	const query = `SELECT EXISTS (SELECT FROM _pinflow.installed WHERE generation = $1 AND period = $2), EXISTS (SELECT FROM _pinflow.generations WHERE generation = $1)`
	err := i.s.answered(ctx, func(ctx context.Context) error {
		return i.conn.QueryRow(ctx, query, i.g.name, int64(i.in.Period)).Scan(&installed, &there)
	})
	if err != nil {
		return protocol.InstallPlan{}, err
	}
	if !there {
		i.s.forget(i.g.name)
		return protocol.InstallPlan{}, noGeneration(i.op, i.g.name)
	}
	p := protocol.PlanInstall(at, i.ranges, i.in.Next, installed, i.in.Again)
	if len(p.Early) > 0 && !p.Skip {
		return p, &pinflow.Error{Op: i.op, On: i.name(), Kind: pinflow.Fenced, Hint: "Install the period before first.",
			Err: fmt.Errorf("%s stands before the period's start", p.Early[0])}
	}
	return p, nil
}

// place brings all rows of the period to the server.
func (i *install) place(ctx context.Context) error {
	for _, a := range i.in.Added {
		t := i.g.tables[a.Table]
		if t == nil || i.placed[a.Table] != "" {
			return invalid(i.op, a.Table, "", errors.New("the generation has no such table, or it is named twice"))
		}
		name, err := i.bring(ctx, t.columns, a.Rows)
		if err != nil {
			return fmt.Errorf("rows of %s: %w", a.Table, err)
		}
		i.placed[a.Table] = name
	}
	return nil
}

// bring copies rows into a new temporary table.
func (i *install) bring(ctx context.Context, columns []pinflow.Column, rows pinflow.Relation) (name string, err error) {
	name = i.temporary()
	list, err := columnList(columns)
	if err != nil {
		return "", err
	}
	if err := i.run(ctx, "CREATE TEMPORARY TABLE "+name+" "+list); err != nil {
		return "", err
	}
	if _, err := i.s.copyInto(ctx, i.conn, name, columns, rows, nil); err != nil {
		return "", err
	}
	return name, i.run(ctx, "ANALYZE "+name)
}

// temporary is a name that no table of the connection has.
func (i *install) temporary() string {
	i.temps++
	return tempName(fmt.Sprintf("install %d", i.temps))
}

// run carries out statements that take no parameters.
func (i *install) run(ctx context.Context, statements ...string) error {
	for _, statement := range statements {
		if err := i.s.patiently(ctx, i.conn, func(ctx context.Context) error { return runOn(ctx, i.conn, statement) }); err != nil {
			return err
		}
	}
	return nil
}

// rows is what SQL reads as the period's rows of a table, which may be none.
func (i *install) rows(t *table) string {
	if from := i.placed[t.Name]; from != "" {
		return from
	}
	return "(SELECT * FROM " + t.name + " WHERE false)"
}

// has tells whether the period may have rows of a table.
func (i *install) has(t *table) bool { return i.placed[t.Name] != "" }

// put is the transaction of the install. again means that what was compared before does not hold any more.
func (i *install) put(ctx context.Context) (c *pinflow.Comparison, again bool, err error) {
	tx, err := i.begin(ctx, pgx.TxOptions{})
	if err != nil {
		return nil, false, err
	}
	defer i.s.rollBack(ctx, tx) // nothing once it is committed
	at, err := i.lock(ctx)
	if err != nil {
		return nil, false, err
	}
	defer func(since time.Time) { i.s.metrics.installLocked(time.Since(since)) }(time.Now())
	plan, err := i.plan(ctx, at)
	if err != nil || plan.Skip {
		return i.unchanged(), false, err
	}
	again, err = i.check(ctx, plan, at)
	if err != nil || again {
		return nil, again, err
	}
	if c, err = i.fill(ctx, plan, at); err != nil {
		return nil, false, err
	}
	if err := i.s.patiently(ctx, i.conn, tx.Commit); err != nil {
		return nil, false, &unsureError{err}
	}
	i.s.announce()
	return c, false, nil
}

func (i *install) begin(ctx context.Context, o pgx.TxOptions) (tx pgx.Tx, err error) {
	err = i.s.answered(ctx, func(ctx context.Context) error { tx, err = i.conn.BeginTx(ctx, o); return err })
	return tx, err
}

// lock keeps commits, merges and other installs of the generation away until the transaction ends, and returns the positions. A partition
// that nobody has claimed gets one, or else somebody could claim it meanwhile.
func (i *install) lock(ctx context.Context) (map[pinflow.TopicPartition]pinflow.Progress, error) {
	var at map[pinflow.TopicPartition]pinflow.Progress
	b := &pgx.Batch{}
	b.Queue("SET LOCAL idle_in_transaction_session_timeout = '10min'") // who asks for a state may have to read for long
	b.Queue("SELECT pg_advisory_xact_lock("+mergeLock+")", i.g.name)
	b.Queue("SELECT FROM _pinflow.generations WHERE generation = $1 FOR KEY SHARE", i.g.name)
	for _, r := range i.ranges {
		b.Queue("INSERT INTO _pinflow.progress VALUES ($1, $2, $3, 0, $4) ON CONFLICT DO NOTHING", i.g.name, r.Topic, r.Partition, int64(pinflow.NoPeriod))
	}
	b.Queue(`SELECT topic, "partition", next_offset, period FROM _pinflow.progress `+ofGeneration+inOrder, i.g.name).Query(func(rows pgx.Rows) (err error) {
		at, err = scanProgress(rows)
		return err
	})
	err := i.s.patiently(ctx, i.conn, func(ctx context.Context) error { return i.conn.SendBatch(ctx, b).Close() })
	return at, err
}

// check sees whether what was compared still holds. What it finds holds until the transaction ends.
func (i *install) check(ctx context.Context, plan protocol.InstallPlan, at map[pinflow.TopicPartition]pinflow.Progress) (again bool, err error) {
	if !plan.Compare {
		i.forget()
		return false, nil
	}
	installs, err := i.countInstalls(ctx)
	if err != nil || i.compared == nil || installs != i.installs {
		return true, err
	}
	return false, i.refresh(ctx, at)
}

// fill replaces what is not equal, moves the positions and records the period.
func (i *install) fill(ctx context.Context, plan protocol.InstallPlan, at map[pinflow.TopicPartition]pinflow.Progress) (*pinflow.Comparison, error) {
	i.at = at
	for _, t := range i.g.order {
		if err := i.replace(ctx, t); err != nil {
			return nil, fmt.Errorf("rows of %s: %w", t.Name, err)
		}
	}
	b := &pgx.Batch{}
	for _, tp := range sorted(plan.Moves) {
		to := plan.Moves[tp]
		b.Queue(`UPDATE _pinflow.progress SET next_offset = $1, period = $2 WHERE generation = $3 AND topic = $4 AND "partition" = $5`,
			to.NextOffset, int64(to.Period), i.g.name, tp.Topic, tp.Partition)
	}
	c := i.comparison(plan.Why)
	if err := i.record(b); err != nil {
		return nil, err
	}
	if err := recordComparison(b, c); err != nil {
		return nil, err
	}
	b.Queue(announceSQL, i.s.id)
	return c, i.s.patiently(ctx, i.conn, func(ctx context.Context) error { return i.conn.SendBatch(ctx, b).Close() })
}

func rangesOf(installed []pinflow.InstalledRange) []protocol.Range {
	ranges := make([]protocol.Range, len(installed))
	for j, r := range installed {
		ranges[j] = protocol.Range{TopicPartition: r.TopicPartition, Start: r.Start, End: r.End}
	}
	return ranges
}
