package duckdb

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
)

// Report implements pinflow.BatchEngine. The report's SQL sees the stable views as they are over the state, and nothing else.
func (e *BatchEngine) Report(ctx context.Context, report string, over pinflow.State, dir string) (parts []pinflow.Part, err error) {
	at := slices.IndexFunc(e.Plan.Reports, func(r pinflow.PlannedReport) bool { return r.Name == report })
	if at < 0 {
		return nil, &pinflow.Error{Op: "run report", On: report, Kind: pinflow.NotFound, Err: fmt.Errorf("the pipeline has no such report")}
	}
	if err := e.enter(ctx); err != nil {
		return nil, err
	}
	defer e.leave()
	w, err := newWorkshop(ctx, e.Reports)
	if err != nil {
		return nil, err
	}
	defer func() { err = firstOf(err, w.end()) }()
	if err := e.showAll(ctx, w, over); err != nil {
		return nil, err
	}
	r := &e.Plan.Reports[at]
	if err := w.exec(ctx, "BEGIN TRANSACTION READ ONLY"); err != nil {
		return nil, err
	}
	part, err := writePart(ctx, w.conn, dir, 0, pinflow.Part{Kind: pinflow.ReportPart, Of: report}, r.SQL, r.Columns)
	if err := firstOf(err, w.exec(ctx, "ROLLBACK")); err != nil {
		return nil, &pinflow.Error{Op: "run report", On: report, Kind: pinflow.KindOf(err), Err: err}
	}
	if part.Rows == 0 {
		return nil, nil
	}
	return []pinflow.Part{part}, nil
}

// showAll makes the plan's tables of what the state's files hold, and the stable views over them, in the workshop.
func (e *BatchEngine) showAll(ctx context.Context, w *workshop, over pinflow.State) error {
	schema := w.scratch + ".gen"
	statements := []string{"CREATE SCHEMA " + schema}
	for i := range e.Plan.Tables {
		t := &e.Plan.Tables[i]
		statements = append(statements, "CREATE VIEW "+schema+"."+duck.Quote(t.Name)+" AS "+e.tableSQL(t, over))
	}
	for _, v := range e.Plan.Views {
		statements = append(statements, "CREATE VIEW "+w.table(v.Name)+" AS "+strings.ReplaceAll(v.DuckDB, "{gen}", schema))
	}
	statements = append(statements, "USE "+w.scratch)
	for _, statement := range statements {
		if err := w.exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// tableSQL is a table's rows as the state's files hold them.
func (e *BatchEngine) tableSQL(t *pinflow.Table, over pinflow.State) string {
	var parts []pinflow.Part
	switch t.Kind {
	case pinflow.Entities:
		return stateSQL(e.Reports, over.Latest[t.Name], t, "")
	case pinflow.Partials:
		parts = over.Metrics[t.Name]
	case pinflow.Rows:
		parts = over.Clean[t.Model]
	case pinflow.Rejects:
		parts = over.Rejects
	}
	return "SELECT * FROM " + duck.Parquet(e.Reports, filesOf(parts), columnsOf(t)).Name
}
