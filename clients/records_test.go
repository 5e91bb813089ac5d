package clients

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
)

// sent is a record as a client says that it sent or saw it.
type sent struct {
	Partition  int    `json:"partition"`
	Offset     int64  `json:"offset"`
	Value      string `json:"value"`
	Timestamp  int64  `json:"timestamp"`
	AppendTime bool   `json:"append_time"`
}

// at is where a record lies.
func (s sent) at() string { return fmt.Sprintf("%d:%d", s.Partition, s.Offset) }

// byPlace maps places to values; the same place twice is a fault unless again.
func byPlace(t *testing.T, records []sent, again bool) map[string]any {
	t.Helper()
	all := map[string]any{}
	for _, r := range records {
		var v any
		decode(t, r.Value, &v)
		if _, twice := all[r.at()]; twice && !again {
			t.Errorf("%s came twice", r.at())
		}
		all[r.at()] = v
	}
	return all
}

// same compares records by place.
func same(t *testing.T, who string, got, want map[string]any) {
	t.Helper()
	for _, at := range slices.Sorted(maps.Keys(want)) {
		if !reflect.DeepEqual(got[at], want[at]) {
			t.Errorf("%s: at %s there is %v, want %v", who, at, got[at], want[at])
			return
		}
	}
	if len(got) != len(want) {
		t.Errorf("%s: %d records, want %d", who, len(got), len(want))
	}
}

// lake reads the records that the lake holds, by place, without its own fields. Each must have the key that Pinflow reads in it.
func (p *process) lake() map[string]any {
	p.t.Helper()
	files, err := filepath.Glob(filepath.Join(p.data, "lake", "raw", p.topic, "*", "*.json.gz"))
	if err != nil {
		p.t.Fatal(err)
	}
	all := map[string]any{}
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			p.t.Fatal(err)
		}
		z, err := gzip.NewReader(f)
		if err != nil {
			p.t.Fatal(err)
		}
		lines := bufio.NewScanner(z)
		for lines.Scan() {
			var v map[string]any
			if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
				p.t.Fatal(err)
			}
			if v["_key"] != v["unique_id"] {
				p.t.Errorf("the key of %s is %v", lines.Text(), v["_key"])
			}
			at := fmt.Sprintf("%v:%v", v["_partition"], v["_offset"])
			for _, own := range []string{"_partition", "_offset", "_timestamp", "_key", "_headers"} {
				delete(v, own)
			}
			if _, twice := all[at]; twice {
				p.t.Errorf("the lake has %s twice", at)
			}
			all[at] = v
		}
		if err := lines.Err(); err != nil {
			p.t.Fatal(err)
		}
		f.Close()
	}
	return all
}

// arrived stops Pinflow and checks that what was sent is in the lake and counted, and nothing else.
func (p *process) arrived(sent map[string]any) {
	p.t.Helper()
	p.counted(len(sent))
	p.pinflow("audit", "--deep", "--http", p.http)
	p.stop()
	same(p.t, "the lake", p.lake(), sent)
	type counts struct{ posts, images, downloaded float64 }
	want, got := map[any]counts{}, map[any]counts{}
	for _, v := range sent {
		post := v.(map[string]any)
		c := want[post["category"]]
		c.posts++
		if post["is_image_or_video"] == "image" {
			c.images++
		}
		c.downloaded += post["downloaded"].(float64)
		want[post["category"]] = c
	}
	for _, r := range p.rows("metric", "category_popularity") {
		got[r["category"]] = counts{r["number_of_records"].(float64), r["number_of_images"].(float64), r["number_downloaded"].(float64)}
	}
	if !reflect.DeepEqual(got, want) {
		p.t.Errorf("category_popularity is %v, want %v", got, want)
	}
	if rejects := p.rows("rejects", "list"); len(rejects) > 0 {
		p.t.Errorf("rejects: %v", rejects)
	}
}
