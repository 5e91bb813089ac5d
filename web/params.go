package web

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/access"
	"github.com/pinflow/pinflow/problem"
)

// Defaults of parameters.
const (
	defaultWait  = 10 * time.Second
	defaultPace  = 250 * time.Millisecond
	fastestPace  = 100 * time.Millisecond
	slowestPace  = time.Minute
	defaultLimit = 100 // of models and rejects, whose rows are endless
)

// request is what the parameters of a URL ask for.
type request struct {
	query   pinflow.Query
	csv     bool
	after   []pinflow.Position // wait until these records are counted
	timeout time.Duration      // for so long
	pace    time.Duration      // between two events, at least
	asOf    string             // of a report: the period at whose end
}

// grammar is which parameters a route takes: its controls, and one per column for equality.
type grammar struct {
	view     string
	columns  []pinflow.Column
	controls []string
	maxLimit int           // of limit; 0 for any
	maxWait  time.Duration // of timeout
}

// parse reads the parameters of r's URL, and what it accepts if they don't say in which format.
func (g grammar) parse(r *http.Request) (request, error) {
	values, err := queryOf(r)
	if err != nil {
		return request{}, err
	}
	req, err := g.parseValues(values)
	if err == nil {
		err = mayFilter(r.Context(), req)
	}
	if !values.Has("format") {
		req.csv = acceptsCSV(r.Header.Get("Accept"))
	}
	return req, err
}

// mayFilter refuses an expression in SQL to who may not run SQL.
func mayFilter(ctx context.Context, req request) error {
	if req.query.Where == "" {
		return nil
	}
	return access.Require(ctx, access.SQL, "The parameter filter")
}

// parseValues reads parameters. All that is wrong is listed in one Invalid error.
func (g grammar) parseValues(values url.Values) (request, error) {
	req := request{query: pinflow.Query{View: g.view}, timeout: min(defaultWait, g.maxWait), pace: defaultPace}
	var faults problem.Faults
	for _, name := range sortedKeys(values) {
		if err := g.parameter(&req, name, values[name]); err != nil {
			faults = append(faults, problem.Detail{Path: name, Reason: err.Error()})
		}
	}
	if faults != nil {
		hint := "It takes " + strings.Join(g.controls, ", ")
		if len(g.columns) > 0 {
			hint += ", and each column by its name for equality"
		}
		return request{}, &pinflow.Error{Op: "read parameters", On: g.view, Kind: pinflow.Invalid, Err: faults, Hint: hint + "."}
	}
	return req, nil
}

func (g grammar) parameter(req *request, name string, values []string) error {
	if len(values) > 1 && name != "after" {
		return fmt.Errorf("it is given more than once; for one of several values use filter")
	}
	if slices.Contains(g.controls, name) {
		return g.control(req, name, values)
	}
	column, ok := g.column(name)
	if !ok && len(g.columns) == 0 {
		return fmt.Errorf("there is no such parameter")
	}
	if !ok {
		return fmt.Errorf("there is neither a parameter nor a column of that name; the columns are %s", g.columnNames())
	}
	req.query.Filter = append(req.query.Filter, pinflow.Condition{Column: column, Op: "=", Value: values[0]})
	return nil
}

func (g grammar) control(req *request, name string, values []string) (err error) {
	value := values[0]
	switch name {
	case "filter":
		req.query.Where = value
	case "from":
		return g.time(req, ">=", value)
	case "to":
		return g.time(req, "<", value)
	case "order":
		req.query.Order, err = g.order(value)
	case "limit":
		req.query.Limit, err = g.limit(value)
	case "format":
		req.csv, err = format(value)
	case "after":
		req.after, err = positions(values)
	case "timeout":
		req.timeout, err = duration(value, 0, g.maxWait)
	case "as_of":
		req.asOf = value
	case "every_ms":
		req.pace, err = duration(value+"ms", fastestPace, slowestPace)
	}
	return err
}

// time adds a bound of the first column that is an instant.
func (g grammar) time(req *request, op, value string) error {
	i := slices.IndexFunc(g.columns, func(c pinflow.Column) bool { return c.Type == "TIMESTAMPTZ" || c.Type == "TIMESTAMP WITH TIME ZONE" })
	if i < 0 {
		return fmt.Errorf("%s has no column of type TIMESTAMPTZ to which it could apply", g.view)
	}
	// An unescaped plus sign in a URL reads as a space.
	t, err := time.Parse(time.RFC3339Nano, strings.ReplaceAll(value, " ", "+"))
	if err != nil {
		return fmt.Errorf("it is not a time of RFC 3339, as 2026-11-22T10:00:00Z is")
	}
	req.query.Filter = append(req.query.Filter, pinflow.Condition{Column: g.columns[i].Name, Op: op, Value: t.UTC().Format(time.RFC3339Nano)})
	return nil
}

func (g grammar) order(value string) ([]pinflow.Order, error) {
	var order []pinflow.Order
	for part := range strings.SplitSeq(value, ",") {
		words := strings.Fields(part)
		if len(words) == 0 || len(words) > 2 || len(words) == 2 && !isDirection(words[1]) {
			return nil, fmt.Errorf("it is not written column, or column desc, separated by commas")
		}
		column, ok := g.column(words[0])
		if !ok {
			return nil, fmt.Errorf("there is no column %s; the columns are %s", words[0], g.columnNames())
		}
		order = append(order, pinflow.Order{Column: column, Descending: len(words) == 2 && strings.EqualFold(words[1], "desc")})
	}
	return order, nil
}

func isDirection(s string) bool { return strings.EqualFold(s, "asc") || strings.EqualFold(s, "desc") }

func (g grammar) limit(value string) (int, error) {
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("it is not a whole number from 1")
	}
	if g.maxLimit > 0 && n > g.maxLimit {
		return 0, fmt.Errorf("it is more than %d", g.maxLimit)
	}
	return n, nil
}

// column finds a column as SQL does, whatever the case.
func (g grammar) column(name string) (string, bool) {
	for _, c := range g.columns {
		if strings.EqualFold(c.Name, name) {
			return c.Name, true
		}
	}
	return "", false
}

func (g grammar) columnNames() string {
	names := make([]string, len(g.columns))
	for i, c := range g.columns {
		names[i] = c.Name
	}
	return strings.Join(names, ", ")
}

// orderedBy returns order with all other columns behind it, so that ties don't change places
// from one answer to the next.
func orderedBy(order []pinflow.Order, columns []pinflow.Column) []pinflow.Order {
	all := slices.Clone(order)
	for _, c := range columns {
		if !slices.ContainsFunc(order, func(o pinflow.Order) bool { return o.Column == c.Name }) {
			all = append(all, pinflow.Order{Column: c.Name})
		}
	}
	return all
}

func format(value string) (csv bool, err error) {
	switch value {
	case "json", "csv":
		return value == "csv", nil
	}
	return false, fmt.Errorf("it is neither json nor csv")
}

// acceptsCSV tells whether an Accept header names CSV and does not name JSON before it.
func acceptsCSV(accept string) bool {
	for part := range strings.SplitSeq(accept, ",") {
		kind, _, _ := strings.Cut(part, ";")
		switch strings.TrimSpace(kind) {
		case "text/csv":
			return true
		case "application/json", "*/*":
			return false
		}
	}
	return false
}

func positions(values []string) ([]pinflow.Position, error) {
	var all []pinflow.Position
	for _, v := range values {
		p, err := pinflow.ParsePosition(v)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

func duration(value string, least, most time.Duration) (time.Duration, error) {
	d, err := time.ParseDuration(value)
	if err != nil || d < least || d > most {
		return 0, fmt.Errorf("it is not a time such as 2s between %s and %s", least, most)
	}
	return d, nil
}

func sortedKeys(values url.Values) []string {
	keys := make([]string, 0, len(values))
	for k := range values {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
