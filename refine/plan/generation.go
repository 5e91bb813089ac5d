package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
)

// semantics is the version of what plans mean. Raise it when the same definition must give other
// numbers, or other tables, than it gave before.
const semantics = 2

// generation names the plan by what decides its numbers and tables: not by comments, layout or descriptions.
func generation(p *pinflow.Plan) string {
	type source struct {
		Name, Topic, Key string
		Partitions       int
		Schema           any
	}
	var sources []source
	for _, s := range p.Sources {
		var schema any
		if json.Unmarshal(s.Schema, &schema) != nil {
			schema = string(s.Schema)
		}
		sources = append(sources, source{s.Name, s.Topic, s.Key, s.Partitions, schema})
	}
	models := slices.Clone(p.Models)
	for i := range models {
		models[i].File = ""
	}
	metrics := slices.Clone(p.Metrics)
	for i := range metrics {
		metrics[i].Description = ""
	}
	// Only strings, numbers, slices and maps are in it, which cannot fail.
	text, _ := json.Marshal([]any{semantics, p.Pipeline, sources, models, metrics, p.Tables, p.Views})
	sum := sha256.Sum256(text)
	return "gen_" + hex.EncodeToString(sum[:8])
}

// verify makes the plan's tables and asks DuckDB for the columns of every SQL text in it: they must be those
// that the plan says.
func (e *engine) verify(p *pinflow.Plan) error {
	schema := duck.Quote(p.Generation)
	if err := e.exec("CREATE SCHEMA " + schema); err != nil {
		return err
	}
	for _, t := range p.Tables {
		columns := t.Keys
		switch t.Kind {
		case pinflow.Partials:
			columns = slices.Concat(shardColumns(), t.Keys, measureColumns(t.Measures))
		case pinflow.Rows, pinflow.Entities:
			columns = slices.Concat([]pinflow.Column{{Name: "_period", Type: "BIGINT"}, {Name: "_topic", Type: "VARCHAR"}}, t.Keys)
		}
		if err := e.exec("CREATE TABLE " + schema + "." + duck.Quote(t.Name) + " (" + columnList(columns) + ")"); err != nil {
			return err
		}
	}
	for _, m := range p.Models {
		want := append(slices.Clip(m.Columns), pinflow.Column{Name: "_reject", Type: "VARCHAR"})
		for _, text := range []string{m.SQL, m.Careful} {
			if err := e.yields(text, want, m.Name); err != nil {
				return err
			}
		}
	}
	for _, part := range partials(p) {
		t := p.Table(part.Table)
		want := slices.Concat(shardColumns(), t.Keys, measureColumns(t.Measures))
		want[1].Name = "_partition"
		if err := e.yields(part.SQL, want, part.Table); err != nil {
			return err
		}
	}
	for _, v := range p.Views {
		if err := e.yields(strings.ReplaceAll(v.DuckDB, "{gen}", schema), v.Columns, v.Name); err != nil {
			return err
		}
	}
	return nil
}

// partials are all of a plan.
func partials(p *pinflow.Plan) (all []pinflow.Partial) {
	for i := range p.Models {
		all = append(all, p.Models[i].Accepted)
	}
	for i := range p.Metrics {
		all = append(all, p.Metrics[i].Partials...)
	}
	return all
}

func shardColumns() []pinflow.Column {
	return []pinflow.Column{{Name: "_period", Type: "BIGINT"}, {Name: "_shard", Type: "INTEGER"}}
}

func measureColumns(measures []pinflow.Measure) []pinflow.Column {
	columns := make([]pinflow.Column, len(measures))
	for i := range measures {
		columns[i] = measures[i].Column
	}
	return columns
}

// yields checks what a SELECT yields.
func (e *engine) yields(query string, want []pinflow.Column, name string) error {
	got, err := e.describe(query)
	if err != nil {
		return engineError("check "+name+": "+query, err)
	}
	if !slices.Equal(got, want) {
		return engineError("check "+name, fmt.Errorf("it yields %v, planned were %v", got, want))
	}
	return nil
}
