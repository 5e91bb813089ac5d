package pipelines_test

import (
	"fmt"
	"io/fs"
	"maps"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/pipelines"
)

const goodPipeline = `name: shop
sources:
  - name: sale
    key: id
models:
  - name: sales
    from: sale
`

// files are a definition without faults, with some of its files changed; a nil one is left out.
func files(changed map[string]string) fs.FS {
	all := map[string]string{
		"pipeline.yaml":      goodPipeline,
		"schemas/sale.json":  `{"properties": {"id": {"type": "string"}}}`,
		"models/sales.sql":   "-- Sales.\nSELECT id FROM sale",
		"metrics/totals.sql": "-- All of\n--   them.\n\n-- Not this.\nSELECT count(*) AS n FROM sales",
	}
	maps.Copy(all, changed)
	m := fstest.MapFS{}
	for name, text := range all {
		if text != "absent" {
			m[name] = &fstest.MapFile{Data: []byte(text)}
		}
	}
	return m
}

func TestDefaults(t *testing.T) {
	d, faults := pipelines.Load(files(map[string]string{"pipeline.yaml": "\ufeff" + strings.Replace(goodPipeline, "name: shop\n", "", 1), "metrics/by_id.sql": "/* By\n * id. */ SELECT 1"}), "my/shop")
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	s, m := d.Sources[0], d.Models[0]
	if d.Name != "shop" || s.Route != "/sale/" || s.Topic != "sale" || s.Partitions != 1 || s.Operation != "Post sale" || s.SchemaFile != "my/shop/schemas/sale.json" {
		t.Errorf("%+v", s)
	}
	if m.File != "my/shop/models/sales.sql" || m.Rows != "all" || m.From != "sale" || m.Description != "Sales." {
		t.Errorf("%+v", m)
	}
	if d.Metrics[1].Name != "totals" || d.Metrics[1].Description != "All of them." || d.Metrics[0].Description != "By id." {
		t.Errorf("%+v", d.Metrics)
	}
}

// TestKeys: one column or a list of them, the latest row unless told otherwise.
func TestKeys(t *testing.T) {
	for text, want := range map[string]string{"key: id": "[id] latest all", "key: [id, n]\n    keep: first": "[id n] first all", "key: id\n    keep: latest\n    rows: all": "[id] latest all", "key: []": "[]  all"} {
		d, faults := pipelines.Load(files(map[string]string{"pipeline.yaml": goodPipeline + "    " + text + "\n"}), "p")
		if len(faults) > 0 {
			t.Fatal(text, faults)
		}
		if m := d.Models[0]; fmt.Sprintf("%v %s %s", m.Key, m.Keep, m.Rows) != want {
			t.Errorf("%s: %+v", text, m)
		}
	}
}

// TestSharedCleaning: two models may clean alike.
func TestSharedCleaning(t *testing.T) {
	text := goodPipeline + "  - name: latest\n    description: The latest of each.\n    from: sale\n    sql: models/sales.sql\n    key: id\n"
	d, faults := pipelines.Load(files(map[string]string{"pipeline.yaml": text}), "p")
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	if a, b := d.Models[0], d.Models[1]; a.File != b.File || a.SQL != b.SQL || a.Description != "Sales." || b.Description != "The latest of each." {
		t.Errorf("%+v", d.Models)
	}
	_, faults = pipelines.Load(files(map[string]string{"pipeline.yaml": strings.Replace(text, "models/sales.sql", "models/none.sql", 1)}), "p")
	if len(faults) != 1 || !strings.HasPrefix(faults[0].String(), "p/pipeline.yaml:11: there is no file models/none.sql") {
		t.Error(faults)
	}
}

func TestFaults(t *testing.T) {
	for name, c := range map[string]struct {
		changed map[string]string
		want    []string // each the start of a fault
	}{
		"nothing there": {map[string]string{"pipeline.yaml": "absent", "models/sales.sql": "absent"}, []string{"p/pipeline.yaml: there is no file pipeline.yaml"}},
		"no YAML":       {map[string]string{"pipeline.yaml": "sources:\n  - a\n b: [", "models/sales.sql": "absent"}, []string{"p/pipeline.yaml:3: the file is not YAML"}},
		"empty":         {map[string]string{"pipeline.yaml": "", "models/sales.sql": "absent"}, []string{"p/pipeline.yaml: the file does not hold one YAML document"}},
		"a list":        {map[string]string{"pipeline.yaml": "- a", "models/sales.sql": "absent"}, []string{"p/pipeline.yaml:1: the file is not a mapping"}},
		"unknown fields": {map[string]string{"pipeline.yaml": strings.Replace(goodPipeline, "    key: id", "    key: id\n    colour: red\n    route: [a]", 1) + "extra: 1\n"},
			[]string{"p/pipeline.yaml:5: there is no field sources[0].colour", "p/pipeline.yaml:6: sources[0].route is not a text", "p/pipeline.yaml:10: there is no field extra"}},
		"fields twice": {map[string]string{"pipeline.yaml": goodPipeline + "name: again\n"}, []string{"p/pipeline.yaml:8: "}},
		"bad names": {map[string]string{"pipeline.yaml": "name: My Shop\nsources:\n  - name: Sale\n  - name: a__b\n  - route: /x\n  - name: 7up\n  - name: rejects\n  - name: \"a; drop\"\n", "models/sales.sql": "absent"},
			[]string{`p/pipeline.yaml:1: the pipeline cannot be named "My Shop"`, `p/pipeline.yaml:1: the pipeline has no models`, `p/pipeline.yaml:3: sources[0].name cannot be "Sale"`,
				"p/pipeline.yaml:4: ", "p/pipeline.yaml:5: sources[2] has no name", "p/pipeline.yaml:6: ", "p/pipeline.yaml:7: ", "p/pipeline.yaml:8: "}},
		"names twice": {map[string]string{"pipeline.yaml": goodPipeline + "  - name: sale\n    from: sale\n"}, []string{`p/pipeline.yaml:8: models[1].name: the name "sale" is taken by sources[0].name`}},
		"routes and topics": {map[string]string{"pipeline.yaml": "sources:\n  - name: a\n    route: /x/\n    topic: t.t\n    schema: schemas/sale.json\n  - name: b\n    route: /X\n    topic: t_t\n    schema: schemas/sale.json\n" +
			"  - name: c\n    route: /api/c\n    topic: a b\n    schema: schemas/sale.json\n  - name: d\n    route: x\n    topic: __consumer_offsets\n    schema: schemas/sale.json\n  - name: e\n    route: /{id}\n    schema: schemas/sale.json\n" +
			"models:\n  - name: sales\n    from: a\n"},
			[]string{`p/pipeline.yaml:7: sources[1].route: the route "/X" is taken`, `p/pipeline.yaml:8: sources[1].topic: the topic "t_t" is taken`, `p/pipeline.yaml:11: the route "/api/c" is Pinflow's own`, `p/pipeline.yaml:12: Kafka takes no topic named "a b"`,
				`p/pipeline.yaml:15: the route "x" is no path`, `p/pipeline.yaml:16: Kafka takes no topic`, `p/pipeline.yaml:19: the route "/{id}" is no path`}},
		"numbers": {map[string]string{"pipeline.yaml": strings.Replace(goodPipeline, "    key: id", "    partitions: many", 1)}, []string{"p/pipeline.yaml:4: sources[0].partitions is not a whole number"}},
		"zero":    {map[string]string{"pipeline.yaml": strings.Replace(goodPipeline, "    key: id", "    partitions: 0", 1)}, []string{"p/pipeline.yaml:4: sources[0].partitions is not a whole number"}},
		"files": {map[string]string{"schemas/sale.json": "absent", "models/sales.sql": "absent"},
			[]string{"p/pipeline.yaml:3: there is no file schemas/sale.json", "p/pipeline.yaml:6: there is no file models/sales.sql"}},
		"outside":            {map[string]string{"pipeline.yaml": strings.Replace(goodPipeline, "    key: id", "    schema: ../secret.json", 1)}, []string{"p/pipeline.yaml:4: ../secret.json is not a path inside"}},
		"keys":               {map[string]string{"pipeline.yaml": strings.Replace(goodPipeline, "key: id", "key: other", 1)}, []string{`p/pipeline.yaml:4: the key "other" is no property`}},
		"rows":               {map[string]string{"pipeline.yaml": goodPipeline + "    rows: some\n"}, []string{`p/pipeline.yaml:8: rows cannot be "some"`}},
		"keep":               {map[string]string{"pipeline.yaml": goodPipeline + "    key: [id]\n    keep: last\n"}, []string{`p/pipeline.yaml:9: keep cannot be "last"`}},
		"keep without a key": {map[string]string{"pipeline.yaml": goodPipeline + "    key: []\n    keep: latest\n"}, []string{"p/pipeline.yaml:9: the model has keep but no key"}},
		"key's columns":      {map[string]string{"pipeline.yaml": goodPipeline + "    key: [id, ID, \"\"]\n"}, []string{`p/pipeline.yaml:8: key has "ID" twice`, `p/pipeline.yaml:8: key has a column without a name`}},
		"rows of a key":      {map[string]string{"pipeline.yaml": goodPipeline + "    key: id\n    rows: recent\n"}, []string{`p/pipeline.yaml:9: rows of a model with a key cannot be "recent"`}},
		"from":               {map[string]string{"pipeline.yaml": strings.Replace(goodPipeline, "from: sale", "from: nope", 1), "models/sales.sql": "absent"}, []string{`p/pipeline.yaml:7: there is no source "nope"`}},
		"strays":             {map[string]string{"models/more.sql": "SELECT 1", "metrics/readme.md": "x", "metrics/.hidden": "x"}, []string{"p/metrics/readme.md: the folder metrics holds *.sql files only", "p/models/more.sql: no model of pipeline.yaml is named more"}},
		"no metrics":         {map[string]string{"metrics/totals.sql": "absent"}, []string{"p/metrics: the pipeline has no metrics"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, faults := pipelines.Load(files(c.changed), "p")
			got := make([]string, len(faults))
			for i, f := range faults {
				got[i] = f.String()
			}
			for i := range max(len(got), len(c.want)) {
				if i >= len(got) || i >= len(c.want) || !strings.HasPrefix(got[i], c.want[i]) {
					t.Fatalf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
				}
			}
		})
	}
}

// TestWhatIsAtFaultIsStillThere: a compiler can go on, and does not say of what refers to it that it is missing.
func TestWhatIsAtFaultIsStillThere(t *testing.T) {
	d, faults := pipelines.Load(files(map[string]string{"schemas/sale.json": "absent", "models/sales.sql": "absent"}), "p")
	if len(faults) != 2 || len(d.Sources) != 1 || len(d.Models) != 1 || len(d.Metrics) != 1 || d.Models[0].File != "p/models/sales.sql" {
		t.Errorf("%v %+v", faults, d)
	}
}

func TestShipped(t *testing.T) {
	all, err := pipelines.Shipped(pipelines.Default)
	if err != nil {
		t.Fatal(err)
	}
	d, faults := pipelines.Load(all, "pinterest")
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	s := d.Sources[0]
	if s.Route != "/pin/" || s.Operation != "Get Db Row" || s.Topic != "PinterestPipelineTopic" || s.Key != "unique_id" || s.Partitions != 1 {
		t.Errorf("%+v", s)
	}
	for _, m := range d.Metrics {
		if m.Description == "" {
			t.Errorf("%s has no description", m.File)
		}
	}
	for _, name := range []string{"nope", "", ".", "..", "pinterest/pipeline.yaml"} {
		if _, err := pipelines.Shipped(name); pinflow.KindOf(err) != pinflow.NotFound {
			t.Errorf("%q: %v", name, err)
		}
	}
}
