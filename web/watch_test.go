package web

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// apply is what a client does with a change.
func apply(rows []string, all []edit) []string {
	for _, e := range all {
		insert := make([]string, len(e.Insert))
		for i, row := range e.Insert {
			insert[i] = string(row)
		}
		rows = slices.Replace(rows, e.At, e.At+e.Delete, insert...)
	}
	return rows
}

func TestEditsTurnOldRowsIntoNew(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	rows := func() (out [][]byte) {
		for range r.IntN(8) {
			out = append(out, fmt.Appendf(nil, "%d", r.IntN(3)))
		}
		return out
	}
	text := func(rows [][]byte) []string {
		out := []string{}
		for _, row := range rows {
			out = append(out, string(row))
		}
		return out
	}
	for range 5000 {
		before, now := rows(), rows()
		all := edits(before, now)
		if got := apply(text(before), all); !slices.Equal(got, text(now)) {
			t.Fatalf("%s to %s: %v gives %s", before, now, all, got)
		}
		for _, e := range all {
			if _, err := json.Marshal(e); err != nil || e.Insert == nil {
				t.Fatalf("%v can't be sent: %v", e, err)
			}
		}
		if same := edits(now, now); len(same) != 0 {
			t.Fatalf("%s has changed into itself by %v", now, same)
		}
	}
}
