package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/pinflow/pinflow"
)

// generation is what is known here of a generation's tables. They never change.
type generation struct {
	name   string
	tables map[string]*table
	order  []*table // as in the plan
}

// table is a table of a generation.
type table struct {
	pinflow.Table
	name    string           // qualified and quoted
	columns []pinflow.Column // all of them, in order
	growth  growth           // of kind Partials
}

func newTable(generation string, t pinflow.Table) (*table, error) {
	made := &table{Table: t, name: named(generation, t.Name), columns: columns(&t), growth: growth{periods: map[pinflow.Period]*grown{}}}
	_, err := encoders(made.columns) // so that a type that there is not is found at once
	return made, err
}

// find returns what is known of a generation's tables; one that there is not is an Invalid error.
func (s *Store) find(ctx context.Context, op, name string) (*generation, error) {
	s.mu.Lock()
	g := s.generations[name]
	s.mu.Unlock()
	if g != nil {
		return g, nil
	}
	var text string
	err := s.soon(ctx, func(ctx context.Context) error {
		return s.db.QueryRow(ctx, "SELECT tables FROM _pinflow.generations WHERE generation = $1", name).Scan(&text)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, noGeneration(op, name)
	}
	if err != nil {
		return nil, failed(op, "generation "+name, err)
	}
	if g, err = readGeneration(name, text); err != nil {
		return nil, &pinflow.Error{Op: op, On: "generation " + name, Err: err}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if have := s.generations[name]; have != nil {
		return have, nil
	}
	s.generations[name] = g
	return g, nil
}

// forget drops what is known of a generation that is no more.
func (s *Store) forget(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.generations, name)
}

func readGeneration(name, text string) (*generation, error) {
	var tables []pinflow.Table
	if err := json.Unmarshal([]byte(text), &tables); err != nil {
		return nil, err
	}
	g := &generation{name: name, tables: map[string]*table{}}
	for _, t := range tables {
		made, err := newTable(name, t)
		if err != nil {
			return nil, fmt.Errorf("table %s: %w", t.Name, err)
		}
		g.tables[t.Name], g.order = made, append(g.order, made)
	}
	return g, nil
}

// Prepare implements pinflow.LiveStore. It changes nothing if the generation is there already.
func (s *Store) Prepare(ctx context.Context, p *pinflow.Plan) error {
	const op = "prepare store"
	kept, err := textsOf(p)
	if err == nil {
		err = checkNames(p)
	}
	if err != nil {
		return failed(op, p.Generation, err)
	}
	done, err := s.prepared(ctx, p, kept)
	if err != nil || done {
		return failed(op, p.Pipeline, err)
	}
	s.makeReader(ctx, p.Pipeline)
	return s.write(ctx, op, p.Pipeline, func(tx pgx.Tx) error { return s.prepare(ctx, tx, p, kept) })
}

// prepared tells whether all is as Prepare would make it, so that nothing need be written.
func (s *Store) prepared(ctx context.Context, p *pinflow.Plan, kept texts) (done bool, err error) {
	err = s.soon(ctx, func(ctx context.Context) error {
		return s.db.QueryRow(ctx, `SELECT EXISTS (SELECT FROM _pinflow.store, _pinflow.generations WHERE pipeline = $1 AND current IS NOT NULL AND generation = $2 AND tables = $3 AND views = $4 AND plan = $5)`,
			p.Pipeline, p.Generation, kept.tables, kept.views, kept.plan).Scan(&done)
	})
	return done, err
}

func (s *Store) prepare(ctx context.Context, tx pgx.Tx, p *pinflow.Plan, kept texts) error {
	current, err := s.lockStore(ctx, tx, p)
	if err != nil {
		return err
	}
	var have texts
	err = tx.QueryRow(ctx, "SELECT tables, views, plan FROM _pinflow.generations WHERE generation = $1", p.Generation).Scan(&have.tables, &have.views, &have.plan)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		err = createGeneration(ctx, tx, p, kept)
	case err != nil:
	case have.tables != kept.tables:
		err = invalid("prepare store", p.Generation, "Give another --store, or the version of Pinflow that made it.", errors.New("the generation was made with other tables"))
	case have != kept:
		if _, err = tx.Exec(ctx, "UPDATE _pinflow.generations SET views = $2, plan = $3 WHERE generation = $1", p.Generation, kept.views, kept.plan); err == nil {
			err = createReports(ctx, tx, p)
		}
	}
	if err != nil || current != "" && (current != p.Generation || have.views == kept.views) {
		return err
	}
	return s.pointViews(ctx, tx, p.Pipeline, p.Generation, viewsOf(p))
}

// lockStore keeps everybody else from preparing, switching and dropping until the transaction ends, and returns the current generation. Another pipeline
// than the store's is refused, and a name that would hide something.
func (s *Store) lockStore(ctx context.Context, tx pgx.Tx, p *pinflow.Plan) (current string, err error) {
	var pipeline string
	if err := tx.QueryRow(ctx, "SELECT coalesce(pipeline, ''), coalesce(current, '') FROM _pinflow.store FOR UPDATE").Scan(&pipeline, &current); err != nil {
		return "", err
	}
	if pipeline != "" && pipeline != p.Pipeline {
		return "", invalid("prepare store", p.Pipeline, "Give each pipeline a --store of its own: another database on the same server will do.",
			fmt.Errorf("the store holds the pipeline %q", pipeline))
	}
	if pipeline != "" {
		return current, nil
	}
	var taken bool
	if err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)", p.Pipeline).Scan(&taken); err != nil {
		return "", err
	}
	if taken && p.Pipeline != "public" || p.Pipeline == "" || strings.HasPrefix(p.Pipeline, "_") || strings.HasPrefix(p.Pipeline, "pg_") {
		return "", invalid("prepare store", p.Pipeline, "Choose another name for the pipeline, or another database.", errors.New("the database has a schema of that name already, or keeps the name for itself"))
	}
	return "", nil
}

func createGeneration(ctx context.Context, tx pgx.Tx, p *pinflow.Plan, kept texts) error {
	statements := []string{"CREATE SCHEMA " + schemaOf(p.Generation)}
	for _, t := range p.Tables {
		more, err := createTable(p.Generation, t)
		if err != nil {
			return invalid("prepare store", "table "+t.Name, "", err)
		}
		statements = append(statements, more...)
	}
	if err := run(ctx, tx, statements...); err != nil {
		return err
	}
	if err := createReports(ctx, tx, p); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, "INSERT INTO _pinflow.generations (generation, tables, views, plan, made_at) VALUES ($1, $2, $3, $4, now())", p.Generation, kept.tables, kept.views, kept.plan)
	return err
}

// run carries out statements that take no parameters, each by itself so that an error tells of one.
func run(ctx context.Context, tx pgx.Tx, statements ...string) error {
	return runOn(ctx, tx.Conn(), statements...)
}

func runOn(ctx context.Context, conn *pgx.Conn, statements ...string) error {
	for _, statement := range statements {
		if _, err := conn.PgConn().Exec(ctx, statement).ReadAll(); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

// createTable are the statements that make a table and its index. No keys, no NOT NULL: the fence keeps out what is there already, and an index of
// each row would cost every commit more than the row does. Rows come in the order of their periods and offsets, which a BRIN index tells at little cost.
func createTable(generation string, t pinflow.Table) ([]string, error) {
	made, err := newTable(generation, t)
	if err != nil {
		return nil, err
	}
	list, err := columnList(made.columns)
	if err != nil {
		return nil, err
	}
	index := func(how string) string { return "CREATE INDEX ON " + made.name + " USING " + how }
	table := "CREATE TABLE " + made.name + " " + list
	switch t.Kind {
	case pinflow.Partials:
		return []string{table, index("brin (_period) WITH (pages_per_range = 32)")}, nil
	case pinflow.Entities:
		return []string{table + " WITH (fillfactor = 85)", index(made.keyIndex())}, nil
	case pinflow.Rejects:
		return []string{table, index(`brin ("partition", "offset") WITH (pages_per_range = 32)`)}, nil
	}
	return []string{table, index(`brin (_partition, _offset) WITH (pages_per_range = 32)`)}, nil
}

// texts are a plan as the store remembers it, and its tables and views by themselves.
type texts struct{ tables, views, plan string }

func textsOf(p *pinflow.Plan) (texts, error) {
	var made [3]string
	for i, part := range []any{p.Tables, viewsOf(p), p} {
		text, err := json.Marshal(part)
		if err != nil {
			return texts{}, err
		}
		made[i] = string(text)
	}
	return texts{made[0], made[1], made[2]}, nil
}

// checkNames refuses names that PostgreSQL would cut: of what users read all, of what they don't those that would become the same.
func checkNames(p *pinflow.Plan) error {
	refuse := func(what, name string) error {
		return invalid("prepare store", what+" "+name, "Choose shorter names.", fmt.Errorf("PostgreSQL's names have %d bytes at the most", maxName))
	}
	if len(p.Pipeline)+len(readerSuffix) > maxName || len(schemaOf(p.Generation)) > maxName {
		return refuse("pipeline", p.Pipeline)
	}
	for _, v := range viewsOf(p) {
		for _, name := range append(namesOf(v.Columns), v.Name) {
			if len(name) > maxName {
				return refuse("view "+v.Name+":", name)
			}
		}
	}
	tables := map[string]bool{}
	for _, t := range p.Tables {
		if same(tables, t.Name) {
			return refuse("table", t.Name)
		}
		have := map[string]bool{}
		for _, c := range columns(&t) {
			if same(have, c.Name) {
				return refuse("table "+t.Name+":", c.Name)
			}
		}
	}
	for _, r := range p.Reports {
		if same(tables, reportTable(r.Name)) {
			return refuse("report", r.Name)
		}
	}
	return nil
}

// same tells whether PostgreSQL has cut another name to what it cuts name to.
func same(have map[string]bool, name string) bool {
	if len(name) > maxName {
		name = strings.ToValidUTF8(name[:maxName], "")
	}
	was := have[name]
	have[name] = true
	return was
}

func namesOf(columns []pinflow.Column) []string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.Name
	}
	return names
}

// viewsOf are the plan's views, and those of the rejects and of the reports if it has none of their names.
func viewsOf(p *pinflow.Plan) []pinflow.View {
	views := slices.Clone(p.Views)
	add := func(name, text string, columns []pinflow.Column) {
		if !slices.ContainsFunc(views, func(v pinflow.View) bool { return v.Name == name }) {
			views = append(views, pinflow.View{Name: name, Columns: columns, Postgres: text})
		}
	}
	if t := p.Table("rejects"); t != nil && t.Kind == pinflow.Rejects {
		add(t.Name, "SELECT * FROM {gen}."+quote(t.Name), t.Keys)
	}
	for _, r := range p.Reports {
		add(r.Name, "SELECT * FROM {gen}."+quote(reportTable(r.Name)), r.Columns)
	}
	return views
}

// Current returns the generation that the stable views read, "" if nothing has been prepared yet.
func (s *Store) Current(ctx context.Context) (current string, err error) {
	err = s.soon(ctx, func(ctx context.Context) error {
		return s.db.QueryRow(ctx, "SELECT coalesce(current, '') FROM _pinflow.store").Scan(&current)
	})
	return current, failed("read current generation", s.place, err)
}
