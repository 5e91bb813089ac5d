package lake_test

import (
	"context"
	"database/sql"
	"fmt"
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

const (
	docTopic = "PinterestPipelineTopic"
	dayMS    = 86_400_000
)

// TestDuckDBReadsTheLake runs each query of docs/FORMAT.md on a lake of thousands of records in many chunks, and of what was made of them.
func TestDuckDBReadsTheLake(t *testing.T) {
	doc, err := os.ReadFile("../docs/FORMAT.md")
	must(t, err)
	dir := filepath.Join(t.TempDir(), "lake")
	objects, err := folder.Open(dir)
	must(t, err)
	defer objects.Close()
	db, err := sql.Open("duckdb", "")
	must(t, err)
	defer db.Close()
	c, err := db.Conn(t.Context())
	must(t, err)
	defer c.Close()

	plain, all := fillDays(t, objects)
	clean := makeClean(t, objects, c)
	queries := strings.Split(string(doc), "```sql\n")[1:]
	want := []int{plain, all, 4000, clean, clean}
	if len(queries) != len(want) {
		t.Fatalf("%d queries", len(queries))
	}
	for i, q := range queries {
		q, _, _ = strings.Cut(q, ";\n```")
		q = strings.ReplaceAll(strings.ReplaceAll(q, "pinflow-data/lake", dir), "GENERATION", "g1")
		set, last, ok := strings.Cut(q, ";\n")
		if !ok {
			last = set
		} else if _, err := c.ExecContext(t.Context(), set); err != nil {
			t.Errorf("%v: %s", err, set)
		}
		var n int
		if err := c.QueryRowContext(t.Context(), "SELECT count(*) FROM ("+last+")").Scan(&n); err != nil || n != want[i] {
			t.Errorf("%d rows, want %d, %v: %s", n, want[i], err, q)
		}
	}
}

// fillDays makes a lake of two days, both sealed, of 4000 and 2000 records. It returns how many of the first day are plain, and how many there are.
func fillDays(t *testing.T, objects pinflow.Objects) (plain, all int) {
	day := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC).UnixMilli()
	synctest.Test(t, func(t *testing.T) {
		j := laketest.NewJournal(1, 0)
		j.Create(docTopic, 2)
		random := rand.New(rand.NewPCG(1, 1))
		for i := range 6000 {
			tp := pinflow.TopicPartition{Topic: docTopic, Partition: int32(random.IntN(2))}
			r := laketest.Draft(random, tp, day+int64(i/4000)*dayMS)
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
		_, end := run(t, lake.Options{Journal: j.Client(), Objects: objects, Topics: []string{docTopic}})
		synctest.Wait()
		must(t, end())
		s, err := lake.NewSealer(lake.SealerOptions{Objects: objects, Journal: j, Topics: []string{docTopic}, Clock: func() time.Time { return time.UnixMilli(day + 2*dayMS) }})
		must(t, err)
		if st, err := s.Seal(t.Context()); err != nil || len(st.Sealed) != 2 {
			t.Fatal(st, err)
		}
	})
	return plain, all
}

// makeClean puts Parquet files of both days, the second day without a row, and returns how many rows there are.
func makeClean(t *testing.T, objects pinflow.Objects, c *sql.Conn) (rows int) {
	d, err := lake.NewDerived(lake.DerivedOptions{Objects: objects, PeriodLength: pinflow.DefaultPeriodLength})
	must(t, err)
	for s, err := range lake.NewRaw(objects).Seals(t.Context(), docTopic) {
		must(t, err)
		m := pinflow.Manifest{Generation: "g1", Period: s.Period, Seals: []pinflow.Seal{s}, Folders: []pinflow.Folder{{Kind: pinflow.CleanPart, Of: "posts"}}}
		for i := range 2 {
			if rows > 0 && i == 0 {
				break // the second day
			}
			m.Parts = append(m.Parts, pinflow.Part{Kind: pinflow.CleanPart, Of: "posts", Rows: 50, File: parquet(t, c, 50)})
			rows += 50
		}
		for range 2 { // made again, as after a change of heart; what was made first is swept
			_, err = d.Put(t.Context(), m)
			must(t, err)
		}
		must(t, d.Sweep(t.Context(), "g1", s.Period))
	}
	return rows
}

func parquet(t *testing.T, c *sql.Conn, rows int) string {
	file := filepath.Join(t.TempDir(), "part.parquet")
	_, err := c.ExecContext(context.Background(), fmt.Sprintf("COPY (SELECT 'lamp ' || i AS title, i AS _offset FROM range(%d) r(i)) TO '%s'", rows, file))
	must(t, err)
	return file
}
