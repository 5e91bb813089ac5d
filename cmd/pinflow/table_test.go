package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/pinflow/pinflow"
)

func TestPrintTable(t *testing.T) {
	var b strings.Builder
	day := time.Date(2026, 2, 28, 0, 0, 0, 0, time.UTC)
	err := printTable(&b, []pinflow.Column{{Name: "cate\ngory", Type: "VARCHAR"}, {Name: "posts", Type: "BIGINT"}, {Name: "tags", Type: "VARCHAR[]"}, {Name: "day", Type: "DATE"}}, [][]any{
		{"art", json.Number("12"), []any{"a", "b"}, day},
		{"mens-fashion", nil, nil, nil},
		{"a\nb\u009b[31m" + strings.Repeat("x", 80), json.Number("1.50"), []any{}, nil},
	}, ", exact for what lies before a:0:3")
	if err != nil {
		t.Fatal(err)
	}
	long := "a b [31m" + strings.Repeat("x", 51) + "…"
	want := `cate gory                                                     posts  tags       day
────────────────────────────────────────────────────────────  ─────  ─────────  ──────────
art                                                              12  ["a","b"]  2026-02-28
mens-fashion
` + long + `   1.50  []
(3 rows, exact for what lies before a:0:3)
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}
