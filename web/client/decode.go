package client

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/pinflow/pinflow"
)

// decode reads an answer with rows one row at a time. Numbers are json.Number with every digit, instants and
// dates time.Time, bytes []byte, lists []any.
func decode(r io.Reader) (*pinflow.Result, error) {
	dec := json.NewDecoder(r)
	dec.UseNumber()
	res := &pinflow.Result{Positions: map[pinflow.TopicPartition]pinflow.Progress{}}
	if err := expect(dec, '{'); err != nil {
		return nil, err
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, err
		}
		if err := member(dec, res, name); err != nil {
			return nil, err
		}
	}
	return res, expect(dec, '}')
}

func member(dec *json.Decoder, res *pinflow.Result, name json.Token) error {
	switch name {
	case "columns":
		return dec.Decode(&res.Columns)
	case "positions":
		var at []struct {
			pinflow.TopicPartition
			NextOffset int64 `json:"next_offset"`
		}
		if err := dec.Decode(&at); err != nil {
			return err
		}
		for _, p := range at {
			res.Positions[p.TopicPartition] = pinflow.Progress{NextOffset: p.NextOffset}
		}
		return nil
	case "rows":
		return rows(dec, res)
	case "row":
		return row(dec, res)
	}
	var other any
	return dec.Decode(&other)
}

func rows(dec *json.Decoder, res *pinflow.Result) error {
	if err := expect(dec, '['); err != nil {
		return err
	}
	for dec.More() {
		if err := row(dec, res); err != nil {
			return err
		}
	}
	return expect(dec, ']')
}

func row(dec *json.Decoder, res *pinflow.Result) error {
	var object map[string]any
	if err := dec.Decode(&object); err != nil {
		return err
	}
	row := make([]any, len(res.Columns))
	for i, c := range res.Columns {
		row[i] = typed(c.Type, object[c.Name])
	}
	res.Rows = append(res.Rows, row)
	return nil
}

// typed gives a text the type that its column has in the store; one that does not read so stays text.
func typed(typ string, v any) any {
	if list, ok := v.([]any); ok && strings.HasSuffix(typ, "[]") {
		for i := range list {
			list[i] = typed(strings.TrimSuffix(typ, "[]"), list[i])
		}
	}
	s, ok := v.(string)
	if !ok {
		return v
	}
	switch {
	case typ == "BLOB":
		if b, err := base64.StdEncoding.DecodeString(s); err == nil {
			return b
		}
	case typ == "DATE":
		if t, err := time.Parse(time.DateOnly, s); err == nil {
			return t
		}
	case strings.HasPrefix(typ, "TIMESTAMP"):
		if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
			return t
		}
	}
	return v
}

func expect(dec *json.Decoder, want json.Delim) error {
	got, err := dec.Token()
	if err == nil && got != want {
		err = fmt.Errorf("%v where %v should be", got, want)
	}
	return err
}
