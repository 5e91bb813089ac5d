package duckdb

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
)

// generation is what the writer knows of a generation's tables.
type generation struct {
	name   string
	tables map[string]*table
}

// table is a table of a generation with its rows counted.
type table struct {
	pinflow.Table
	schema         string // quoted
	recent, merged int64  // rows, for kind Partials
	retry          int64  // after a fold that failed: how many recent rows before the next try
}

// Prepare implements pinflow.LiveStore. It changes nothing if the generation is there already.
func (s *Store) Prepare(ctx context.Context, p *pinflow.Plan) error {
	const op = "prepare store"
	if err := s.lock(ctx, op); err != nil {
		return err
	}
	defer s.unlock()
	tables, views, err := texts(p)
	if err != nil {
		return &pinflow.Error{Op: op, On: p.Generation, Err: err}
	}
	err = s.write(ctx, op, p.Pipeline, func(tx *sql.Tx) error { return s.prepare(ctx, tx, p, tables, views) })
	if err != nil {
		return err
	}
	if s.generations[p.Generation] != nil {
		return nil
	}
	return s.loadGenerations(ctx)
}

func (s *Store) prepare(ctx context.Context, tx *sql.Tx, p *pinflow.Plan, tables, views string) error {
	if err := checkPipeline(ctx, tx, p); err != nil {
		return err
	}
	var haveTables, haveViews string
	err := tx.QueryRowContext(ctx, "SELECT tables, views FROM _pinflow.generations WHERE generation = ?", p.Generation).Scan(&haveTables, &haveViews)
	switch {
	case err == sql.ErrNoRows:
		err = createGeneration(ctx, tx, p, tables, views)
	case err != nil:
	case haveTables != tables:
		err = invalid("prepare store", p.Generation, "Give another --store, or the version of Pinflow that made it.",
			fmt.Errorf("the generation was made with other tables"))
	case haveViews != views:
		_, err = tx.ExecContext(ctx, "UPDATE _pinflow.generations SET views = ? WHERE generation = ?", views, p.Generation)
	}
	if err != nil {
		return err
	}
	var current sql.NullString
	if err := tx.QueryRowContext(ctx, "SELECT current FROM _pinflow.store").Scan(&current); err != nil {
		return err
	}
	if current.Valid && (current.String != p.Generation || haveViews == views) {
		return nil
	}
	return pointViews(ctx, tx, p)
}

// texts are a plan's tables and views as the store remembers them.
func texts(p *pinflow.Plan) (tables, views string, err error) {
	t, err := json.Marshal(p.Tables)
	if err != nil {
		return "", "", err
	}
	v, err := json.Marshal(p.Views)
	return string(t), string(v), err
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

func createGeneration(ctx context.Context, tx *sql.Tx, p *pinflow.Plan, tables, views string) error {
	statements := []string{"CREATE SCHEMA " + schemaOf(p.Generation)}
	for _, t := range p.Tables {
		statements = append(statements, createTable(&table{Table: t, schema: schemaOf(p.Generation)})...)
	}
	for _, statement := range statements {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	_, err := tx.ExecContext(ctx, "INSERT INTO _pinflow.generations VALUES (?, ?, ?, now())", p.Generation, tables, views)
	return err
}

// pointViews makes the stable views those of the plan, in the pipeline's schema and in main, and its generation the current one.
func pointViews(ctx context.Context, tx *sql.Tx, p *pinflow.Plan) error {
	schema := duck.Quote(p.Pipeline)
	statements := []string{"CREATE SCHEMA IF NOT EXISTS " + schema}
	old, err := stableViews(ctx, tx, p.Pipeline)
	if err != nil {
		return err
	}
	for _, view := range old {
		statements = append(statements, "DROP VIEW "+view)
	}
	for _, v := range viewsOf(p) {
		name := duck.Quote(v.Name)
		statements = append(statements, "CREATE VIEW "+schema+"."+name+" AS "+strings.ReplaceAll(v.DuckDB, "{gen}", schemaOf(p.Generation)))
		if p.Pipeline != "main" {
			statements = append(statements, "CREATE VIEW main."+name+" AS SELECT * FROM "+schema+"."+name)
		}
	}
	for _, statement := range statements {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	_, err = tx.ExecContext(ctx, "UPDATE _pinflow.store SET pipeline = ?, current = ?", p.Pipeline, p.Generation)
	return err
}

// viewsOf are the plan's views, and one of the rejects if it has none.
func viewsOf(p *pinflow.Plan) []pinflow.View {
	views := p.Views
	for _, v := range views {
		if v.Name == "rejects" {
			return views
		}
	}
	if t := p.Table("rejects"); t != nil && t.Kind == pinflow.Rejects {
		views = append(views[:len(views):len(views)], pinflow.View{Name: t.Name, Columns: t.Keys, DuckDB: "SELECT * FROM {gen}." + duck.Quote(t.Name)})
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
	err = duck.EachRow(rows, func(row []any) error {
		g := &generation{name: row[0].(string), tables: map[string]*table{}}
		var tables []pinflow.Table
		if err := json.Unmarshal([]byte(row[1].(string)), &tables); err != nil {
			return err
		}
		for _, t := range tables {
			g.tables[t.Name] = &table{Table: t, schema: schemaOf(g.name)}
		}
		loaded[g.name] = g
		return nil
	})
	if err != nil {
		return failed("read generations", s.file, err)
	}
	for _, g := range loaded {
		for _, t := range g.tables {
			if err := t.count(ctx, s.writer); err != nil {
				return failed("read generations", s.file, err)
			}
		}
	}
	s.generations = loaded
	return nil
}

// Current returns the generation that the stable views read, "" if nothing has been prepared yet.
func (s *Store) Current(ctx context.Context) (string, error) {
	var current sql.NullString
	err := s.db.QueryRowContext(ctx, "SELECT current FROM _pinflow.store").Scan(&current)
	return current.String, failed("read current generation", s.file, err)
}

// CheckCurrent returns nil if the store has no generation yet or the given one is current, else an Exists
// error that says how to go on. Ask before Prepare: this version does not move readers to another generation.
func (s *Store) CheckCurrent(ctx context.Context, generation string) error {
	current, err := s.Current(ctx)
	if err != nil || current == "" || current == generation {
		return err
	}
	return &pinflow.Error{Op: "open store", On: s.file, Kind: pinflow.Exists,
		Err:  fmt.Errorf("the definition has changed: its generation is %s, the store's metrics are of %s", generation, current),
		Hint: "Give another --store, which counts what the journal still holds from its start if nothing has been deleted there, or start with the definition that the store was made with."}
}
