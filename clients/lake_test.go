package clients

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pinflow/pinflow/internal/realtest"
)

// readings is what a reader of the lake finds: numbers by category, and the types of columns by table.
type readings struct {
	Version            string
	Raw, Clean, Metric map[string][]int64
	Types              map[string]map[string]string
}

// TestLakeReaders has pandas, pyarrow, DuckDB and Spark read the lake's JSON and Parquet as they are, and compares what they find with
// what was posted and with what Pinflow itself answers.
func TestLakeReaders(t *testing.T) {
	interpreter(t)
	p := up(t, "", "--log-period", "2s", "--seal-grace", "0s")
	all := posts(t, "lake", 200)
	var taken []sent
	for half := range slices.Chunk(all, len(all)/2) {
		taken = append(taken, post(t, p, half)...)
		p.installed(len(taken))
	}
	p.counted(len(taken))
	p.stop()

	want := readings{Raw: map[string][]int64{}}
	for _, one := range taken {
		var pin struct {
			Category string
			Index    int64
		}
		decode(t, one.Value, &pin)
		sums := append(want.Raw[pin.Category], make([]int64, 3)...)[:3]
		want.Raw[pin.Category] = []int64{sums[0] + 1, sums[1] + pin.Index, sums[2] + one.Offset}
	}
	want.Clean = p.byCategory("sql", `SELECT category, count(*) AS a, sum(follower_count)::BIGINT AS b, sum(len(tags))::BIGINT AS c, count(*) FILTER (media = 'image') AS d,
		epoch_ms(max(posted_at)) AS e FROM posts GROUP BY category`)
	want.Metric = p.byCategory("sql", `SELECT m.category, m.number_of_records AS a, m.number_of_images AS b, sum(p.follower_count)::BIGINT AS c, m.max_follower_count AS d
		FROM category_popularity AS m JOIN posts AS p ON p.category = m.category GROUP BY ALL`)
	read := map[string]readings{}
	for _, reader := range []string{"pandas", "pyarrow", "duckdb"} {
		var got readings
		script(t, "", &got, "read_"+reader+".py", filepath.Join(p.data, "lake"), p.topic)
		read[reader] = got
	}
	read["spark"] = spark(t, filepath.Join(p.data, "lake"), p.topic)
	for reader, got := range read {
		isDocumented(t, reader, got.Version)
		if got.Types, got.Version = nil, ""; !reflect.DeepEqual(got, want) {
			t.Errorf("%s reads\n%v, want\n%v", reader, got, want)
		}
	}
	checkTypes(t, p.types(), read["pyarrow"].Types, read["spark"].Types)
}

// spark runs the reader of Spark, which has more to say than that it fails.
func spark(t *testing.T, args ...string) (got readings) {
	t.Helper()
	command := append([]string{realtest.Service(t, "spark.sh", "install"), "submit", filepath.Join("testdata", "read_spark.py")}, args...)
	out, _ := output(t, exec.CommandContext(t.Context(), "bash", command...))
	decode(t, out, &got)
	return got
}

// installed waits until the batch has made Parquet of so many posts.
func (p *process) installed(want int) {
	p.t.Helper()
	p.eventually(fmt.Sprintf("there is Parquet of %d posts", want), func() bool {
		manifests, err := filepath.Glob(filepath.Join(p.data, "lake", "gen=*", "_periods", "*.json"))
		if err != nil {
			p.t.Fatal(err)
		}
		sum := 0
		for _, name := range manifests {
			sum += cleanPosts(p.t, name)
		}
		return sum == want
	})
}

// cleanPosts is how many clean posts a period has, by its manifest.
func cleanPosts(t *testing.T, manifest string) (rows int) {
	t.Helper()
	text, err := os.ReadFile(manifest)
	if err != nil {
		t.Fatal(err)
	}
	var m struct {
		Parts []struct {
			Kind, Of string
			Rows     int
		}
	}
	decode(t, string(text), &m)
	for _, part := range m.Parts {
		if part.Kind == "clean" && part.Of == "posts" {
			rows += part.Rows
		}
	}
	return rows
}

// byCategory runs a query of a category and numbers a, b, c …
func (p *process) byCategory(args ...string) map[string][]int64 {
	p.t.Helper()
	all := map[string][]int64{}
	for _, r := range p.rows(args...) {
		category := r["category"].(string)
		delete(r, "category")
		for _, column := range slices.Sorted(maps.Keys(r)) {
			all[category] = append(all[category], int64(r[column].(float64)))
		}
	}
	return all
}

// types are the SQL types of some tables' columns, as DuckDB calls them.
func (p *process) types() map[string]map[string]string {
	p.t.Helper()
	var asked []string
	for column := range p.rows("sql", "SELECT * FROM posts LIMIT 1")[0] {
		asked = append(asked, fmt.Sprintf("typeof(%q) AS %[1]q", column))
	}
	all := map[string]map[string]string{"posts": {},
		"category_popularity":   {"sum_follower_count": "HUGEINT"}, // of BIGINT, as every sum of integers
		"followers_by_category": {"median_follower_count": "DECIMAL(38,1)"},
		"category_by_day":       {"day": "DATE"}}
	for column, of := range p.rows("sql", "SELECT "+strings.Join(asked, ", ")+" FROM posts LIMIT 1")[0] {
		all["posts"][column] = of.(string)
	}
	return all
}

// typeRow is a row of the table of types in docs/CLIENTS.md.
var typeRow = regexp.MustCompile("(?m)^\\| `([^`]+)` \\| `([^`]+)` \\| `([^`]+)` \\|")

// checkTypes holds the table of types in docs/CLIENTS.md to what readers see: each column's types stand there, and each row is some column's.
func checkTypes(t *testing.T, sql, arrow, spark map[string]map[string]string) {
	t.Helper()
	documented, seen := map[[3]string]bool{}, map[[3]string]bool{}
	for _, row := range typeRow.FindAllStringSubmatch(page(t, "CLIENTS.md"), -1) {
		documented[[3]string{row[1], row[2], row[3]}] = true
	}
	for table, columns := range sql {
		for column, of := range columns {
			types := [3]string{of, arrow[table][column], spark[table][column]}
			seen[types] = true
			if !documented[types] {
				t.Errorf("docs/CLIENTS.md does not tell of %s.%s, whose types are %q", table, column, types)
			}
		}
	}
	for types := range documented {
		if !seen[types] {
			t.Errorf("docs/CLIENTS.md tells of types that no column has: %q", types)
		}
	}
}
