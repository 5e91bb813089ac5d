package web

import (
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/problem"
)

// text is what the OpenAPI document says of an operation.
type text struct {
	id, tag, summary, about string
	params                  []*huma.Param
	body                    any      // a value of the type of the request's body; nil: none
	jsonBody                bool     // nothing but JSON is taken
	answer                  any      // a value of the type of the answer
	media                   []string // of the answer; the first is answer's. None: JSON
	errors                  []int
}

// describe makes the OpenAPI operation of op.
func (op operation) describe(schemas huma.Registry) *huma.Operation {
	t := op.text
	ok := &huma.Response{Description: "OK", Content: map[string]*huma.MediaType{}}
	if len(t.media) == 0 {
		t.media = []string{"application/json"}
	}
	for i, media := range t.media {
		content := &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString}}
		if i == 0 && t.answer != nil {
			content.Schema = schemas.Schema(reflect.TypeOf(t.answer), true, t.id)
		}
		ok.Content[media] = content
	}
	if _, rows := t.answer.(rowsAnswer); rows {
		ok.Headers = map[string]*huma.Param{positionHeader: {Schema: &huma.Schema{Type: huma.TypeString},
			Description: "The position that the rows are exact for: topic:partition:offset, separated by commas. All records before the offset are counted, and none from it on."}}
	}
	out := &huma.Operation{Method: op.method, Path: strings.ReplaceAll(op.path, "...}", "}"), OperationID: t.id, Tags: []string{t.tag}, Summary: t.summary, Description: t.about,
		Parameters: t.params, Responses: map[string]*huma.Response{"200": ok}}
	if t.body != nil {
		out.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
			"application/json": {Schema: schemas.Schema(reflect.TypeOf(t.body), true, t.id)},
			"text/plain":       {Schema: &huma.Schema{Type: huma.TypeString}}}}
		if t.jsonBody {
			delete(out.RequestBody.Content, "text/plain")
		}
	}
	for _, status := range t.errors {
		out.Responses[strconv.Itoa(status)] = &huma.Response{Description: http.StatusText(status), Content: map[string]*huma.MediaType{
			problem.ContentType: {Schema: schemas.Schema(reflect.TypeFor[problem.Problem](), true, "Problem")}}}
	}
	return out
}

// controlTexts explain the parameters that are no columns.
var controlTexts = map[string]string{
	"filter":   "A boolean expression over the columns in DuckDB's SQL, such as posts > 10 AND media = 'image'.",
	"from":     "Rows whose first column of type TIMESTAMPTZ is this or later, RFC 3339.",
	"to":       "Rows whose first column of type TIMESTAMPTZ is before this, RFC 3339.",
	"order":    "Columns separated by commas, each with or without desc behind it. Ties are put into an order too, so the same rows come in the same order.",
	"limit":    "How many rows at the most.",
	"format":   "json or csv; without it the Accept header decides.",
	"after":    "Wait until this record is counted: a receipt as topic:partition:offset. May be given several times.",
	"timeout":  "How long after waits, such as 500ms or 5s; then the answer is 503 with Retry-After.",
	"as_of":    "The name of a period, such as 2026-11-22: the state at its end.",
	"every_ms": "At least so many milliseconds between two events.",
}

// params describes controls, and columns by which rows can be picked.
func params(controls []string, columns []pinflow.Column) []*huma.Param {
	var all []*huma.Param
	for _, name := range controls {
		schema := &huma.Schema{Type: huma.TypeString}
		switch name {
		case "limit", "every_ms":
			schema = &huma.Schema{Type: huma.TypeInteger}
		case "format":
			schema.Enum = []any{"json", "csv"}
		case "from", "to":
			schema.Format = "date-time"
		case "after":
			schema = &huma.Schema{Type: huma.TypeArray, Items: &huma.Schema{Type: huma.TypeString}}
		}
		all = append(all, &huma.Param{Name: name, In: "query", Description: controlTexts[name], Schema: schema})
	}
	for _, c := range columns {
		all = append(all, &huma.Param{Name: c.Name, In: "query", Description: "Rows with this " + c.Name + " (" + c.Type + ").", Schema: &huma.Schema{Type: huma.TypeString}})
	}
	return all
}

// pathParam describes {name}.
func pathParam(what string, names []string) *huma.Param {
	enum := make([]any, len(names))
	for i, n := range names {
		enum[i] = n
	}
	return &huma.Param{Name: "name", In: "path", Required: true, Description: "The " + what + "'s name", Schema: &huma.Schema{Type: huma.TypeString, Enum: enum}}
}

// numbersText is true of every answer with rows.
const numbersText = "Numbers carry every digit, also beyond 2^53: read them with a decoder that keeps them. " +
	"Instants are RFC 3339 in UTC with milliseconds, bytes base64, NaN and the infinities text. In CSV NULL is an empty field and the empty string is \"\"."

var rowErrors = []int{400, 404, 413, 422, 503}

func (s *Web) textOfMetrics() text {
	return text{id: "list-metrics", tag: "Metrics", summary: "List metrics", about: "All metrics of the pipeline with their columns.", answer: metricList{}}
}

func (s *Web) textOfMetric() text {
	return text{id: "get-metric", tag: "Metrics", summary: "Read a metric",
		about: "All rows of the metric, exact for the position told, which is one moment for all of them. " +
			"Each column is a parameter too: ?column=value picks the rows that have that value. " + numbersText + s.columnsText(),
		params: append([]*huma.Param{pathParam("metric", s.metricNames())}, params(rowControls, nil)...),
		answer: rowsAnswer{}, media: []string{"application/json", "text/csv"}, errors: rowErrors}
}

func (s *Web) textOfMetricEvents() text {
	return text{id: "watch-metric", tag: "Metrics", summary: "Watch a metric",
		about: "Server-sent events: first snapshot with all rows, then change whenever records are counted. A change lists edits, each of which replaces rows " +
			"(at, delete, insert) of the event before; a client that is slow gets a snapshot again instead. problem tells why rows can't be read just now. An event's id is that of " +
			"its content: after a reconnect with Last-Event-ID nothing is sent again unless it has changed. At most " + strconv.Itoa(s.Limits.EventRows) + " rows are watched.",
		params: append([]*huma.Param{pathParam("metric", s.metricNames())}, params(eventControls, nil)...),
		answer: snapshot{}, media: []string{"text/event-stream"}, errors: []int{400, 404, 422, 503}}
}

func (s *Web) textOfModel() text {
	return text{id: "get-model", tag: "Models", summary: "Read rows of a model",
		about:  "Cleaned rows in the order of their records, " + strconv.Itoa(defaultLimit) + " unless limit says otherwise (at most " + strconv.Itoa(s.Limits.ModelRows) + "). " + numbersText,
		params: append([]*huma.Param{pathParam("model", s.modelNames())}, params(rowControls, nil)...),
		answer: rowsAnswer{}, media: []string{"application/json", "text/csv"}, errors: rowErrors}
}

func (s *Web) textOfRejects() text {
	return text{id: "list-rejects", tag: "Models", summary: "List rejects",
		about:  "Records that were not accepted, the newest first, with the reason and the payload in base64.",
		params: params(rowControls, pinflow.RejectsTable().Keys),
		answer: rowsAnswer{}, media: []string{"application/json", "text/csv"}, errors: rowErrors}
}

func (s *Web) textOfSQL() text {
	return text{id: "query-sql", tag: "SQL", summary: "Run a query",
		about: "One SELECT in DuckDB's SQL over the views of metrics, models and rejects. It only reads, within " + s.Limits.SQLTime.String() + " and " +
			strconv.Itoa(s.Limits.SQLRows) + " rows (more are an error: add LIMIT). A name that several columns have gets _1, _2 … behind it. " + numbersText,
		params: params(sqlControls, nil), body: sqlBody{},
		answer: rowsAnswer{}, media: []string{"application/json", "text/csv"}, errors: []int{400, 403, 413, 415, 422, 503}}
}

func textOfStatus() text {
	return text{id: "get-status", tag: "Status", summary: "How far and how fast", about: "Positions, lag and speed of the live half.", answer: Status{}, errors: []int{503}}
}

func textOfEvents() text {
	return text{id: "watch", tag: "Status", summary: "Watch the status and metrics in one stream",
		about: "Server-sent events: status every second, and for each metric watched the events of its own stream. Browsers open only a few streams at once.",
		params: []*huma.Param{{Name: "watch", In: "query", Description: "A metric's name, with or without ? and the parameters of its own stream, escaped; once per metric.",
			Schema: &huma.Schema{Type: huma.TypeArray, Items: &huma.Schema{Type: huma.TypeString}}}},
		answer: Status{}, media: []string{"text/event-stream"}, errors: []int{400, 404, 422, 503}}
}

func textOfLake() text {
	return text{id: "get-lake", tag: "Status", summary: "What the lake holds", about: "Objects and records per period.", answer: map[string]any{}, errors: []int{503}}
}

func textOfHealth() text {
	return text{id: "health", tag: "Status", summary: "Is it alive", about: "200 as long as the process answers.", answer: map[string]string{}}
}

func textOfReady() text {
	return text{id: "ready", tag: "Status", summary: "Is it ready", about: "200 when posts are taken and reads answered, caught up or not.", answer: map[string]string{}, errors: []int{503}}
}

func textOfPrometheus() text {
	return text{id: "prometheus", tag: "Status", summary: "Prometheus metrics", about: "In Prometheus' text format.", media: []string{"text/plain"}}
}

// columnsText lists the metrics' columns.
func (s *Web) columnsText() string {
	var b strings.Builder
	for _, m := range s.plan().Metrics {
		b.WriteString("\n\n- `" + m.Name + "`: " + grammar{columns: m.Columns}.columnNames())
	}
	return b.String()
}

func (s *Web) metricNames() []string {
	var names []string
	for _, m := range s.plan().Metrics {
		names = append(names, m.Name)
	}
	return names
}
