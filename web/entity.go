package web

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/pinflow/pinflow"
)

// entityAnswer is a row that stands for a key.
type entityAnswer struct {
	Name      string           `json:"name" doc:"The model"`
	Columns   []pinflow.Column `json:"columns" doc:"In their order, types in DuckDB's words"`
	Positions []Position       `json:"positions" doc:"The position that the row is exact for"`
	Row       map[string]any   `json:"row" doc:"The row, its members in the order of the columns"`
}

// entity answers with the row that stands for a key.
func (s *Web) entity(w http.ResponseWriter, r *http.Request) error {
	m, err := s.findModel(r.PathValue("name"))
	if err != nil {
		return err
	}
	key, err := keyOf(r, m)
	if err != nil {
		return err
	}
	req, err := grammar{view: m.Name, controls: keyControls, maxWait: s.Limits.Wait}.parse(r)
	if err != nil {
		return err
	}
	if err := s.await(r.Context(), req.after, req.timeout); err != nil {
		return err
	}
	req.query.Limit = 2
	for i, column := range m.Key {
		req.query.Filter = append(req.query.Filter, pinflow.Condition{Column: column, Op: "=", Value: key[i]})
	}
	res, err := s.read(r.Context(), "entity", req.query)
	if err != nil {
		return err
	}
	at := sortedPositions(res.Positions)
	w.Header().Set(positionHeader, headerOf(at))
	switch len(res.Rows) {
	case 0:
		return &pinflow.Error{Op: "read " + m.Name, On: strings.Join(key, ", "), Kind: pinflow.NotFound,
			Hint: "No record with this " + strings.Join(m.Key, ", ") + " has been counted; ?after= with the receipt of a post waits for it."}
	case 1:
		return writeEntity(w, m.Name, at, res)
	}
	return &pinflow.Error{Op: "read " + m.Name, On: strings.Join(key, ", "), Err: fmt.Errorf("there are several rows of the key")}
}

func writeEntity(w http.ResponseWriter, name string, at []Position, res *pinflow.Result) error {
	columns := unique(res.Columns)
	head := mustJSON(entityAnswer{Name: name, Columns: orEmpty(columns), Positions: at})
	body := append(head[:len(head)-len("null}")], appendRow(nil, columns, res.Rows[0])...)
	w.Header().Set("Content-Type", "application/json")
	_, err := w.Write(append(body, '}', '\n'))
	return gone(err)
}

// keyOf reads the values of the key's columns from the path. A value may hold a slash, escaped.
func keyOf(r *http.Request, m pinflow.PlannedModel) ([]string, error) {
	invalid := func(why error) ([]string, error) {
		hint := "The path is /api/models/" + m.Name
		for _, k := range m.Key {
			hint += "/{" + k + "}"
		}
		if len(m.Key) == 0 {
			hint += ": the model has no key"
		}
		return nil, &pinflow.Error{Op: "read a row by its key", On: m.Name, Kind: pinflow.NotFound, Err: why, Hint: hint + "."}
	}
	parts := strings.Split(strings.TrimPrefix(r.URL.EscapedPath(), "/"), "/")
	given := parts[min(3, len(parts)):] // behind api, models and the name
	if len(given) != len(m.Key) || len(m.Key) == 0 {
		return invalid(fmt.Errorf("%d values are given", len(given)))
	}
	key := make([]string, len(given))
	for i, g := range given {
		var err error
		if key[i], err = url.PathUnescape(g); err != nil {
			return invalid(err)
		}
	}
	return key, nil
}
