package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/pinflow/pinflow"
)

// maxCell is how many characters of a value a table shows.
const maxCell = 60

// printTable prints rows for people: numbers to the right, below a line with their number and what else is to be said.
func printTable(w io.Writer, columns []pinflow.Column, rows [][]any, more string) error {
	cells, numeric := make([][]string, len(rows)), make([]bool, len(columns))
	widths, names := make([]int, len(columns)), make([]string, len(columns))
	for c, column := range columns {
		names[c], numeric[c] = oneLine(column.Name), true
		widths[c] = utf8.RuneCountInString(names[c])
	}
	for r, row := range rows {
		cells[r] = make([]string, len(columns))
		for c := range columns {
			text, isNumber := cell(row[c], columns[c].Type)
			cells[r][c] = text
			numeric[c] = numeric[c] && (isNumber || row[c] == nil)
			widths[c] = max(widths[c], utf8.RuneCountInString(text))
		}
	}
	var b bytes.Buffer
	line(&b, names, widths, numeric)
	rules := make([]string, len(columns))
	for c := range rules {
		rules[c] = strings.Repeat("─", widths[c])
	}
	line(&b, rules, widths, numeric)
	for _, row := range cells {
		line(&b, row, widths, numeric)
	}
	fmt.Fprintf(&b, "(%s%s)\n", count(len(rows), "row"), more)
	_, err := w.Write(b.Bytes())
	return err
}

func line(b *bytes.Buffer, texts []string, widths []int, right []bool) {
	var l strings.Builder
	for c, text := range texts {
		pad := strings.Repeat(" ", widths[c]-utf8.RuneCountInString(text))
		if c > 0 {
			l.WriteString("  ")
		}
		if right[c] {
			l.WriteString(pad + text)
		} else {
			l.WriteString(text + pad)
		}
	}
	b.WriteString(strings.TrimRight(l.String(), " "))
	b.WriteByte('\n')
}

// cell returns the text of a value of the given type on one line, and whether it is a number. NULL is empty.
func cell(v any, typ string) (text string, isNumber bool) {
	switch v := v.(type) {
	case nil:
		return "", false
	case json.Number:
		return v.String(), true
	case string:
		text = v
	case time.Time:
		if text = v.UTC().Format("2006-01-02T15:04:05.000Z"); typ == "DATE" {
			text = v.Format(time.DateOnly)
		}
	case []byte:
		if text = string(v); !utf8.Valid(v) {
			text = base64.StdEncoding.EncodeToString(v)
		}
	default:
		raw, err := json.Marshal(v)
		if err != nil {
			return fmt.Sprint(v), false
		}
		text = string(raw)
	}
	return oneLine(text), false
}

// oneLine is a text without control characters, cut where it would be too long.
func oneLine(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
	if utf8.RuneCountInString(text) > maxCell {
		text = string([]rune(text)[:maxCell-1]) + "…"
	}
	return text
}
