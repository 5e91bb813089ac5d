package main

import (
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pinflow/pinflow"
)

// posted is a record that the journal holds, as the oracle needs it.
type posted struct {
	value    []byte
	at       time.Time
	position pinflow.Position
}

// oracle computes the shipped metrics from raw posts, in plain Go and apart from everything that
// Pinflow does: no SQL, no DuckDB, no plan.
type oracle struct {
	pins   []cleanPin
	latest map[string]cleanPin // by unique_id
}

type cleanPin struct {
	id              string
	position        pinflow.Position
	category, media string
	story, saved    bool
	poster          string // "" for unknown
	followers       *big.Int
	tags            []string
	at              time.Time
}

// newOracle cleans the posts as the definition's words say.
func newOracle(t testing.TB, posts []posted) *oracle {
	t.Helper()
	o := &oracle{latest: map[string]cleanPin{}}
	for _, p := range posts {
		var raw struct {
			ID         string  `json:"unique_id"`
			PosterName *string `json:"poster_name"`
			Followers  string  `json:"follower_count"`
			Tags       string  `json:"tag_list"`
			Media      string  `json:"is_image_or_video"`
			Downloaded int     `json:"downloaded"`
			Category   string  `json:"category"`
		}
		if err := json.Unmarshal(p.value, &raw); err != nil {
			t.Fatalf("an accepted post is not JSON: %v: %s", err, p.value)
		}
		c := cleanPin{id: raw.ID, position: p.position, category: raw.Category, media: raw.Media, saved: raw.Downloaded == 1, followers: followersOf(raw.Followers), at: p.at}
		switch raw.Media {
		case "multi-video(story page format)":
			c.media, c.story = "video", true
		case "image", "video":
		default:
			c.media = "null"
		}
		if raw.PosterName != nil && *raw.PosterName != "User Info Error" {
			c.poster = *raw.PosterName
		}
		if raw.Tags != "" && raw.Tags != "N,o, ,T,a,g,s, ,A,v,a,i,l,a,b,l,e" {
			c.tags = strings.Split(raw.Tags, ",")
		}
		o.pins = append(o.pins, c)
		before, again := o.latest[c.id]
		if again && before.position.TopicPartition != c.position.TopicPartition {
			t.Errorf("the pin %s lies in %s and in %s", c.id, before.position, c.position)
		}
		if !again || c.position.Offset > before.position.Offset {
			o.latest[c.id] = c
		}
	}
	return o
}

func followersOf(s string) *big.Int {
	scale := int64(1)
	for suffix, by := range map[string]int64{"k": 1e3, "M": 1e6, "B": 1e9} {
		if digits, ok := strings.CutSuffix(s, suffix); ok {
			s, scale = digits, by
		}
	}
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		return nil
	}
	r.Mul(r, new(big.Rat).SetInt64(scale))
	if !r.IsInt() || !r.Num().IsInt64() {
		return nil
	}
	return r.Num()
}

// group is the pins that share a metric's dimensions.
type group struct {
	dimensions []string
	pins       []cleanPin
}

func (o *oracle) by(dimensions func(cleanPin) []string) []group {
	return groups(slices.Values(o.pins), dimensions)
}

func groups(pins iter.Seq[cleanPin], dimensions func(cleanPin) []string) []group {
	index := map[string]*group{}
	for p := range pins {
		d := dimensions(p)
		key := strings.Join(d, "\x00")
		if index[key] == nil {
			index[key] = &group{dimensions: d}
		}
		index[key].pins = append(index[key].pins, p)
	}
	var all []group
	for _, g := range index {
		all = append(all, *g)
	}
	return all
}

func (g group) count(of func(cleanPin) bool) string {
	n := 0
	for _, p := range g.pins {
		if of(p) {
			n++
		}
	}
	return fmt.Sprint(n)
}

func (g group) average(digits int) string {
	sum, n := new(big.Int), int64(0)
	for _, p := range g.pins {
		if p.followers != nil {
			sum.Add(sum, p.followers)
			n++
		}
	}
	if n == 0 {
		return "null"
	}
	return canonical(rounded(new(big.Rat).SetFrac(sum, big.NewInt(n)), digits))
}

func (g group) total() string {
	var sum *big.Int
	for _, p := range g.pins {
		if p.followers != nil {
			if sum == nil {
				sum = new(big.Int)
			}
			sum.Add(sum, p.followers)
		}
	}
	if sum == nil {
		return "null"
	}
	return sum.String()
}

func (g group) most() string {
	var most *big.Int
	for _, p := range g.pins {
		if p.followers != nil && (most == nil || p.followers.Cmp(most) > 0) {
			most = p.followers
		}
	}
	if most == nil {
		return "null"
	}
	return most.String()
}

// rounded rounds half away from zero.
func rounded(r *big.Rat, digits int) string { return r.FloatString(digits) }

// canonical writes a decimal without zeros that say nothing.
func canonical(s string) string {
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		return s
	}
	if r.IsInt() {
		return r.Num().String()
	}
	return strings.TrimRight(r.FloatString(20), "0")
}

func all(cleanPin) bool { return true }

func window(d time.Duration) func(time.Time) string {
	return func(t time.Time) string { return t.UTC().Truncate(d).Format("2006-01-02T15:04:05.000Z") }
}

// metrics returns the rows of each shipped metric, columns in their order, as sorted lines.
func (o *oracle) metrics() map[string][]string {
	isImage := func(p cleanPin) bool { return p.media == "image" }
	out := map[string][]string{}
	put := func(metric string, g group, measures ...string) {
		out[metric] = append(out[metric], strings.Join(slices.Concat(g.dimensions, measures), "|"))
	}
	for _, g := range o.by(func(p cleanPin) []string { return []string{window(5 * time.Minute)(p.at)} }) {
		images, _ := new(big.Int).SetString(g.count(isImage), 10)
		percent := new(big.Rat).SetFrac(new(big.Int).Mul(images, big.NewInt(100)), big.NewInt(int64(len(g.pins))))
		put("posts_per_window", g, g.count(all), canonical(rounded(percent, 2)), g.average(0))
	}
	for _, g := range o.by(func(p cleanPin) []string { return []string{p.category} }) {
		put("category_popularity", g, g.count(all), g.count(isImage), g.count(func(p cleanPin) bool { return p.media == "video" }),
			g.average(2), g.most(), g.count(func(p cleanPin) bool { return p.saved }))
	}
	for _, g := range o.by(func(p cleanPin) []string { return []string{window(30 * time.Minute)(p.at), p.category} }) {
		put("category_per_half_hour", g, g.count(all), g.average(2), g.most())
	}
	for _, g := range o.by(func(p cleanPin) []string { return []string{p.media, fmt.Sprint(p.story)} }) {
		put("media_share", g, g.count(all))
	}
	for _, g := range o.by(func(p cleanPin) []string { return []string{window(time.Minute)(p.at)} }) {
		put("unknown_followers", g, g.count(all), g.count(func(p cleanPin) bool { return p.followers == nil }))
	}
	for _, g := range o.by(func(p cleanPin) []string { return []string{window(10 * time.Second)(p.at)} }) {
		posters := map[string]bool{}
		for _, p := range g.pins {
			if p.poster != "" {
				posters[p.poster] = true
			}
		}
		put("distinct_posters", g, fmt.Sprint(len(posters)))
	}
	for _, g := range groups(maps.Values(o.latest), func(p cleanPin) []string { return []string{p.category} }) {
		put("pins_by_category", g, g.count(all), g.total(), g.average(2))
	}
	for _, g := range groups(maps.Values(o.latest), func(p cleanPin) []string { return []string{p.media} }) {
		put("pins_by_media", g, g.count(all))
	}
	tags := map[string]int{}
	for _, p := range o.pins {
		for _, tag := range p.tags {
			tags[tag]++
		}
	}
	for tag, n := range tags {
		out["popular_tags"] = append(out["popular_tags"], tag+"|"+fmt.Sprint(n))
	}
	for _, lines := range out {
		slices.Sort(lines)
	}
	return out
}

// names are the metrics that the oracle knows.
func (o *oracle) names() map[string]bool {
	known := map[string]bool{}
	for _, name := range []string{"posts_per_window", "category_popularity", "category_per_half_hour", "media_share", "unknown_followers", "distinct_posters", "popular_tags", "pins_by_category", "pins_by_media"} {
		known[name] = true
	}
	return known
}

// linesOf writes a metric's rows, as the API gives them, in the oracle's form.
func linesOf(rows [][]any) []string {
	var lines []string
	for _, row := range rows {
		var cells []string
		for _, v := range row {
			switch v := v.(type) {
			case nil:
				cells = append(cells, "null")
			case json.Number:
				cells = append(cells, canonical(v.String()))
			default:
				cells = append(cells, fmt.Sprint(v))
			}
		}
		lines = append(lines, strings.Join(cells, "|"))
	}
	slices.Sort(lines)
	return lines
}

// compareMetrics reports each metric whose rows are not the oracle's.
func compareMetrics(t testing.TB, want map[string][]string, got func(metric string) []string) {
	t.Helper()
	for metric, lines := range want {
		have := got(metric)
		if slices.Equal(have, lines) {
			continue
		}
		t.Errorf("%s: %d rows, the oracle has %d", metric, len(have), len(lines))
		shown := 0
		for _, l := range lines {
			if shown < 5 && !slices.Contains(have, l) {
				t.Errorf("  missing %s", l)
				shown++
			}
		}
		for _, l := range have {
			if shown < 10 && !slices.Contains(lines, l) {
				t.Errorf("  surplus %s", l)
				shown++
			}
		}
	}
}
