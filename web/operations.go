package web

import (
	"net/http"
	"slices"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/access"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// operation is one route: who answers it, and what the OpenAPI document says of it.
type operation struct {
	method, path string
	takes        func(http.Handler) http.Handler // what the route takes: a key with a scope, or nothing
	handle       handler
	text         text
}

func takesRead(h http.Handler) http.Handler  { return access.NeedScope(access.Read, h) }
func takesSQL(h http.Handler) http.Handler   { return access.NeedScope(access.SQL, h) }
func takesAdmin(h http.Handler) http.Handler { return access.NeedScope(access.Admin, h) }

// operations returns all routes but the page's.
func (s *Web) operations() []operation {
	all := []operation{
		{"GET", "/api/metrics", takesRead, s.listMetrics, s.textOfMetrics()},
		{"GET", "/api/metrics/{name}", takesRead, s.metric, s.textOfMetric()},
		{"GET", "/api/metrics/{name}/events", takesRead, s.metricEvents, s.textOfMetricEvents()},
		{"GET", "/api/models/{name}", takesRead, s.model, s.textOfModel()},
		{"GET", "/api/models/{name}/{key...}", takesRead, s.entity, s.textOfEntity()},
		{"GET", "/api/reports", takesRead, s.listReports, textOfReports()},
		{"GET", "/api/reports/{name}", takesSQL, s.report, s.textOfReport()},
		{"GET", "/api/rejects", takesRead, s.rejects, s.textOfRejects()},
		{"POST", "/api/sql", takesSQL, s.sql, s.textOfSQL()},
		{"GET", "/api/status", takesRead, s.status, textOfStatus()},
		{"GET", "/api/events", takesRead, s.events, textOfEvents()},
		{"GET", "/healthz", access.Open, healthy, textOfHealth()},
		{"GET", "/readyz", access.Open, s.ready, textOfReady()},
		{"GET", "/metrics", takesRead, s.prometheus(), textOfPrometheus()},
	}
	if s.Lake != nil {
		all = append(all, operation{"GET", "/api/lake", takesRead, s.lake, textOfLake()})
	}
	if s.Operate != nil {
		all = append(all, s.operateOperations()...)
	}
	return all
}

// metricInfo is what the list of metrics tells of one.
type metricInfo struct {
	Name        string           `json:"name" doc:"Its name, in SQL too"`
	Description string           `json:"description" doc:"What it tells"`
	Model       string           `json:"model" doc:"The model whose rows it is computed from"`
	Columns     []pinflow.Column `json:"columns" doc:"Its columns in their order, types in DuckDB's words"`
}

// metricList is the answer of GET /api/metrics.
type metricList struct {
	Pipeline   string       `json:"pipeline" doc:"The pipeline's name"`
	Generation string       `json:"generation" doc:"The hash of the definition that computes the metrics"`
	Metrics    []metricInfo `json:"metrics" doc:"In the definition's order"`
}

func (s *Web) listMetrics(w http.ResponseWriter, _ *http.Request) error {
	plan := s.plan()
	return writeJSON(w, metricList{plan.Pipeline, plan.Generation, metricInfos(plan)})
}

func metricInfos(plan *pinflow.Plan) []metricInfo {
	infos := make([]metricInfo, len(plan.Metrics))
	for i, m := range plan.Metrics {
		infos[i] = metricInfo{m.Name, m.Description, m.Model, m.Columns}
	}
	return infos
}

func (s *Web) metric(w http.ResponseWriter, r *http.Request) error {
	m, err := s.findMetric(r.PathValue("name"))
	if err != nil {
		return err
	}
	req, err := s.grammarOf(m).parse(r)
	if err != nil {
		return err
	}
	req.query.Order = orderedBy(req.query.Order, m.Columns)
	req.query.MaxRows = s.Limits.MetricRows
	return s.answer(w, r, "metric", m.Name, req)
}

func (s *Web) model(w http.ResponseWriter, r *http.Request) error {
	m, err := s.findModel(r.PathValue("name"))
	if err != nil {
		return err
	}
	return s.someRows(w, r, "model", grammar{view: m.Name, columns: m.Columns}, byPosition(m.Columns))
}

func (s *Web) rejects(w http.ResponseWriter, r *http.Request) error {
	table := pinflow.RejectsTable()
	newest := []pinflow.Order{{Column: "rejected_at", Descending: true}, {Column: "topic"}, {Column: "partition"}, {Column: "offset", Descending: true}, {Column: "model"}}
	return s.someRows(w, r, "rejects", grammar{view: table.Name, columns: table.Keys}, newest)
}

// someRows answers with some rows of a view that has endless ones. The order ends in that of unique, in
// which no two rows are alike.
func (s *Web) someRows(w http.ResponseWriter, r *http.Request, by string, g grammar, unique []pinflow.Order) error {
	g.controls, g.maxLimit, g.maxWait = rowControls, s.Limits.ModelRows, s.Limits.Wait
	req, err := g.parse(r)
	if err != nil {
		return err
	}
	if req.query.Limit == 0 {
		req.query.Limit = min(defaultLimit, s.Limits.ModelRows)
	}
	for _, o := range unique {
		if !slices.ContainsFunc(req.query.Order, func(given pinflow.Order) bool { return given.Column == o.Column }) {
			req.query.Order = append(req.query.Order, o)
		}
	}
	return s.answer(w, r, by, g.view, req)
}

// byPosition is the order of a model's rows: where their records lie, or by all columns if that is not kept.
func byPosition(columns []pinflow.Column) []pinflow.Order {
	place := []pinflow.Order{{Column: "_partition"}, {Column: "_offset"}}
	for _, o := range place {
		if !slices.ContainsFunc(columns, func(c pinflow.Column) bool { return c.Name == o.Column }) {
			return orderedBy(nil, columns)
		}
	}
	return place
}

func (s *Web) lake(w http.ResponseWriter, r *http.Request) error {
	what, err := s.Lake(r.Context())
	if err != nil {
		return err
	}
	return writeJSON(w, what)
}

func healthy(w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, map[string]string{"status": "ok"})
}

func (s *Web) ready(w http.ResponseWriter, r *http.Request) error {
	if err := s.Ready(); err != nil {
		if !access.Has(r.Context(), access.Read) { // everybody may ask, but not for what this server is connected to
			err = nil
		}
		return &pinflow.Error{Op: "be ready", Kind: pinflow.Unavailable, Err: err, Hint: "Ask again in a moment; the log tells what is being waited for."}
	}
	return writeJSON(w, map[string]string{"status": "ready"})
}

func (s *Web) prometheus() handler {
	h := promhttp.HandlerFor(s.Metrics, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
	return func(w http.ResponseWriter, r *http.Request) error {
		h.ServeHTTP(w, r)
		return nil
	}
}
