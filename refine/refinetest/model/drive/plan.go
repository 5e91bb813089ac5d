package drive

import (
	"fmt"

	"github.com/pinflow/pinflow"
)

func column(name, columnType string) pinflow.Column {
	return pinflow.Column{Name: name, Type: columnType}
}

func measure(name string, merge pinflow.Merge) pinflow.Measure {
	return pinflow.Measure{Column: column(name, "BIGINT"), Merge: merge}
}

// columns are those of a model's rows.
var columns = []pinflow.Column{column("key", "VARCHAR"), column("dim", "BIGINT"), column("val", "BIGINT"), column("_partition", "INTEGER"), column("_offset", "BIGINT")}

// generation is the name of a generation of the model's.
func generation(g int8) string { return fmt.Sprintf("g%d", g) }

// plan has the tables of the model's world: all that a Cell, a Row and a reject can be.
func plan(topic string, g int8) *pinflow.Plan {
	dim, val := column("dim", "BIGINT"), column("val", "BIGINT")
	accepted := func(model string) pinflow.Table {
		return pinflow.Table{Name: model + "__accepted", Kind: pinflow.Partials, Model: model, Measures: []pinflow.Measure{measure("n", pinflow.Sum)}}
	}
	entities := func(name, keep string) pinflow.Table {
		return pinflow.Table{Name: name, Kind: pinflow.Entities, Model: name, Keys: columns, Key: []string{"key"}, Keep: keep}
	}
	source := pinflow.PlannedSource{Source: pinflow.Source{Name: topic, Topic: topic}}
	return &pinflow.Plan{Pipeline: "world", Generation: generation(g), Sources: []pinflow.PlannedSource{source}, Tables: []pinflow.Table{
		{Name: "plain", Kind: pinflow.Rows, Model: "plain", Keys: columns, Rows: "all"},
		entities("latest", "latest"), entities("first", "first"),
		accepted("plain"), accepted("latest"),
		{Name: "figures", Kind: pinflow.Partials, Model: "plain", Keys: []pinflow.Column{dim}, Measures: []pinflow.Measure{measure("n", pinflow.Sum), measure("least", pinflow.Min)}},
		{Name: "vals", Kind: pinflow.Partials, Model: "plain", Keys: []pinflow.Column{dim, val}},
		{Name: "latest_figures", Kind: pinflow.Partials, Model: "latest", Signed: true, Keys: []pinflow.Column{dim}, Measures: []pinflow.Measure{measure("_rows", pinflow.Sum), measure("total", pinflow.Sum)}},
		{Name: "latest_vals", Kind: pinflow.Partials, Model: "latest", Signed: true, Keys: []pinflow.Column{dim, val}, Measures: []pinflow.Measure{measure("_n", pinflow.Sum)}},
		{Name: "first_figures", Kind: pinflow.Partials, Model: "first", Signed: true, Keys: []pinflow.Column{dim}, Measures: []pinflow.Measure{measure("_rows", pinflow.Sum)}},
		pinflow.RejectsTable(),
	}, Views: []pinflow.View{everything}}
}

// everything shows all rows of all tables, as one line each.
var everything = pinflow.View{Name: "everything", Columns: []pinflow.Column{column("line", "VARCHAR")}, DuckDB: `
	SELECT concat_ws(' ', 'plain', _period, _topic, "key", dim, val, _partition, _offset) AS line FROM {gen}.plain
	UNION ALL SELECT concat_ws(' ', 'latest', _period, _topic, "key", dim, val, _partition, _offset) FROM {gen}.latest
	UNION ALL SELECT concat_ws(' ', 'first', _period, _topic, "key", dim, val, _partition, _offset) FROM {gen}.first
	UNION ALL SELECT concat_ws(' ', 'plain__accepted', _period, _shard, sum(n)::BIGINT) FROM {gen}.plain__accepted GROUP BY _period, _shard
	UNION ALL SELECT concat_ws(' ', 'latest__accepted', _period, _shard, sum(n)::BIGINT) FROM {gen}.latest__accepted GROUP BY _period, _shard
	UNION ALL SELECT concat_ws(' ', 'figures', _period, _shard, dim, sum(n)::BIGINT, min(least)) FROM {gen}.figures GROUP BY _period, _shard, dim
	UNION ALL SELECT DISTINCT concat_ws(' ', 'vals', _period, _shard, dim, val) FROM {gen}.vals
	UNION ALL SELECT concat_ws(' ', 'latest_figures', _period, _shard, dim, sum(_rows)::BIGINT, sum(total)::BIGINT) FROM {gen}.latest_figures
		GROUP BY _period, _shard, dim HAVING sum(_rows) <> 0 OR sum(total) <> 0
	UNION ALL SELECT concat_ws(' ', 'latest_vals', _period, _shard, dim, val, sum(_n)::BIGINT) FROM {gen}.latest_vals GROUP BY _period, _shard, dim, val HAVING sum(_n) <> 0
	UNION ALL SELECT concat_ws(' ', 'first_figures', _period, _shard, dim, sum(_rows)::BIGINT) FROM {gen}.first_figures GROUP BY _period, _shard, dim HAVING sum(_rows) <> 0
	UNION ALL SELECT concat_ws(' ', 'rejects', model, period, topic, partition, "offset") FROM {gen}.rejects`}
