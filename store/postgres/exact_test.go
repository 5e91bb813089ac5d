package postgres_test

import (
	"encoding/json"
	"math"
	"math/big"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/store/postgres"
)

// TestOddValuesComeBack sends values that PostgreSQL does not take as they are through rows, keys and merges.
func TestOddValuesComeBack(t *testing.T) {
	least := new(big.Int).Sub(big.NewInt(1), new(big.Int).Lsh(big.NewInt(1), 127))
	infinity, never := time.UnixMicro(math.MaxInt64).UTC(), time.UnixMicro(-math.MaxInt64).UTC()
	day, noDay := time.Unix(math.MaxInt32*86400, 0).UTC(), time.Unix(-math.MaxInt32*86400, 0).UTC()
	columns := []pinflow.Column{{Name: "text", Type: "VARCHAR"}, {Name: "list", Type: "VARCHAR[]"}, {Name: "ratio", Type: "DOUBLE"}, {Name: "moment", Type: "TIMESTAMPTZ"}, {Name: "local", Type: "TIMESTAMP"},
		{Name: "day", Type: "DATE"}, {Name: "huge", Type: "HUGEINT"}, {Name: "price", Type: "DECIMAL(38,10)"}, {Name: "data", Type: "BLOB"}, {Name: "numbers", Type: "DECIMAL(5,2)[]"},
		{Name: "_partition", Type: "INTEGER"}, {Name: "_offset", Type: "BIGINT"}}
	text := "SELECT text, list, ratio, moment, local, day, huge, price, data, numbers, _partition, _offset FROM {gen}.odd"
	word := pinflow.Column{Name: "word", Type: "VARCHAR"}
	p := &pinflow.Plan{Pipeline: "odds", Generation: "g1", Tables: []pinflow.Table{
		{Name: "odd", Kind: pinflow.Rows, Keys: columns}, {Name: "words", Kind: pinflow.Partials, Keys: []pinflow.Column{word}, Measures: []pinflow.Measure{measure("n"),
			{Column: pinflow.Column{Name: "high", Type: "VARCHAR"}, Merge: pinflow.Max}, {Column: pinflow.Column{Name: "bytes", Type: "BLOB"}, Merge: pinflow.Min}}}},
		Views: []pinflow.View{{Name: "odd", Columns: columns, DuckDB: text, Postgres: text},
			{Name: "words", Columns: []pinflow.Column{word, measure("n").Column, {Name: "high", Type: "VARCHAR"}, {Name: "bytes", Type: "BLOB"}}, DuckDB: "SELECT word, n, high, bytes FROM {gen}.words", Postgres: "SELECT word, n, high, bytes FROM {gen}.words"}}}
	s := openStore(t, postgres.Options{URL: newDatabase(t), Instance: newFiles(t).instance, Merge: 1})
	must(t, s.Prepare(t.Context(), p))
	_, err := s.Claim(t.Context(), "g1", map[pinflow.TopicPartition]int64{visits: 0})
	must(t, err)
	odd := rows{
		{"a\x00b\x01c", []any{"\x00", "\x01\x02", "", nil, `"{},\`}, math.Inf(1), infinity, infinity, day, least, "0.0000000001", []byte("\x00\xff\x01"), []any{"-0.05", nil, "999.99"}},
		{"\xff\xfe broken", []any{}, math.Inf(-1), never, never, noDay, new(big.Int).Neg(least), "-9999999999999999999999999999.9999999999", []byte{}, []any{}},
		{"\x01", nil, math.Copysign(0, -1), time.Date(-4000, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC), time.Date(-4000, 1, 1, 0, 0, 0, 0, time.UTC), big.NewInt(0),
			"10000.0000000000", nil, nil},
		{strings.Repeat("long ", 100000), []any{strings.Repeat("x", 100000)}, 5e-324, time.Date(1969, 12, 31, 23, 59, 59, 999999000, time.UTC), nil, time.Date(1999, 12, 31, 0, 0, 0, 0, time.UTC), big.NewInt(math.MinInt64),
			"0.0001000000", nil, nil},
	}
	var came rows
	for i, row := range odd {
		came = append(came, append([]any{int64(0), visits.Topic}, append(row, int32(0), int64(i))...))
	}
	words := rows{}
	for _, w := range []any{"a", "a\x00", "a\x01", strings.Repeat("k", 5000) + "1", strings.Repeat("k", 5000) + "2", "\xff", nil, ""} {
		for _, high := range []any{"x\x00", nil, "x\x01"} {
			words = append(words, []any{int64(0), int32(0), w, int64(1), high, []byte{2, 0}})
		}
	}
	for i, start := range []int64{0, 4} { // twice, so that they are merged
		d := pinflow.Delta{Generation: "g1", Close: func() {}, Advances: []pinflow.Advance{{TopicPartition: visits, Start: start, End: start + 4}}, Added: []pinflow.Addition{{Table: "words", Rows: words}}}
		if i == 0 {
			d.Added = append(d.Added, pinflow.Addition{Table: "odd", Rows: came})
		}
		s.WaitMerges()
		must(t, s.Commit(t.Context(), d))
		s.WaitMerges()
	}
	result, err := s.Query(t.Context(), pinflow.Query{SQL: "SELECT text, list, ratio, huge, price, data, numbers FROM odd ORDER BY _offset"})
	must(t, err)
	inPlace, err := s.Query(t.Context(), pinflow.Query{View: "odd", Order: []pinflow.Order{{Column: "_offset"}}})
	must(t, err)
	for i, row := range odd {
		for j, want := range row {
			if got := inPlace.Rows[i][j]; !reflect.DeepEqual(got, inResult(want, columns[j].Type)) {
				t.Errorf("row %d: %s came back as %#v, not %#v", i, columns[j].Name, got, inResult(want, columns[j].Type))
			}
		}
		bySQL := slices.Delete(slices.Clone(inPlace.Rows[i][:10]), 3, 6)
		if i == 1 { // DuckDB has no such text
			bySQL[0] = nil
		}
		if !reflect.DeepEqual(result.Rows[i], bySQL) {
			t.Errorf("row %d: SQL shows %.200v, the view %.200v", i, result.Rows[i], bySQL)
		}
	}
	merged, err := s.Query(t.Context(), pinflow.Query{View: "words"})
	must(t, err)
	if len(merged.Rows) != 8 {
		t.Errorf("%d words, not 8", len(merged.Rows))
	}
	for _, row := range merged.Rows {
		if row[1] != int64(6) || row[2] != "x\x01" || !reflect.DeepEqual(row[3], []byte{2, 0}) {
			t.Errorf("merged to %.80v", row)
		}
	}
}

// inResult is a value as pinflow.Result has it.
func inResult(v any, columnType string) any {
	switch v := v.(type) {
	case *big.Int:
		return json.Number(v.String())
	case string:
		if strings.HasPrefix(columnType, "DECIMAL") {
			return json.Number(v)
		}
	case float64:
		if math.IsInf(v, 0) {
			return strconv.FormatFloat(v, 'g', -1, 64)
		}
	case time.Time:
		if y := v.Year(); y < 0 || y > 9999 {
			return v.Format("2006-01-02T15:04:05Z")
		}
	case []any:
		list := slices.Clone(v)
		for i := range list {
			list[i] = inResult(list[i], strings.TrimSuffix(columnType, "[]"))
		}
		if v == nil {
			return nil
		}
		return list
	}
	return v
}
