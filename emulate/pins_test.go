package emulate

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"
)

// shares are how many of the original's 3,461 known rows are dirty in which way.
var shares = []struct {
	name string
	rows float64
	is   func(map[string]any) bool
}{
	{"no title", 25, has("title", "No Title Data Available")},
	{"empty title", 2, has("title", "")},
	{"story", 249, has("description", "No description available Story format")},
	{"no description", 47, has("description", "No description available")},
	{"untitled", 1, has("description", "Untitled")},
	{"unknown poster", 23, has("poster_name", "User Info Error")},
	{"no poster", 120, func(p map[string]any) bool { return p["poster_name"] == nil }},
	{"unknown followers", 25, has("follower_count", "User Info Error")},
	{"no tags", 49, has("tag_list", "N,o, ,T,a,g,s, ,A,v,a,i,l,a,b,l,e")},
	{"no image", 77, has("image_src", "Image src error.")},
	{"not downloaded", 77, has("downloaded", 0.0)},
	{"image", 3108, has("is_image_or_video", "image")},
	{"video", 104, has("is_image_or_video", "video")},
	{"multi", 249, has("is_image_or_video", "multi-video(story page format)")},
	{"art", 294, has("category", "art")},
	{"christmas", 334, has("category", "christmas")},
}

func has(field string, want any) func(map[string]any) bool {
	return func(p map[string]any) bool { return p[field] == want }
}

func TestPinsHaveTheSharesOfTheOriginal(t *testing.T) {
	for _, size := range []int{3461, 11_000} {
		for seed := range uint64(4) {
			counts := make([]float64, len(shares))
			for i, line := range Pins(seed, size) {
				var p map[string]any
				if err := json.Unmarshal(line, &p); err != nil {
					t.Fatal(err)
				}
				checkPin(t, i, p)
				for s := range shares {
					if shares[s].is(p) {
						counts[s]++
					}
				}
			}
			for s, share := range shares {
				want := share.rows * float64(size) / 3461
				// Dealt to within one row per kind of pin, of which the most that are dirty in one way are five.
				off := 5.0
				if size == 3461 {
					off = 0
				}
				if math.Abs(counts[s]-want) > off {
					t.Errorf("seed %d, %d pins: %s: %v, want %.1f", seed, size, share.name, counts[s], want)
				}
			}
		}
	}
}

// checkPin checks what holds for every pin of the original.
func checkPin(t *testing.T, i int, p map[string]any) {
	t.Helper()
	if p["index"] != float64(i+1) || p["save_location"] != "Local save in /data/"+p["category"].(string) ||
		(p["image_src"] == "Image src error.") != (p["downloaded"] == 0.0) {
		t.Fatalf("pin %d: %v", i, p)
	}
	count := p["follower_count"].(string)
	digits := strings.TrimRight(count, "kM")
	if count != "User Info Error" && (len(count)-len(digits) > 1 || len(digits) > 3 || strings.Trim(digits, "0123456789") != "") {
		t.Fatalf("pin %d has %q followers", i, count)
	}
}

func TestPinsDependOnTheSeedAlone(t *testing.T) {
	join := func(seed uint64) []byte { return bytes.Join(Pins(seed, 500), []byte("\n")) }
	if !bytes.Equal(join(7), join(7)) {
		t.Error("the same seed made other pins")
	}
	if bytes.Equal(join(7), join(8)) {
		t.Error("another seed made the same pins")
	}
	ids := map[string]bool{}
	for _, line := range Pins(1, pinsOfOriginal) {
		var p pin
		if err := json.Unmarshal(line, &p); err != nil {
			t.Fatal(err)
		}
		ids[p.UniqueID] = true
	}
	if len(ids) != pinsOfOriginal {
		t.Errorf("%d different ids", len(ids))
	}
}

func TestRandomPins(t *testing.T) {
	a, b := RandomPins(3), RandomPins(3)
	known := map[string]bool{}
	for _, line := range Pins(3, pinsOfOriginal) {
		known[string(line)] = true
	}
	drawn := map[string]bool{}
	var seconds float64
	const n = 20_000
	for range n {
		x, _ := a.Next()
		y, _ := b.Next()
		if !bytes.Equal(x.JSON, y.JSON) || x.Pause != y.Pause {
			t.Fatal("the same seed gave another sequence")
		}
		if !known[string(x.JSON)] {
			t.Fatalf("%s is none of the pins", x.JSON)
		}
		if s := x.Pause.Seconds(); s != 0 && s != 1 {
			t.Fatalf("a pause of %v", x.Pause)
		}
		drawn[string(x.JSON)] = true
		seconds += x.Pause.Seconds()
	}
	if math.Abs(seconds/n-0.5) > 0.02 {
		t.Errorf("pauses are %v s on average", seconds/n)
	}
	// n draws with replacement out of m hit m(1-e^(-n/m)) different ones: 9,215.
	if len(drawn) < 9000 || len(drawn) > 9400 {
		t.Errorf("%d different pins in %d draws", len(drawn), n)
	}
}
