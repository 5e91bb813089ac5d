package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/problem"
)

const maxSQL = 1 << 20 // bytes of a body of POST /api/sql

// sqlBody is the body of POST /api/sql when it is JSON.
type sqlBody struct {
	SQL string `json:"sql" doc:"One SELECT in DuckDB's words over the views of metrics, models and rejects" example:"SELECT 1 AS one"`
}

// sql answers one SELECT. That it only reads is the store's to see to.
func (s *Web) sql(w http.ResponseWriter, r *http.Request) error {
	// A page of another site must not make a reader's browser run queries here.
	if err := s.origin.Check(r); err != nil {
		return refusal{problem.New(http.StatusForbidden, "read SQL: "+err.Error(), "Only pages of this server may send queries from a browser.")}
	}
	req, err := grammar{view: "SQL", controls: sqlControls, maxWait: s.Limits.Wait}.parse(r)
	if err != nil {
		return err
	}
	query, err := readSQL(w, r)
	if err != nil {
		return err
	}
	req.query = pinflow.Query{SQL: query, MaxRows: s.Limits.SQLRows, Timeout: s.Limits.SQLTime}
	return s.answer(w, r, bySQL, "", req)
}

func readSQL(w http.ResponseWriter, r *http.Request) (string, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	asJSON := kind == "application/json"
	if r.Header.Get("Content-Type") != "" && (err != nil || !asJSON && kind != "text/plain" && kind != "application/sql" && kind != "application/x-www-form-urlencoded") {
		return "", refusal{problem.New(http.StatusUnsupportedMediaType, "read SQL: the body is "+r.Header.Get("Content-Type"),
			`Send {"sql": "SELECT …"} as application/json, or the text as text/plain.`)}
	}
	end := limitBody(w)
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxSQL))
	end()
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return "", &pinflow.Error{Op: "read SQL", Kind: pinflow.TooLarge, Err: fmt.Errorf("the body has more than %d bytes", maxSQL)}
	} else if err != nil {
		return "", gone(err)
	}
	text := string(body)
	// curl -d says that it is a form; what begins with a brace is no SQL.
	if asJSON || strings.HasPrefix(strings.TrimSpace(text), "{") {
		if text, err = sqlOf(body); err != nil {
			return "", &pinflow.Error{Op: "read SQL", Kind: pinflow.Invalid, Err: err, Hint: `Send {"sql": "SELECT …"}.`}
		}
	}
	if strings.TrimSpace(text) == "" {
		return "", &pinflow.Error{Op: "read SQL", Kind: pinflow.Invalid, Err: fmt.Errorf("there is no query"), Hint: `Send {"sql": "SELECT …"}.`}
	}
	return text, nil
}

func sqlOf(body []byte) (string, error) {
	var b sqlBody
	dec := json.NewDecoder(strings.NewReader(string(body)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&b); err != nil {
		return "", err
	}
	if _, err := dec.Token(); err != io.EOF {
		return "", fmt.Errorf("something follows the JSON object")
	}
	return b.SQL, nil
}
