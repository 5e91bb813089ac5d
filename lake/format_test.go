package lake_test

import (
	"database/sql"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	_ "github.com/duckdb/duckdb-go/v2"
	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/lake"
	"github.com/pinflow/pinflow/lake/folder"
	"github.com/pinflow/pinflow/lake/laketest"
)

// TestDuckDBReadsTheLake runs each query of docs/FORMAT.md on a lake of thousands of records in many chunks.
func TestDuckDBReadsTheLake(t *testing.T) {
	doc, err := os.ReadFile("../docs/FORMAT.md")
	if err != nil {
		t.Fatal(err)
	}
	const topic = "PinterestPipelineTopic"
	dir := filepath.Join(t.TempDir(), "lake")
	objects, err := folder.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer objects.Close()
	day := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC).UnixMilli()
	plain, all := 0, 0
	synctest.Test(t, func(t *testing.T) {
		j := laketest.NewJournal(1, 0)
		j.Create(topic, 2)
		random := rand.New(rand.NewPCG(1, 1))
		for i := range 6000 {
			tp := pinflow.TopicPartition{Topic: topic, Partition: int32(random.IntN(2))}
			r := laketest.Draft(random, tp, day+int64(i/4000)*86_400_000)
			if all++; random.IntN(4) > 0 {
				r.Value = []byte(`{"title":"a lamp ` + strings.Repeat("é", random.IntN(200)) + `"}`)
				if i < 4000 {
					plain++
				}
			} else {
				r.Value = []byte("not JSON")
			}
			j.Append(r)
		}
		_, end := run(t, lake.Options{Journal: j.Client(), Objects: objects, Topics: []string{topic}})
		synctest.Wait()
		if err := end(); err != nil {
			t.Fatal(err)
		}
	})
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	queries := strings.Split(string(doc), "```sql\n")[1:]
	want := []int{plain, all}
	if len(queries) != len(want) {
		t.Fatalf("%d queries", len(queries))
	}
	for i, q := range queries {
		q, _, _ = strings.Cut(q, ";\n```")
		q = strings.ReplaceAll(q, "pinflow-data/lake", dir)
		var n int
		if err := db.QueryRow("SELECT count(*) FROM (" + q + ")").Scan(&n); err != nil || n != want[i] {
			t.Errorf("%d rows, want %d, %v: %s", n, want[i], err, q)
		}
	}
}
