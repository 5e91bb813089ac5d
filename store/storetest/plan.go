package storetest

import (
	"slices"
	"strings"

	"github.com/pinflow/pinflow"
)

func column(name, columnType string) pinflow.Column {
	return pinflow.Column{Name: name, Type: columnType}
}

func measure(name, columnType string, merge pinflow.Merge) pinflow.Measure {
	return pinflow.Measure{Column: column(name, columnType), Merge: merge}
}

// plan has every kind of table, merge and column type. totals counts each record once, so that
// its sum is the sum of the positions.
func plan(generation string) *pinflow.Plan {
	keys := []pinflow.Column{column("word", "VARCHAR"), column("number", "BIGINT"), column("day", "DATE"), column("moment", "TIMESTAMPTZ"), column("flag", "BOOLEAN")}
	measures := []pinflow.Measure{measure("n", "BIGINT", pinflow.Sum), measure("huge", "HUGEINT", pinflow.Sum), measure("amount", "DECIMAL(38,2)", pinflow.Sum),
		measure("low", "BIGINT", pinflow.Min), measure("high", "HUGEINT", pinflow.Max), measure("first", "TIMESTAMPTZ", pinflow.Min), measure("last", "TIMESTAMPTZ", pinflow.Max),
		measure("least_word", "VARCHAR", pinflow.Min), measure("ratio", "DOUBLE", pinflow.Max), measure("ever", "BOOLEAN", pinflow.Max), measure("until", "DATE", pinflow.Max),
		measure("price", "DECIMAL(10,4)", pinflow.Min)}
	things := []pinflow.Column{column("id", "BIGINT"), column("small", "INTEGER"), column("name", "VARCHAR"), column("tags", "VARCHAR[]"), column("data", "BLOB"),
		column("price", "DECIMAL(38,10)"), column("ratio", "DOUBLE"), column("moment", "TIMESTAMPTZ"), column("day", "DATE"), column("huge", "HUGEINT"), column("flag", "BOOLEAN"),
		column("_partition", "INTEGER"), column("_offset", "BIGINT")}
	p := &pinflow.Plan{Pipeline: "shop", Generation: generation, Tables: []pinflow.Table{
		{Name: "sales", Kind: pinflow.Partials, Model: "things", Keys: keys, Measures: measures},
		{Name: "people", Kind: pinflow.Partials, Model: "things", Keys: []pinflow.Column{column("moment", "TIMESTAMPTZ"), column("who", "VARCHAR")}},
		{Name: "totals", Kind: pinflow.Partials, Model: "things", Measures: []pinflow.Measure{measure("n", "BIGINT", pinflow.Sum)}},
		{Name: "things", Kind: pinflow.Rows, Model: "things", Keys: things},
		pinflow.RejectsTable(),
	}}
	p.Views = []pinflow.View{
		view("sales", sum(keys, measures), keys...),
		view("people", "SELECT moment, count(DISTINCT who) AS people FROM {gen}.people GROUP BY moment"),
		view("totals", "SELECT coalesce(sum(n), 0)::BIGINT AS n FROM {gen}.totals"),
		view("things", "SELECT "+names(things)+" FROM {gen}.things"),
	}
	return p
}

// view is one whose text is the same in DuckDB's and in PostgreSQL's words, but for the types.
func view(name, text string, _ ...pinflow.Column) pinflow.View {
	postgres := strings.NewReplacer("::HUGEINT", "::numeric", "::DECIMAL", "::numeric", "::DOUBLE", "::float8", "max(ever)", "bool_or(ever)").Replace(text)
	return pinflow.View{Name: name, DuckDB: text, Postgres: postgres}
}

func sum(keys []pinflow.Column, measures []pinflow.Measure) string {
	var list []string
	for _, m := range measures {
		list = append(list, string(m.Merge)+"("+m.Name+")::"+m.Type+" AS "+m.Name)
	}
	return "SELECT " + names(keys) + ", " + strings.Join(list, ", ") + " FROM {gen}.sales GROUP BY " + names(keys)
}

func names(columns []pinflow.Column) string {
	var list []string
	for _, c := range columns {
		list = append(list, c.Name)
	}
	return strings.Join(list, ", ")
}

// columnsOf are all columns of a table of the plan.
func columnsOf(p *pinflow.Plan, table string) []pinflow.Column {
	t := p.Table(table)
	var all []pinflow.Column
	switch t.Kind {
	case pinflow.Partials:
		all = append(all, column("_period", "BIGINT"), column("_shard", "INTEGER"))
	case pinflow.Rows, pinflow.Entities:
		all = append(all, column("_period", "BIGINT"), column("_topic", "VARCHAR"))
	}
	all = slices.Concat(all, t.Keys)
	for _, m := range t.Measures {
		all = append(all, m.Column)
	}
	return all
}
