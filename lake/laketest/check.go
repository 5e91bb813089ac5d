package laketest

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/lake"
)

// object is what Check reads of an object, by no code of the lake's.
type object struct {
	name    string
	period  string
	start   int64
	offsets []int64
	lines   []map[string]json.RawMessage
}

// Check returns what is wrong with a topic's part of the lake, given all that the journal ever had: each record there once, as it
// was appended, in objects that tile the offsets and lie in their periods, which never go back. A lake that is not complete yet
// passes if complete is false.
func Check(ctx context.Context, j *Journal, objects pinflow.Objects, topic string, length time.Duration, complete bool) error {
	byPartition := map[int32][]object{}
	unzip := new(gzip.Reader)
	for info, err := range objects.List(ctx, "raw/"+topic+"/", "") {
		if err != nil {
			return err
		}
		if !strings.HasSuffix(info.Name, ".json.gz") {
			continue
		}
		partition, o, err := read(ctx, objects, unzip, info.Name, "raw/"+topic+"/period=")
		if err != nil {
			return fmt.Errorf("%s: %w", info.Name, err)
		}
		byPartition[partition] = append(byPartition[partition], o)
	}
	for _, tp := range j.Partitions() {
		if tp.Topic != topic {
			continue
		}
		chain := byPartition[tp.Partition]
		delete(byPartition, tp.Partition)
		slices.SortFunc(chain, func(a, b object) int {
			return strings.Compare(fmt.Sprintf("%020d", a.start), fmt.Sprintf("%020d", b.start))
		})
		if err := checkChain(chain, j.Records(tp), length, complete); err != nil {
			return fmt.Errorf("%s: %w; objects: %s", tp, err, describe(chain))
		}
	}
	if len(byPartition) > 0 {
		return fmt.Errorf("objects of partitions that the topic does not have: %v", slices.Sorted(maps.Keys(byPartition)))
	}
	return checkTiles(ctx, objects, topic)
}

func describe(chain []object) string {
	var b strings.Builder
	for _, o := range chain {
		fmt.Fprintf(&b, "\n  %s holds %v", o.name, o.offsets)
	}
	return b.String()
}

// read takes an object apart with the standard library only.
func read(ctx context.Context, objects pinflow.Objects, unzip *gzip.Reader, name, prefix string) (partition int32, o object, err error) {
	o.name = name
	rest := strings.TrimPrefix(name, prefix)
	if n, err := fmt.Sscanf(strings.ReplaceAll(rest, "/", " "), "%s %05d-%020d.json.gz", &o.period, &partition, &o.start); n != 3 {
		return 0, o, fmt.Errorf("no object's name: %w", err)
	}
	if want := fmt.Sprintf("%s%s/%05d-%020d.json.gz", prefix, o.period, partition, o.start); name != want {
		return 0, o, fmt.Errorf("should be called %s", want)
	}
	r, err := objects.Get(ctx, name)
	if err != nil {
		return 0, o, err
	}
	defer r.Close()
	if err := unzip.Reset(r); err != nil {
		return 0, o, err
	}
	text, err := io.ReadAll(unzip)
	if err != nil {
		return 0, o, err
	}
	if len(text) == 0 || text[len(text)-1] != '\n' {
		return 0, o, fmt.Errorf("is no sequence of lines")
	}
	for line := range bytes.Lines(text) {
		fields := map[string]json.RawMessage{}
		if err := json.Unmarshal(line, &fields); err != nil {
			return 0, o, err
		}
		var offset int64
		if err := json.Unmarshal(fields["_offset"], &offset); err != nil {
			return 0, o, err
		}
		o.offsets, o.lines = append(o.offsets, offset), append(o.lines, fields)
	}
	return partition, o, nil
}

// checkChain compares a partition's objects with its records.
func checkChain(chain []object, records []pinflow.Record, length time.Duration, complete bool) error {
	end := int64(0)
	floor := int64(-1 << 62)
	n := 0
	for i, o := range chain {
		if i > 0 && o.start != end || i == 0 && o.start != 0 {
			return fmt.Errorf("the object %s should start at %d", o.name, end)
		}
		for k, offset := range o.offsets {
			if n == len(records) || records[n].Offset != offset {
				return fmt.Errorf("the object %s has the offset %d where another should stand (records: %d, in the lake so far: %d)", o.name, offset, len(records), n)
			}
			r := records[n]
			n++
			floor = max(floor, r.Timestamp-r.Timestamp%length.Milliseconds())
			if want := periodName(floor, length); o.period != want {
				return fmt.Errorf("offset %d lies in period %s, not %s", offset, o.period, want)
			}
			if err := sameRecord(o.lines[k], r); err != nil {
				return fmt.Errorf("offset %d: %w", offset, err)
			}
			end = offset + 1
		}
	}
	if complete && n < len(records) {
		return fmt.Errorf("the lake has %d of %d records", n, len(records))
	}
	return nil
}

func periodName(ms int64, length time.Duration) string {
	t := time.UnixMilli(ms).UTC()
	switch {
	case length == 24*time.Hour:
		return t.Format("2006-01-02")
	case length%time.Hour == 0:
		return t.Format("2006-01-02T15")
	}
	return t.Format("2006-01-02T150405")
}

// sameRecord compares a line's fields with the record.
func sameRecord(line map[string]json.RawMessage, r pinflow.Record) error {
	line = maps.Clone(line)
	take := func(name string) string {
		v := string(line[name])
		delete(line, name)
		return v
	}
	if got := take("_partition"); got != fmt.Sprint(r.Partition) {
		return fmt.Errorf("_partition is %s", got)
	}
	take("_offset")
	if got, want := take("_timestamp"), time.UnixMilli(r.Timestamp).UTC().Format(`"2006-01-02T15:04:05.000Z"`); got != want {
		return fmt.Errorf("_timestamp is %s, not %s", got, want)
	}
	var key *string
	if err := json.Unmarshal([]byte(take("_key")), &key); err != nil {
		return err
	}
	if (key == nil) != (r.Key == nil) || key != nil && *key != string(r.Key) {
		return fmt.Errorf("_key is not %q", r.Key)
	}
	if headers := take("_headers"); (headers != "") != (len(r.Headers) > 0) {
		return fmt.Errorf("_headers is %s for %d headers", headers, len(r.Headers))
	}
	if raw, ok := line["_raw"]; ok {
		var text string
		if err := json.Unmarshal(raw, &text); err != nil || text != base64.StdEncoding.EncodeToString(r.Value) {
			return fmt.Errorf("_raw is %s (%v) for %q", raw, err, r.Value)
		}
		return nil
	}
	var own map[string]json.RawMessage
	if err := json.Unmarshal(r.Value, &own); err != nil {
		return err
	}
	if len(own) != len(line) {
		return fmt.Errorf("it has %d fields, not %d", len(line), len(own))
	}
	for name, v := range own {
		var compact bytes.Buffer
		if err := json.Compact(&compact, v); err != nil || compact.String() != string(line[name]) {
			return fmt.Errorf("%s is %s, not %s (%v)", name, line[name], v, err)
		}
	}
	return nil
}

// checkTiles holds the lake's own check to the same lake.
func checkTiles(ctx context.Context, objects pinflow.Objects, topic string) error {
	t, err := lake.OpenTopic(ctx, objects, topic)
	if err != nil {
		return err
	}
	flaws, err := t.Tiles(ctx)
	if err != nil {
		return err
	}
	if len(flaws) > 0 {
		return fmt.Errorf("the lake's own check finds flaws where there are none: %v", flaws)
	}
	return nil
}
