package web

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/pinflow/pinflow"
)

// bySQL is who asks for a query that a user wrote.
const bySQL = "sql"

// Which parameters the routes take besides the columns' names.
var (
	rowControls    = []string{"filter", "from", "to", "order", "limit", "format", "after", "timeout"}
	eventControls  = []string{"filter", "from", "to", "order", "limit", "every_ms"}
	sqlControls    = []string{"format", "after", "timeout"}
	reportControls = []string{"as_of", "format", "after", "timeout"}
	keyControls    = []string{"after", "timeout"}
)

func (s *Web) findMetric(name string) (pinflow.PlannedMetric, error) {
	metrics := s.plan().Metrics
	names := make([]string, len(metrics))
	for i, m := range metrics {
		if m.Name == name {
			return m, nil
		}
		names[i] = m.Name
	}
	return pinflow.PlannedMetric{}, notFound("metric", name, "The metrics are ", names)
}

// findModel finds a model whose rows are kept.
func (s *Web) findModel(name string) (pinflow.PlannedModel, error) {
	models := s.plan().Models
	i := slices.IndexFunc(models, func(m pinflow.PlannedModel) bool { return m.Name == name && m.Table != "" })
	if i < 0 {
		return pinflow.PlannedModel{}, notFound("model", name, "The models whose rows are kept are ", s.modelNames())
	}
	return models[i], nil
}

func (s *Web) findReport(name string) (pinflow.PlannedReport, error) {
	reports := s.plan().Reports
	names := make([]string, len(reports))
	for i, r := range reports {
		if r.Name == name {
			return r, nil
		}
		names[i] = r.Name
	}
	return pinflow.PlannedReport{}, notFound("report", name, "The reports are ", names)
}

// notFound says which names there are.
func notFound(what, name, hint string, names []string) error {
	if len(names) == 0 {
		hint, names = "The pipeline has none", nil
	}
	return &pinflow.Error{Op: "read " + what, On: name, Kind: pinflow.NotFound, Hint: hint + strings.Join(names, ", ") + "."}
}

func (s *Web) modelNames() []string {
	var names []string
	for _, m := range s.plan().Models {
		if m.Table != "" {
			names = append(names, m.Name)
		}
	}
	return names
}

func (s *Web) grammarOf(m pinflow.PlannedMetric) grammar {
	return grammar{view: m.Name, columns: m.Columns, controls: rowControls, maxWait: s.Limits.Wait}
}

// read asks the store when it is this query's turn. by is who asks, for the histogram.
func (s *Web) read(ctx context.Context, by string, q pinflow.Query) (*pinflow.Result, error) {
	if by == bySQL {
		if err := take(ctx, s.sqlTurns); err != nil {
			return nil, err
		}
		defer func() { <-s.sqlTurns }()
	}
	if err := take(ctx, s.turns); err != nil {
		return nil, err
	}
	defer func() { <-s.turns }()
	start := time.Now()
	res, err := s.Store.Query(ctx, q)
	s.queries.WithLabelValues(by).Observe(time.Since(start).Seconds())
	return res, err
}

func take(ctx context.Context, turns chan struct{}) error {
	select {
	case turns <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
