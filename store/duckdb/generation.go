package duckdb

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
)

// generation is what the writer knows of a generation's tables.
type generation struct {
	name     string
	tables   map[string]*table
	order    []*table      // as in the plan
	busy     chan struct{} // holds a token while somebody writes into the generation
	installs int64         // since it was loaded: what was compared before one may not hold after it
}

// table is a table of a generation with its rows counted.
type table struct {
	pinflow.Table
	schema         string // quoted
	recent, merged int64  // rows, for kind Partials; rows replaced since, and rows when, it was made anew, for kind Entities
	folds          int64  // since it was loaded
	retry          int64  // after a fold that failed: how many recent rows before the next try
}

// Prepare implements pinflow.LiveStore. It changes nothing if the generation is there already.
func (s *Store) Prepare(ctx context.Context, p *pinflow.Plan) error {
	const op = "prepare store"
	if err := s.lock(ctx, op); err != nil {
		return err
	}
	defer s.unlock()
	kept, err := textsOf(p)
	if err != nil {
		return &pinflow.Error{Op: op, On: p.Generation, Err: err}
	}
	err = s.write(ctx, op, p.Pipeline, func(tx *sql.Tx) error { return s.prepare(ctx, tx, p, kept) })
	if err != nil {
		return err
	}
	if s.generations[p.Generation] != nil {
		return nil
	}
	return s.loadGenerations(ctx)
}

func (s *Store) prepare(ctx context.Context, tx *sql.Tx, p *pinflow.Plan, kept texts) error {
	if err := checkPipeline(ctx, tx, p); err != nil {
		return err
	}
	var have texts
	err := tx.QueryRowContext(ctx, "SELECT tables, views, coalesce(plan, '') FROM _pinflow.generations WHERE generation = ?", p.Generation).Scan(&have.tables, &have.views, &have.plan)
	switch {
	case err == sql.ErrNoRows:
		err = createGeneration(ctx, tx, p, kept)
	case err != nil:
	case have.tables != kept.tables:
		err = invalid("prepare store", p.Generation, "Give another --store, or the version of Pinflow that made it.",
			fmt.Errorf("the generation was made with other tables"))
	case have != kept:
		if _, err = tx.ExecContext(ctx, "UPDATE _pinflow.generations SET views = ?, plan = ? WHERE generation = ?", kept.views, kept.plan, p.Generation); err == nil {
			err = createReports(ctx, tx, p)
		}
	}
	if err != nil {
		return err
	}
	var current sql.NullString
	if err := tx.QueryRowContext(ctx, "SELECT current FROM _pinflow.store").Scan(&current); err != nil {
		return err
	}
	if current.Valid && (current.String != p.Generation || have.views == kept.views) {
		return nil
	}
	return pointViews(ctx, tx, p.Pipeline, p.Generation, viewsOf(p))
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

// checkPipeline refuses another pipeline than the store's, and a name that would hide something of the store.
func checkPipeline(ctx context.Context, tx *sql.Tx, p *pinflow.Plan) error {
	var have sql.NullString
	if err := tx.QueryRowContext(ctx, "SELECT pipeline FROM _pinflow.store").Scan(&have); err != nil {
		return err
	}
	if have.Valid && have.String != p.Pipeline {
		return invalid("prepare store", p.Pipeline, "Give each pipeline a --store of its own.",
			fmt.Errorf("the store holds the pipeline %q", have.String))
	}
	if have.Valid {
		return nil
	}
	name := strings.ToLower(p.Pipeline)
	var reserved bool
	err := tx.QueryRowContext(ctx, `SELECT ? IN (SELECT lower(database_name) FROM duckdb_databases() UNION ALL
		SELECT lower(schema_name) FROM duckdb_schemas() WHERE internal AND schema_name <> 'main')`, name).Scan(&reserved)
	if err != nil {
		return err
	}
	if reserved || name == "" || strings.HasPrefix(name, "_") || strings.HasPrefix(name, "scratch_") {
		return invalid("prepare store", p.Pipeline, "Choose another name for the pipeline.", fmt.Errorf("the store keeps that name for itself"))
	}
	return nil
}

func createGeneration(ctx context.Context, tx *sql.Tx, p *pinflow.Plan, kept texts) error {
	statements := []string{"CREATE SCHEMA " + schemaOf(p.Generation)}
	for _, t := range p.Tables {
		statements = append(statements, createTable(&table{Table: t, schema: schemaOf(p.Generation)})...)
	}
	for _, statement := range statements {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	if err := createReports(ctx, tx, p); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, "INSERT INTO _pinflow.generations (generation, tables, views, made_at, plan) VALUES (?, ?, ?, now(), ?)", p.Generation, kept.tables, kept.views, kept.plan)
	return err
}

// pointViews makes the stable views those given, in the pipeline's schema and in main, and their generation the current one.
func pointViews(ctx context.Context, tx *sql.Tx, pipeline, generation string, views []pinflow.View) error {
	schema := duck.Quote(pipeline)
	statements := []string{"CREATE SCHEMA IF NOT EXISTS " + schema}
	old, err := stableViews(ctx, tx, pipeline)
	if err != nil {
		return err
	}
	for _, view := range old {
		statements = append(statements, "DROP VIEW "+view)
	}
	for _, v := range views {
		name := duck.Quote(v.Name)
		statements = append(statements, "CREATE VIEW "+schema+"."+name+" AS "+strings.ReplaceAll(v.DuckDB, "{gen}", schemaOf(generation)))
		if pipeline != "main" {
			statements = append(statements, "CREATE VIEW main."+name+" AS SELECT * FROM "+schema+"."+name)
		}
	}
	for _, statement := range statements {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	_, err = tx.ExecContext(ctx, "UPDATE _pinflow.store SET pipeline = ?, current = ?", pipeline, generation)
	return err
}

// viewsOf are the plan's views, and those of the rejects and of the reports if it has none of their names.
func viewsOf(p *pinflow.Plan) []pinflow.View {
	views := slices.Clone(p.Views)
	add := func(name, table string, columns []pinflow.Column) {
		if !slices.ContainsFunc(views, func(v pinflow.View) bool { return v.Name == name }) {
			views = append(views, pinflow.View{Name: name, Columns: columns, DuckDB: "SELECT * FROM {gen}." + duck.Quote(table)})
		}
	}
	if t := p.Table("rejects"); t != nil && t.Kind == pinflow.Rejects {
		add(t.Name, t.Name, t.Keys)
	}
	for _, r := range p.Reports {
		add(r.Name, reportTable(r.Name), r.Columns)
	}
	return views
}

// stableViews lists the views of the pipeline's schema and of main, qualified and quoted.
func stableViews(ctx context.Context, tx *sql.Tx, pipeline string) ([]string, error) {
	rows, err := tx.QueryContext(ctx, `SELECT schema_name, view_name FROM duckdb_views()
		WHERE database_name = current_database() AND NOT internal AND schema_name IN ('main', ?)`, pipeline)
	if err != nil {
		return nil, err
	}
	var views []string
	err = duck.EachRow(rows, func(row []any) error {
		views = append(views, duck.Quote(row[0].(string))+"."+duck.Quote(row[1].(string)))
		return nil
	})
	return views, err
}

// loadGenerations reads what tables there are and how many rows they have. The caller holds the right to write.
func (s *Store) loadGenerations(ctx context.Context) error {
	rows, err := s.writer.QueryContext(ctx, "SELECT generation, tables FROM _pinflow.generations")
	if err != nil {
		return failed("read generations", s.file, err)
	}
	loaded := map[string]*generation{}
	var current sql.NullString
	err = duck.EachRow(rows, func(row []any) error {
		if have := s.generations[row[0].(string)]; have != nil {
			loaded[have.name] = have
			return nil
		}
		g := &generation{name: row[0].(string), tables: map[string]*table{}, busy: make(chan struct{}, 1)}
		var tables []pinflow.Table
		if err := json.Unmarshal([]byte(row[1].(string)), &tables); err != nil {
			return err
		}
		for _, t := range tables {
			loaded := &table{Table: t, schema: schemaOf(g.name)}
			g.tables[t.Name], g.order = loaded, append(g.order, loaded)
		}
		loaded[g.name] = g
		return nil
	})
	if err != nil {
		return failed("read generations", s.file, err)
	}
	if err := s.writer.QueryRowContext(ctx, "SELECT current FROM _pinflow.store").Scan(&current); err != nil {
		return failed("read generations", s.file, err)
	}
	for _, g := range loaded {
		if s.generations[g.name] != nil {
			continue // it is known, and somebody may be in it
		}
		for _, t := range g.order {
			if err := t.count(ctx, s.writer); err != nil {
				return failed("read generations", s.file, err)
			}
		}
	}
	s.generations, s.current = loaded, current.String
	return nil
}

// Current returns the generation that the stable views read, "" if nothing has been prepared yet.
func (s *Store) Current(ctx context.Context) (string, error) {
	var current sql.NullString
	err := s.db.QueryRowContext(ctx, "SELECT current FROM _pinflow.store").Scan(&current)
	return current.String, failed("read current generation", s.file, err)
}
