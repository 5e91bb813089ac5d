package duckdb_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
	"github.com/pinflow/pinflow/refine/duckdb"
	"github.com/pinflow/pinflow/refine/refinetest"
)

// fragile is a plan whose SQL fails for some records, in cleaning and in a partial, as no compiled one does.
func fragile() *pinflow.Plan {
	column := func(name, typ string) pinflow.Column { return pinflow.Column{Name: name, Type: typ} }
	return &pinflow.Plan{
		Generation: "g",
		Sources:    []pinflow.PlannedSource{{Source: pinflow.Source{Name: "s", Topic: "t", Schema: json.RawMessage(`{"properties": {"v": {"type": "string"}}}`)}}},
		Models: []pinflow.PlannedModel{{Name: "m", Source: "s", Table: "m", Columns: []pinflow.Column{column("v", "INTEGER"), column("_partition", "INTEGER"), column("_offset", "BIGINT")},
			SQL: "SELECT CAST(v AS INTEGER) AS v, _partition, _offset, CASE WHEN v = '13' THEN 'unlucky' END AS _reject FROM s"}},
		Metrics: []pinflow.PlannedMetric{{Name: "n", Model: "m", Partials: []pinflow.Partial{
			{Table: "n", SQL: "SELECT _period, _partition, v % 2 AS odd, count(*) AS n FROM m GROUP BY ALL"},
			{Table: "big", SQL: "SELECT _period, _partition, CAST(v * 1000000::BIGINT AS INTEGER) AS k, count(*) AS n FROM m GROUP BY ALL"}}}},
		Tables: []pinflow.Table{
			{Name: "m", Kind: pinflow.Rows, Model: "m", Keys: []pinflow.Column{column("v", "INTEGER"), column("_partition", "INTEGER"), column("_offset", "BIGINT")}},
			{Name: "n", Kind: pinflow.Partials, Keys: []pinflow.Column{column("odd", "INTEGER")}, Measures: []pinflow.Measure{{Column: column("n", "BIGINT"), Merge: pinflow.Sum}}},
			{Name: "big", Kind: pinflow.Partials, Keys: []pinflow.Column{column("k", "INTEGER")}, Measures: []pinflow.Measure{{Column: column("n", "BIGINT"), Merge: pinflow.Sum}}},
			pinflow.RejectsTable(),
		},
	}
}

// TestFailingRecordsAreRejectedAlone: whatever is beside a record, it is rejected for the same reason or not at all.
func TestFailingRecordsAreRejectedAlone(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	tp := pinflow.TopicPartition{Topic: "t"}
	log := refinetest.Log{}
	want := map[int64]string{}
	for i := range int64(300) {
		v, why := fmt.Sprint(r.IntN(12)), ""
		switch r.IntN(12) {
		case 0:
			v, why = "x", "Conversion Error: Could not convert string 'x' to INT32 when casting from source column v"
		case 1:
			v, why = "13", "unlucky"
		case 2:
			v, why = "2148", "Conversion Error: Type INT64 with value 2148000000 can't be cast because the value is out of range for the destination type INT32"
		}
		if why != "" {
			want[i] = why
		}
		log[tp] = append(log[tp], pinflow.Record{Topic: "t", Offset: i, Timestamp: 1764010000000, Value: []byte(`{"v": "` + v + `"}`)})
	}
	e := open(t, fragile())
	for _, most := range []int{300, 100, 3, 1} {
		rejected, rows, counted := map[int64]string{}, 0, int64(0)
		for _, b := range refinetest.Split(log, r, most) {
			d, err := e.Refine(t.Context(), b)
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range d.Added {
				if err := a.Rows.Scan(t.Context(), func(row []any) error {
					switch a.Table {
					case "rejects":
						rejected[row[3].(int64)] = row[6].(string)
					case "m":
						rows++
					case "n":
						counted += row[3].(int64)
					}
					return nil
				}); err != nil {
					t.Fatal(err)
				}
			}
			d.Close()
		}
		if !maps.Equal(rejected, want) {
			t.Errorf("in batches of up to %d: rejected %v\nwant %v", most, rejected, want)
		}
		if rows != 300-len(want) || int(counted) != rows {
			t.Errorf("in batches of up to %d: %d rows, %d of them counted, want %d", most, rows, counted, 300-len(want))
		}
	}
}

func TestBadPlansAndBatches(t *testing.T) {
	i, err := duck.Open(t.Context(), duck.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	broken := fragile()
	broken.Models[0].SQL = "SELECT nothing FROM s"
	if _, err := duckdb.NewEngine(t.Context(), duckdb.Options{Instance: i, Plan: broken}); err == nil {
		t.Error("a plan whose SQL reads a column that is not there was taken")
	}
	e, err := duckdb.NewEngine(t.Context(), duckdb.Options{Instance: i, Plan: fragile(), Batches: 1})
	if err != nil {
		t.Fatal(err)
	}
	foreign := pinflow.Batch{Slices: []pinflow.Slice{{TopicPartition: pinflow.TopicPartition{Topic: "other"}}}}
	if _, err := e.Refine(t.Context(), foreign); pinflow.KindOf(err) != pinflow.Invalid {
		t.Errorf("a batch of another topic: %v", err)
	}
	d, err := e.Refine(t.Context(), pinflow.Batch{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.Refine(ctx, pinflow.Batch{}); err != context.Canceled {
		t.Errorf("with one delta allowed in hand, the second: %v", err)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	d.Close()
	d.Close()
	if _, err := e.Refine(t.Context(), pinflow.Batch{}); pinflow.KindOf(err) != pinflow.Unavailable {
		t.Errorf("after Close: %v", err)
	}
	var left int
	if err := i.DB.QueryRow("SELECT count(*) FROM duckdb_databases() WHERE database_name LIKE 'scratch%'").Scan(&left); err != nil || left != 0 {
		t.Errorf("%d scratch databases are left, %v", left, err)
	}
}
