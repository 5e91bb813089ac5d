package postgres

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
	"github.com/pinflow/pinflow/internal/duck/readonly"
)

// shape is what readers see of a generation: its views, with their columns as DuckDB has them.
type shape struct {
	key        string // changes whenever the views do
	pipeline   string
	generation string
	views      []*view
}

// view is one of the stable views.
type view struct {
	pinflow.View                // with Columns
	name         string         // qualified and quoted
	rows         *pinflow.Table // of kind Rows, if it shows nothing but columns of it
	topic        string         // of these rows
}

// recentOnly tells whether PostgreSQL holds the rows only of periods that are not installed.
func (v *view) recentOnly() bool { return v.rows != nil && v.rows.Rows == "recent" }

// shapes keeps the last shape.
type shapes struct {
	mu   sync.Mutex
	last *shape
}

const (
	shapeSource = "_pinflow.store AS s LEFT JOIN _pinflow.generations AS g ON g.generation = s.current"
	shapeKey    = "concat_ws(' ', s.current, s.xmin, g.xmin)"
)

// shape returns what readers see now.
func (s *Store) shape(ctx context.Context) (*shape, error) {
	var key string
	if err := s.readers.QueryRow(ctx, "SELECT "+shapeKey+" FROM "+shapeSource).Scan(&key); err != nil {
		return nil, err
	}
	s.shapes.mu.Lock()
	defer s.shapes.mu.Unlock()
	if s.shapes.last == nil || s.shapes.last.key != key {
		made, err := s.makeShape(ctx)
		if err != nil {
			return nil, err
		}
		s.shapes.last = made
	}
	return s.shapes.last, nil
}

// makeShape reads the current generation's plan, and has DuckDB tell the columns of its views.
func (s *Store) makeShape(ctx context.Context) (*shape, error) {
	made := &shape{}
	var text string
	err := s.readers.QueryRow(ctx, "SELECT "+shapeKey+", coalesce(pipeline, ''), coalesce(current, ''), coalesce(plan, '{}') FROM "+shapeSource).
		Scan(&made.key, &made.pipeline, &made.generation, &text)
	if err != nil || made.generation == "" {
		return made, err
	}
	var p pinflow.Plan
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return nil, fmt.Errorf("the plan of generation %s: %w", made.generation, err)
	}
	w, err := s.workspace(ctx, made)
	if err != nil {
		return nil, err
	}
	defer w.close()
	if err := w.open(ctx); err != nil {
		return nil, err
	}
	if err := made.describe(ctx, w.conn, &p); err != nil {
		return nil, fmt.Errorf("the views of generation %s: %w", made.generation, err)
	}
	return made, nil
}

// describe makes the views over empty tables, to see their columns.
func (s *shape) describe(ctx context.Context, conn *sql.Conn, p *pinflow.Plan) error {
	generation := schemaOf(s.generation)
	statements := []string{"CREATE SCHEMA " + generation}
	table := func(name string, columns []pinflow.Column) {
		list := make([]string, len(columns))
		for i, c := range columns {
			list[i] = quote(c.Name) + " " + c.Type
		}
		statements = append(statements, "CREATE TABLE "+generation+"."+quote(name)+" ("+strings.Join(list, ", ")+")")
	}
	for i := range p.Tables {
		table(p.Tables[i].Name, columns(&p.Tables[i]))
	}
	for _, r := range p.Reports {
		table(reportTable(r.Name), r.Columns)
	}
	views := viewsOf(p)
	for i := range views {
		if views[i].DuckDB == "" {
			views[i].DuckDB = views[i].Postgres // those of the store's own
		}
		views[i].DuckDB = strings.ReplaceAll(views[i].DuckDB, "{gen}", generation)
		statements = append(statements, s.viewsOf(views[i].Name, views[i].DuckDB)...)
	}
	if err := execAll(ctx, conn, statements); err != nil {
		return err
	}
	for _, v := range views {
		made, err := s.view(ctx, conn, p, v)
		if err != nil {
			return fmt.Errorf("view %s: %w", v.Name, err)
		}
		s.views = append(s.views, made)
	}
	return nil
}

func (s *shape) view(ctx context.Context, conn *sql.Conn, p *pinflow.Plan, v pinflow.View) (*view, error) {
	made := &view{View: v, name: s.nameOf(v.Name)}
	var err error
	if made.Columns, err = readonly.Describe(ctx, conn, made.name); err != nil {
		return nil, err
	}
	table, ok, err := readonly.Projection(ctx, conn, v.DuckDB)
	if err != nil || !ok {
		return made, err
	}
	if t := p.Table(table); t != nil && t.Kind == pinflow.Rows {
		made.rows, made.topic = t, topicOfModel(p, t.Model)
	}
	return made, nil
}

// topicOfModel returns the topic from which a model's rows come, "" if the plan does not tell.
func topicOfModel(p *pinflow.Plan, model string) string {
	for _, m := range p.Models {
		i := slices.IndexFunc(p.Sources, func(source pinflow.PlannedSource) bool { return source.Name == m.Source })
		if m.Name == model && i >= 0 {
			return p.Sources[i].Topic
		}
	}
	return ""
}

// nameOf is the qualified name of a view, quoted, in PostgreSQL and in DuckDB.
func (s *shape) nameOf(view string) string { return quote(s.pipeline) + "." + quote(view) }

// viewsOf are the statements that make a view in DuckDB, under the names that SQL may call it by.
func (s *shape) viewsOf(view, query string) []string {
	made := []string{"CREATE OR REPLACE VIEW " + s.nameOf(view) + " AS " + query}
	if s.pipeline != "main" {
		made = append(made, "CREATE OR REPLACE VIEW main."+quote(view)+" AS SELECT * FROM "+s.nameOf(view))
	}
	return made
}

// nothing is a query that yields columns and no rows.
func nothing(columns []pinflow.Column) string {
	list := make([]string, len(columns))
	for i, c := range columns {
		list[i] = "CAST(NULL AS " + c.Type + ") AS " + quote(c.Name)
	}
	return "SELECT " + strings.Join(list, ", ") + " WHERE false"
}

// find returns the view of that name; NotFound names those that there are.
func (s *shape) find(name string) (*view, error) {
	names := make([]string, len(s.views))
	for i, v := range s.views {
		names[i] = v.View.Name
	}
	slices.Sort(names)
	found, err := readonly.View(names, name)
	if err != nil {
		return nil, err
	}
	return s.views[slices.IndexFunc(s.views, func(v *view) bool { return v.View.Name == found })], nil
}

func execAll(ctx context.Context, on duck.Execer, statements []string) error {
	if len(statements) == 0 {
		return nil
	}
	_, err := on.ExecContext(ctx, strings.Join(statements, ";\n"))
	return err
}
