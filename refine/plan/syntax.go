package plan

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
)

// engine is DuckDB as the compiler uses it: parser, writer of text, teller of types. For one goroutine.
type engine struct {
	ctx  context.Context
	conn *sql.Conn
	inst *duck.Instance
	// template is SELECT * FROM something, in which the writer of text puts what it writes
	template node
	// text of expressions by what they are, so that none is asked for twice
	texts map[string]string
}

func openEngine(ctx context.Context) (*engine, error) {
	inst, err := duck.Open(ctx, duck.Options{Memory: 64 << 20, Threads: 1})
	if err != nil {
		return nil, err
	}
	conn, err := inst.DB.Conn(ctx)
	if err != nil {
		_ = inst.Close() // the first error is the one to tell
		return nil, engineError("open a connection", err)
	}
	e := &engine{ctx: ctx, conn: conn, inst: inst, texts: map[string]string{}}
	if e.template, _, err = e.parse("SELECT * FROM something"); err != nil {
		_ = e.close() // the first error is the one to tell
		return nil, err
	}
	return e, nil
}

func (e *engine) close() error {
	err := e.conn.Close()
	if closing := e.inst.Close(); err == nil {
		err = closing
	}
	return err
}

func engineError(what string, err error) error {
	return &pinflow.Error{Op: "plan: " + what, Err: err}
}

// syntaxError is what the parser refuses, and where.
type syntaxError struct {
	message string
	offset  int
}

// parse returns the one statement of a script. A script that is not one SELECT is a syntaxError.
func (e *engine) parse(script string) (node, *syntaxError, error) {
	var text string
	err := e.conn.QueryRowContext(e.ctx, "SELECT CAST(json_serialize_sql(CAST(? AS VARCHAR)) AS VARCHAR)", script).Scan(&text)
	if err != nil {
		return nil, nil, engineError("parse", err)
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var answer struct {
		Error      bool             `json:"error"`
		Type       string           `json:"error_type"`
		Message    string           `json:"error_message"`
		Position   json.Number      `json:"position"`
		Statements []map[string]any `json:"statements"`
	}
	if err := d.Decode(&answer); err != nil {
		return nil, nil, engineError("read the syntax tree", err)
	}
	switch {
	case answer.Error && answer.Type == "not implemented":
		return nil, &syntaxError{"this is not a SELECT", 0}, nil
	case answer.Error:
		at, err := answer.Position.Int64()
		if err != nil {
			at = -1
		}
		return nil, &syntaxError{answer.Message, int(at)}, nil
	case len(answer.Statements) == 0:
		return nil, &syntaxError{"the file holds no statement", -1}, nil
	}
	first := node(answer.Statements[0]).child("node")
	if len(answer.Statements) > 1 {
		return nil, &syntaxError{"the file holds more than one statement", node(answer.Statements[1]).offset()}, nil
	}
	return first, nil, nil
}

// expr returns the text of an expression.
func (e *engine) expr(n node) (string, error) {
	statement := e.template.without()
	statement["select_list"] = []any{map[string]any(withAlias(n, ""))}
	text, err := e.selectText(statement)
	return strings.TrimSuffix(strings.TrimPrefix(text, "SELECT "), " FROM something"), err
}

// from returns the text of what stands after FROM.
func (e *engine) from(table node) (string, error) {
	statement := e.template.without()
	statement["from_table"] = map[string]any(table)
	text, err := e.selectText(statement)
	return strings.TrimPrefix(text, "SELECT * FROM "), err
}

// selectText writes a SELECT.
func (e *engine) selectText(n node) (string, error) {
	tree, err := json.Marshal(map[string]any{"error": false, "statements": []any{map[string]any{"node": n}}})
	if err != nil {
		return "", engineError("write the syntax tree", err)
	}
	if text, ok := e.texts[string(tree)]; ok {
		return text, nil
	}
	var text string
	if err := e.conn.QueryRowContext(e.ctx, "SELECT json_deserialize_sql(CAST(? AS JSON))", string(tree)).Scan(&text); err != nil {
		return "", engineError("write an expression", err)
	}
	e.texts[string(tree)] = text
	return text, nil
}

// exec runs a statement of the compiler's own.
func (e *engine) exec(statement string) error {
	if _, err := e.conn.ExecContext(e.ctx, statement); err != nil {
		return engineError("run "+statement, err)
	}
	return nil
}

// describe returns the columns that a SELECT yields. The error is DuckDB's own.
func (e *engine) describe(query string) ([]pinflow.Column, error) {
	rows, err := e.conn.QueryContext(e.ctx, "DESCRIBE "+query)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var columns []pinflow.Column
	for rows.Next() {
		var c pinflow.Column
		var null, key, byDefault, extra any
		if err := rows.Scan(&c.Name, &c.Type, &null, &key, &byDefault, &extra); err != nil {
			return nil, err
		}
		c.Type = strings.ReplaceAll(c.Type, "TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ")
		columns = append(columns, c)
	}
	return columns, rows.Err()
}

// createTable makes an empty relation.
func (e *engine) createTable(name string, columns []pinflow.Column) error {
	return e.exec("CREATE TABLE " + duck.Quote(name) + " (" + columnList(columns) + ")")
}

func columnList(columns []pinflow.Column) string {
	list := make([]string, len(columns))
	for i, c := range columns {
		list[i] = duck.Quote(c.Name) + " " + c.Type
	}
	return strings.Join(list, ", ")
}

// constant evaluates an expression without columns: its type, and its value as text unless it is NULL.
func (e *engine) constant(text string) (typ string, value sql.NullString, err error) {
	row := e.conn.QueryRowContext(e.ctx, fmt.Sprintf("SELECT typeof(%[1]s), CAST(%[1]s AS VARCHAR)", text))
	err = row.Scan(&typ, &value)
	return strings.ReplaceAll(typ, "TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ"), value, err
}
