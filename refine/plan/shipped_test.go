package plan_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/realtest"
)

func pick(r *rand.Rand, of ...string) string { return of[r.IntN(len(of))] }

// pins makes posts with every dirty value that is known.
func pins(seed uint64, n int) [][]byte {
	r := rand.New(rand.NewPCG(seed, 2))
	all := make([][]byte, n)
	for i := range all {
		v := map[string]any{
			"index": i, "unique_id": fmt.Sprintf("id-%d", i), "title": pick(r, "A title", "No Title Data Available", ""),
			"description": pick(r, "Text", "No description available Story format", "No description available", "Untitled", ""),
			"follower_count": pick(r, "User Info Error", "124", "10k", "1.2k", "3M", "1B", "0", "-5", "1.2345k", "9223372036854775807", "9223372036854775808",
				"9223372036854775808k", "9.3B", "0.0015M", "1K", "", "k", " 12", "12 k", "١", "1.k"),
			"tag_list":          pick(r, "a,b,c", "N,o, ,T,a,g,s, ,A,v,a,i,l,a,b,l,e", "", "a", "a,a"),
			"is_image_or_video": pick(r, "image", "video", "multi-video(story page format)", "gif"),
			"image_src":         pick(r, "https://example.com/a.jpg", "Image src error."), "downloaded": r.IntN(2),
			"save_location": pick(r, "Local save in /data/art", "elsewhere", ""), "category": pick(r, "art", "diy", "", "Ünsinn"),
		}
		if r.IntN(3) > 0 {
			v["poster_name"] = pick(r, "A", "B", "a", "User Info Error", "")
		}
		all[i], _ = json.Marshal(v)
	}
	return all
}

// repins are posts of pins of which most were posted before, with other values.
func repins(seed uint64, n int) []pinflow.Record {
	records := make([]pinflow.Record, n)
	for i, v := range pins(seed, n) {
		v = bytes.Replace(v, fmt.Appendf(nil, `"id-%d"`, i), fmt.Appendf(nil, `"id-%d"`, i*7919%(n/4+1)), 1)
		records[i] = pinflow.Record{Value: v}
	}
	return records
}

func TestShippedMetrics(t *testing.T) {
	d := shipped(t)
	p := compile(t, d)
	for seed := range uint64(4) {
		w := newWorld(t, seed, p)
		w.fillRecords(func(pinflow.PlannedSource) []pinflow.Record { return repins(seed, 100*int(seed)) })
		w.check(d)
	}
}

func TestShippedMetricsOverRealPins(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(realtest.Data(t), "pins.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	d := shipped(t)
	w := newWorld(t, 1, compile(t, d))
	posts := slices.Collect(bytes.Lines(text))
	w.fill(func(string) [][]byte { return posts })
	w.check(d)
	if n := w.mustRows("SELECT count(*) FROM full_posts")[0][0]; n != fmt.Sprint(len(posts)) {
		t.Errorf("%s of %d pins are accepted", n, len(posts))
	}
}

// TestPostsCleaning says what every dirty value becomes.
func TestPostsCleaning(t *testing.T) {
	p := compile(t, shipped(t))
	for _, c := range []struct{ field, posted, column, want string }{
		{"title", "No Title Data Available", "title", "∅"}, {"title", "", "title", "∅"}, {"title", "Untitled", "title", "Untitled"},
		{"description", "No description available Story format", "description", "∅"}, {"description", "No description available", "description", "∅"},
		{"description", "Untitled", "description", "∅"}, {"description", "", "description", "∅"}, {"description", "untitled", "description", "untitled"},
		{"poster_name", "User Info Error", "poster_name", "∅"}, {"poster_name", "User Info", "poster_name", "User Info"},
		{"follower_count", "User Info Error", "follower_count", "∅"}, {"follower_count", "124", "follower_count", "124"}, {"follower_count", "10k", "follower_count", "10000"},
		{"follower_count", "1.2k", "follower_count", "1200"}, {"follower_count", "3M", "follower_count", "3000000"}, {"follower_count", "1B", "follower_count", "1000000000"},
		{"follower_count", "0.001k", "follower_count", "1"}, {"follower_count", "1.000001M", "follower_count", "1000001"}, {"follower_count", "1.123456789B", "follower_count", "1123456789"},
		{"follower_count", "1.0001k", "follower_count", "∅"}, {"follower_count", "9223372036854775807", "follower_count", "9223372036854775807"},
		{"follower_count", "9223372036854775808", "follower_count", "∅"}, {"follower_count", "9999999999B", "follower_count", "∅"},
		{"follower_count", "9223372036854775k", "follower_count", "9223372036854775000"}, {"follower_count", "9223372036854776k", "follower_count", "∅"},
		{"follower_count", "999999999B", "follower_count", "999999999000000000"}, {"follower_count", "0000000001", "follower_count", "1"}, {"follower_count", "1234567890k", "follower_count", "1234567890000"},
		{"follower_count", "1kk", "follower_count", "∅"}, {"follower_count", "k", "follower_count", "∅"}, {"follower_count", "1.k", "follower_count", "∅"}, {"follower_count", ".5k", "follower_count", "∅"},
		{"follower_count", "-1", "follower_count", "∅"}, {"follower_count", "1.5", "follower_count", "∅"}, {"follower_count", "1K", "follower_count", "∅"},
		{"follower_count", "12\n", "follower_count", "∅"}, {"follower_count", " 12", "follower_count", "∅"}, {"follower_count", "", "follower_count", "∅"}, {"follower_count", "１２", "follower_count", "∅"},
		{"tag_list", "N,o, ,T,a,g,s, ,A,v,a,i,l,a,b,l,e", "tags", "[]"}, {"tag_list", "", "tags", "[]"}, {"tag_list", "a,b c", "tags", "[a, b c]"},
		{"is_image_or_video", "image", "media", "image"}, {"is_image_or_video", "video", "media", "video"}, {"is_image_or_video", "multi-video(story page format)", "media", "video"},
		{"is_image_or_video", "gif", "media", "∅"}, {"is_image_or_video", "multi-video(story page format)", "is_story", "true"}, {"is_image_or_video", "video", "is_story", "false"},
		{"image_src", "Image src error.", "image_src", "∅"}, {"image_src", "x", "image_src", "x"},
		{"save_location", "Local save in /data/art", "save_path", "/data/art"}, {"save_location", "/data/art", "save_path", "/data/art"},
	} {
		w := newWorld(t, 0, p)
		v := map[string]any{}
		if err := json.Unmarshal(pins(1, 1)[0], &v); err != nil {
			t.Fatal(err)
		}
		v[c.field] = c.posted
		post, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		w.fill(func(string) [][]byte { return [][]byte{post} })
		if got := w.mustRows("SELECT " + c.column + " FROM full_posts"); len(got) != 1 || got[0][0] != c.want {
			t.Errorf("%s %q: %s is %v, want %s", c.field, c.posted, c.column, got, c.want)
		}
	}
}

// TestTiesRoundAwayFromZero is what DOUBLE gets wrong: 201/200 is 1.01 to two decimals.
func TestTiesRoundAwayFromZero(t *testing.T) {
	d := &pinflow.Definition{Name: "ties", Sources: shipped(t).Sources, Models: shipped(t).Models, Metrics: []pinflow.Script{{Name: "ties", File: "ties.sql", SQL: `
		SELECT round(max("index") / 200, 2) AS a, round(-max("index") / 200, 2) AS b, round(201 / (0 - max("index") + 1), 1) AS c,
		round(1.005 + 0 * count(*), 2) AS d, CAST(max("index") / 2 AS INTEGER) AS e, round(max("index") / 0, 2) AS f, round(0.1 * 3 * count(*) / 0.6, 0) AS g FROM posts`}}}
	p := compile(t, d)
	w := newWorld(t, 0, p)
	post := bytes.Replace(pins(1, 1)[0], []byte(`"index":0`), []byte(`"index":201`), 1)
	w.fill(func(string) [][]byte { return [][]byte{post} })
	got, err := w.view(p, "ties", w.run(p, p.Metrics[0]))
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"1.01", "-1.01", "-1.0", "1.01", "101", "∅", "1"}; !slices.Equal(got[0], want) {
		t.Errorf("got %v, want %v", got[0], want)
	}
}

// TestZerosAreOne: 0.0 and -0.0 are one group, one distinct value, and one text whatever came first.
func TestZerosAreOne(t *testing.T) {
	p := compile(t, trial(trialModel, "SELECT x, min(x) AS low, max(x) AS high, count(DISTINCT x) AS values, count(*) AS rows FROM m GROUP BY x"))
	w := newWorld(t, 0, p)
	w.fill(func(string) (posts [][]byte) {
		for range 10 {
			posts = append(posts, []byte(`{"x": -0.0}`), []byte(`{"x": 0}`))
		}
		return posts
	})
	got, err := w.view(p, "k", w.run(p, p.Metrics[0]))
	if want := [][]string{{"0.0", "0.0", "0.0", "1", "20"}}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v %v, want %v", got, err, want)
	}
}
