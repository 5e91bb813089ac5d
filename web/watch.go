package web

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"sync"

	"github.com/pinflow/pinflow"
)

// edit replaces Delete rows from index At on by Insert. The edits of one event are applied in their order.
type edit struct {
	At     int               `json:"at"`
	Delete int               `json:"delete"`
	Insert []json.RawMessage `json:"insert"`
}

// snapshot is an event with all rows.
type snapshot struct {
	Metric    string            `json:"metric"`
	Columns   []pinflow.Column  `json:"columns"`
	Positions []Position        `json:"positions" doc:"The position that the rows are exact for"`
	Total     *int64            `json:"total" doc:"How many rows there are without the limit; null if that is not known"`
	Rows      []json.RawMessage `json:"rows"`
}

// change is an event that turns the rows of the event before into those of now.
type change struct {
	Metric    string     `json:"metric"`
	Positions []Position `json:"positions"`
	Total     *int64     `json:"total"`
	Edits     []edit     `json:"edits"`
}

// watched is a metric as a stream watches it.
type watched struct {
	key      string // the same for all who ask the same
	about    string // the path of it, for problems
	question question
}

// watch reads the parameters of a stream of a metric's changes.
func (s *Web) watch(ctx context.Context, name string, values url.Values) (watched, error) {
	generation := s.plan().Generation
	m, err := s.findMetric(name)
	if err != nil {
		return watched{}, err
	}
	g := grammar{view: m.Name, columns: m.Columns, controls: eventControls, maxLimit: s.Limits.EventRows}
	req, err := g.parseValues(values)
	if err == nil {
		err = mayFilter(ctx, req)
	}
	if err != nil {
		return watched{}, err
	}
	q := req.query
	q.Order = orderedBy(q.Order, m.Columns)
	q.Limit = min(orDefault(q.Limit, s.Limits.EventRows), s.Limits.EventRows)
	w := &metricWatch{web: s, name: m.Name, query: q, limit: q.Limit, counts: q.Where == "" && len(q.Filter) == 0}
	w.query.Limit++ // one more tells whether there are more
	return watched{key: generation + "/" + m.Name + "?" + values.Encode(), about: "/api/metrics/" + m.Name,
		question: question{next: w.next, changes: s.Store.Changes, pace: req.pace}}, nil
}

func orDefault(n, d int) int {
	if n == 0 {
		return d
	}
	return n
}

// metricWatch makes events of the rows of a metric.
type metricWatch struct {
	web    *Web
	name   string
	query  pinflow.Query
	limit  int
	counts bool // whether rows beyond the limit can be counted: not if there is a filter, which only View takes
}

func (m *metricWatch) next(ctx context.Context, last *version) (*version, error) {
	res, err := m.web.read(ctx, "events", m.query)
	if err != nil {
		return nil, err
	}
	total, err := m.total(ctx, res)
	if err != nil {
		return nil, err
	}
	columns, at := unique(res.Columns), sortedPositions(res.Positions)
	rows := encodeRows(columns, res.Rows[:min(len(res.Rows), m.limit)])
	id := idOf(rows, headerOf(at))
	if last != nil && last.id == id {
		return nil, nil
	}
	v := &version{id: id, event: "snapshot", rows: rows, head: headOf(columns)}
	v.full = sync.OnceValue(func() []byte {
		return mustJSON(snapshot{m.name, orEmpty(columns), at, total, raw(rows)})
	})
	if last != nil && last.head == v.head {
		v.change = mustJSON(change{m.name, at, total, edits(last.rows, rows)})
	}
	return v, nil
}

// total counts the rows without the limit; nil if that can't be done.
func (m *metricWatch) total(ctx context.Context, res *pinflow.Result) (*int64, error) {
	n := int64(len(res.Rows))
	if len(res.Rows) <= m.limit {
		return &n, nil
	}
	if !m.counts {
		return nil, nil
	}
	n, err := m.web.count(ctx, "events", m.name)
	return &n, err
}

// count counts the rows of a view of the plan.
func (s *Web) count(ctx context.Context, by, view string) (int64, error) {
	res, err := s.read(ctx, by, pinflow.Query{SQL: `SELECT count(*) AS n FROM "` + view + `"`})
	if err != nil {
		return 0, err
	}
	if len(res.Rows) == 1 && len(res.Rows[0]) == 1 {
		if n, err := strconv.ParseInt(string(appendValue(nil, "", res.Rows[0][0])), 10, 64); err == nil {
			return n, nil
		}
	}
	return 0, &pinflow.Error{Op: "count rows", On: view}
}

func encodeRows(columns []pinflow.Column, rows [][]any) [][]byte {
	out := make([][]byte, len(rows))
	for i, row := range rows {
		out[i] = appendRow(nil, columns, row)
	}
	return out
}

// idOf is the same for the same rows at the same position, also after a restart.
func idOf(rows [][]byte, at string) string {
	h := sha256.New()
	for _, row := range rows {
		h.Write(row)
		h.Write([]byte{'\n'})
	}
	h.Write([]byte(at))
	return hex.EncodeToString(h.Sum(nil)[:12])
}

func headOf(columns []pinflow.Column) string { return string(mustJSON(columns)) }

// edits turns old into new: row by row where the number of rows stays, else one block between what is
// the same at the start and at the end.
func edits(old, new [][]byte) []edit {
	out := []edit{}
	if len(old) == len(new) {
		for i := range new {
			if !bytes.Equal(old[i], new[i]) {
				out = append(out, edit{i, 1, raw(new[i : i+1])})
			}
		}
		return out
	}
	start := 0
	for start < min(len(old), len(new)) && bytes.Equal(old[start], new[start]) {
		start++
	}
	end := 0
	for end < min(len(old), len(new))-start && bytes.Equal(old[len(old)-1-end], new[len(new)-1-end]) {
		end++
	}
	return append(out, edit{start, len(old) - end - start, raw(new[start : len(new)-end])})
}

func raw(rows [][]byte) []json.RawMessage {
	out := make([]json.RawMessage, len(rows))
	for i, row := range rows {
		out[i] = row
	}
	return out
}

// watches reads ?watch=metric and ?watch=metric?parameters, escaped. No metric twice: events name it only.
func (s *Web) watches(ctx context.Context, values []string) ([]watched, error) {
	var all []watched
	var names []string
	for _, v := range values {
		name, query, _ := cutQuery(v)
		params, err := url.ParseQuery(query)
		if err == nil && slices.Contains(names, name) {
			err = errTwice
		}
		if err != nil {
			return nil, &pinflow.Error{Op: "watch", On: v, Kind: pinflow.Invalid, Err: err, Hint: "It is written watch=metric or, escaped, watch=metric?order=…&limit=…."}
		}
		names = append(names, name)
		w, err := s.watch(ctx, name, params)
		if err != nil {
			return nil, err
		}
		all = append(all, w)
	}
	return all, nil
}
