package duckdb

import (
	"context"
	"database/sql"
	"encoding/json"
	"strings"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
)

// recentView returns the statement that makes the view of a table of recent rows: those, and the files that hold the rows of
// the periods that are installed.
func (t *table) recentView(files []string) string {
	columns := t.columns()
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = duck.Quote(c.Name)
	}
	list := strings.Join(names, ", ")
	view := "CREATE OR REPLACE VIEW " + t.whole() + " AS SELECT " + list + " FROM " + t.part("rows")
	if len(files) > 0 {
		view += " UNION ALL SELECT " + list + " FROM " + duck.Parquet(nil, files, columns).Name
	}
	return view
}

// showRecent makes the views of the generation's tables of recent rows anew, over all periods that are installed.
func (g *generation) showRecent(ctx context.Context, tx *sql.Tx, fileOf func(pinflow.Part) string) error {
	for _, t := range g.order {
		if !t.recentOnly() {
			continue
		}
		files, err := cleanFiles(ctx, tx, g.name, t.Model, fileOf)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, t.recentView(files)); err != nil {
			return err
		}
	}
	return nil
}

// cleanFiles are the files of a model's accepted rows in the periods that are installed.
func cleanFiles(ctx context.Context, q querier, generation, model string, fileOf func(pinflow.Part) string) ([]string, error) {
	rows, err := q.QueryContext(ctx, "SELECT parts FROM _pinflow.installed WHERE generation = ? ORDER BY period", generation)
	if err != nil {
		return nil, err
	}
	var files []string
	err = duck.EachRow(rows, func(row []any) error {
		var parts []storedPart
		if err := json.Unmarshal([]byte(row[0].(string)), &parts); err != nil {
			return err
		}
		for _, p := range parts {
			if p.Kind == pinflow.CleanPart && p.Of == model && p.Rows > 0 {
				files = append(files, fileOf(p.placed()))
			}
		}
		return nil
	})
	return files, err
}

// storedPart is a part as the store remembers it: with the file that SQL reads.
type storedPart struct {
	pinflow.Part
	At string `json:"file,omitempty"`
}

// placed is the part with the file where it lay when it was installed.
func (p storedPart) placed() pinflow.Part {
	p.File = p.At
	return p.Part
}

func storeParts(parts []pinflow.Part) []storedPart {
	stored := make([]storedPart, len(parts))
	for i, p := range parts {
		stored[i] = storedPart{p, p.File}
	}
	return stored
}

func partsOf(stored []storedPart) []pinflow.Part {
	parts := make([]pinflow.Part, len(stored))
	for i, p := range stored {
		parts[i] = p.placed()
	}
	return parts
}

// findFiles has the views read the files where they lie now.
func (s *Store) findFiles(ctx context.Context, tx *sql.Tx) error {
	for _, g := range s.generations {
		if err := g.showRecent(ctx, tx, s.o.File); err != nil {
			return err
		}
	}
	return nil
}
