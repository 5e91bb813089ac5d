package main

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestPrintTable(t *testing.T) {
	var b strings.Builder
	err := printTable(&b, []string{"category", "posts", "tags"}, [][]any{
		{"art", json.Number("12"), []any{"a", "b"}},
		{"mens-fashion", nil, nil},
		{"a\nb\u009b[31m" + strings.Repeat("x", 80), json.Number("1.50"), []any{}},
	}, ", exact for what lies before a:0:3")
	if err != nil {
		t.Fatal(err)
	}
	long := "a b [31m" + strings.Repeat("x", 51) + "…"
	want := `category                                                      posts  tags
────────────────────────────────────────────────────────────  ─────  ─────────
art                                                              12  ["a","b"]
mens-fashion                                                         ` + `
` + long + `   1.50  []
(3 rows, exact for what lies before a:0:3)
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}
