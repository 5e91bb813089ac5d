package duckdb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
)

// bench is a place to work on one batch: a scratch database with a table for each model's rows and each
// partial, and a connection on which SQL finds sources and models by their names. The tables are empty
// between batches.
type bench struct {
	engine  *Engine
	conn    *sql.Conn
	scratch string
	sources []*source // as in the plan
	models  []*model
	broken  bool // a table could not be emptied
}

// model is a model of the plan on a bench.
type model struct {
	*pinflow.PlannedModel
	source   *source
	cleaning *cleaning
	reject   string    // the column of the cleaning's table that tells why a row is rejected
	table    string    // qualified: _period, _topic, the columns, _reject; the cleaning's, or a view of it
	rows     string    // qualified: the view that yields what the store keeps, "" if it keeps none
	partials []partial // over accepted rows
	entity   *entity   // of a model with a key
}

func (e *Engine) newBench(ctx context.Context) (*bench, error) {
	fail := func(err error) error {
		return &pinflow.Error{Op: "start live engine", On: e.plan.Generation, Kind: pinflow.KindOf(err), Err: err}
	}
	scratch, err := e.instance.Scratch(ctx)
	if err != nil {
		return nil, err
	}
	b := &bench{engine: e, scratch: scratch}
	if b.conn, err = e.instance.DB.Conn(ctx); err == nil {
		err = b.setUp(ctx)
	}
	if err != nil {
		_ = b.close() // what matters is why it could not be set up
		return nil, fail(err)
	}
	return b, nil
}

func (b *bench) setUp(ctx context.Context) error {
	p := b.engine.plan
	for i := range p.Sources {
		s, err := newSource(fmt.Sprintf("pinflow_%s_%d", b.scratch, i), &p.Sources[i], b.engine.schemas[i], &b.engine.texts)
		if err == nil {
			s.threads = b.engine.threads
			err = s.register(ctx, b.conn, &p.Sources[i])
		}
		if err != nil {
			return err
		}
		b.sources = append(b.sources, s)
	}
	for i := range p.Models {
		m, err := b.newModel(&p.Models[i])
		if err != nil {
			return err
		}
		if m.cleaning, err = b.cleaningOf(ctx, m); err != nil {
			return err
		}
		b.models = append(b.models, m)
	}
	for _, m := range b.models {
		if err := b.setUpModel(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) newModel(planned *pinflow.PlannedModel) (*model, error) {
	p := b.engine.plan
	at := slices.IndexFunc(p.Sources, func(s pinflow.PlannedSource) bool { return s.Name == planned.Source })
	if at < 0 {
		return nil, fmt.Errorf("the plan has no source %s", planned.Source)
	}
	m := &model{PlannedModel: planned, source: b.sources[at], table: b.scratch + "." + duck.Quote("model "+planned.Name), reject: "_reject"}
	if planned.Accepted.Table != "" {
		if err := b.addTo(&m.partials, b.scratch, planned.Accepted); err != nil {
			return nil, err
		}
	}
	if len(planned.Key) > 0 {
		m.entity = &entity{model: m}
		return m, nil
	}
	if planned.Table != "" {
		m.rows = b.scratch + "." + duck.Quote("rows "+planned.Name)
	}
	return m, b.addTo(&m.partials, b.scratch, m.metrics(p)...)
}

// metrics are the partials of the metrics over the model.
func (m *model) metrics(p *pinflow.Plan) (all []pinflow.Partial) {
	for i := range p.Metrics {
		if p.Metrics[i].Model == m.Name {
			all = append(all, p.Metrics[i].Partials...)
		}
	}
	return all
}

// setUpModel makes a model's tables and views, and has DuckDB read every text, to find those it does not take.
func (b *bench) setUpModel(ctx context.Context, m *model) error {
	for i := range m.partials {
		m.partials[i].used = true
	}
	if err := b.empty(ctx, m); err != nil {
		return err
	}
	if m.table != m.cleaning.table {
		at := slices.IndexFunc(b.sharing(m.cleaning), func(o *model) bool { return o == m })
		m.reject = m.cleaning.rejects[at]
		if err := b.exec(ctx, "CREATE VIEW "+m.table+" AS SELECT "+list(m.rowColumns())+", "+m.reject+" AS _reject FROM "+m.cleaning.table); err != nil {
			return err
		}
	}
	if err := b.show(ctx, m, ""); err != nil {
		return err
	}
	if m.rows != "" {
		if err := b.exec(ctx, "CREATE VIEW "+m.rows+" AS SELECT "+list(m.rowColumns())+" FROM "+m.table+" WHERE _reject IS NULL"); err != nil {
			return err
		}
	}
	texts := []string{m.SQL}
	if m.Careful != "" {
		texts = append(texts, m.Careful)
	}
	for _, p := range m.partials {
		texts = append(texts, p.SQL)
	}
	if err := explain(ctx, b.conn, texts); err != nil || m.entity == nil {
		return err
	}
	return m.entity.setUp(ctx, b)
}

// sharing are the models of a cleaning, in the order of its rejects.
func (b *bench) sharing(c *cleaning) []*model {
	return slices.DeleteFunc(slices.Clone(b.models), func(m *model) bool { return m.cleaning != c })
}

func explain(ctx context.Context, conn *sql.Conn, texts []string) error {
	for _, text := range texts {
		if _, err := conn.ExecContext(ctx, "EXPLAIN "+text); err != nil {
			return err
		}
	}
	return nil
}

// show makes the view by which partials know the model: its accepted rows, or those of them that a condition picks.
func (b *bench) show(ctx context.Context, m *model, condition string) error {
	if condition != "" {
		condition = " AND " + condition
	}
	columns := append([]pinflow.Column{{Name: "_period"}}, m.Columns...)
	return b.exec(ctx, "CREATE OR REPLACE TEMP VIEW "+duck.Quote(m.Name)+" AS SELECT "+list(columns)+" FROM "+m.cleaning.table+" WHERE "+m.reject+" IS NULL"+condition)
}

// empty makes the tables anew that a batch has used.
func (b *bench) empty(ctx context.Context, m *model) error {
	var rows []string
	c := m.cleaning
	if c.used {
		rows = append(rows, createTable(c.table, c.tableColumns()))
	}
	if err := empty(ctx, b.conn, m.partials, rows...); err != nil {
		return err
	}
	c.used, c.done = false, false
	clear(c.failed)
	if m.entity == nil {
		return nil
	}
	return m.entity.empty(ctx)
}

func createTable(name string, columns []pinflow.Column) string {
	parts := make([]string, len(columns))
	for i, c := range columns {
		parts[i] = duck.Quote(c.Name) + " " + c.Type
	}
	return "CREATE OR REPLACE TABLE " + name + " (" + strings.Join(parts, ", ") + ")"
}

func (b *bench) exec(ctx context.Context, statement string) error {
	_, err := b.conn.ExecContext(ctx, statement)
	return err
}

// finish empties the bench and gives it back; a bench that cannot be emptied is thrown away.
func (b *bench) finish() {
	engine := b.engine
	for _, s := range b.sources {
		s.unload()
	}
	ctx := context.Background() // must not be left half done
	for _, m := range b.models {
		if err := b.empty(ctx, m); err != nil {
			b.broken = true
		}
	}
	if b.broken {
		_ = b.close() // there is nobody to tell, and the next one is new
		b = nil
	}
	engine.give(b)
}

func (b *bench) close() error {
	err := discard(b.conn)
	for _, m := range b.models {
		if m.entity != nil {
			err = errors.Join(err, m.entity.close(b.engine.instance))
		}
	}
	return errors.Join(err, b.engine.instance.Detach(context.Background(), b.scratch))
}

// discard closes a connection for good: in the pool, its views would hide what others mean by their names.
func discard(conn *sql.Conn) error {
	if conn == nil {
		return nil
	}
	if err := conn.Raw(func(any) error { return driver.ErrBadConn }); err != nil && !errors.Is(err, driver.ErrBadConn) {
		return err
	}
	return nil
}

func (m *model) rowColumns() []pinflow.Column { return rowColumns(m.Columns) }

// list writes the names of columns.
func list(columns []pinflow.Column) string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = duck.Quote(c.Name)
	}
	return strings.Join(names, ", ")
}
