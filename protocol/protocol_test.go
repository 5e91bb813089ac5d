package protocol_test

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/protocol"
)

func partition(p int32) pinflow.TopicPartition {
	return pinflow.TopicPartition{Topic: "pins", Partition: p}
}

// Kafka's own tests know these values of its murmur2.
func TestHomeIsKafkas(t *testing.T) {
	for key, hash := range map[string]int32{
		"21": -973932308, "foobar": -790332482, "a-little-bit-long-string": -985981536, "a-little-bit-longer-string": -1486304829,
		"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971, "abc": 479470107,
	} {
		for _, n := range []int{1, 2, 3, 7, 12, 1000, 1 << 30} {
			if got, want := protocol.Home([]byte(key), n), int32(uint32(hash)&0x7fffffff)%int32(n); got != want {
				t.Errorf("%q of %d partitions lives in %d, not %d", key, n, got, want)
			}
		}
	}
}

func TestHomeIsAPartition(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	seen := map[int32]int{}
	for range 10_000 {
		key := make([]byte, r.IntN(20))
		for i := range key {
			key[i] = byte(r.Uint32())
		}
		p := protocol.Home(key, 7)
		if p < 0 || p >= 7 {
			t.Fatalf("%q of 7 partitions lives in %d", key, p)
		}
		seen[p]++
	}
	for p := range int32(7) {
		if seen[p] < 1000 {
			t.Errorf("only %d of 10,000 random keys live in partition %d", seen[p], p)
		}
	}
}

func TestResume(t *testing.T) {
	for _, c := range []struct {
		name             string
		end, start, last int64
		at               int64
		how              protocol.Resumption
	}{
		{"nothing anywhere", 0, 0, 0, 0, protocol.GoOn},
		{"a lake of nothing yet", 0, 0, 9, 0, protocol.GoOn},
		{"a log that began later", 0, 5, 9, 5, protocol.GoOn},
		{"a log that has forgotten all", 0, 9, 9, 9, protocol.GoOn},
		{"in the middle", 4, 0, 9, 4, protocol.GoOn},
		{"up to date", 9, 0, 9, 9, protocol.GoOn},
		{"the log keeps just what the lake lacks", 4, 4, 9, 4, protocol.GoOn},
		{"the log keeps nothing", 9, 9, 9, 9, protocol.GoOn},
		{"records are gone", 4, 5, 9, 0, protocol.LogAhead},
		{"another log", 4, 0, 3, 0, protocol.LogLost},
		{"an empty log", 4, 0, 0, 0, protocol.LogLost},
	} {
		if at, how := protocol.Resume(protocol.Tail{End: c.end}, c.start, c.last); at != c.at || how != c.how {
			t.Errorf("%s: at %d, %d; want %d, %d", c.name, at, how, c.at, c.how)
		}
	}
}

// What is resumed leaves out no record that the log has and the lake lacks, and reads none twice.
func TestResumeLeavesNothingOut(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 1))
	for range 10_000 {
		lake, start := r.Int64N(8), r.Int64N(8)
		end := start + r.Int64N(8)
		at, how := protocol.Resume(protocol.Tail{End: lake}, start, end)
		switch how {
		case protocol.GoOn:
			if at < lake || at < start || at > end || lake > 0 && at != lake || lake == 0 && at != start {
				t.Fatalf("lake [0,%d), log [%d,%d): goes on at %d", lake, start, end, at)
			}
		case protocol.LogAhead:
			if lake == 0 || start <= lake {
				t.Fatalf("lake [0,%d), log [%d,%d): nothing is gone", lake, start, end)
			}
		case protocol.LogLost:
			if end >= lake {
				t.Fatalf("lake [0,%d), log [%d,%d): the log has all", lake, start, end)
			}
		}
	}
}

func TestAfterExistsGoesOnBehindWhatIsThere(t *testing.T) {
	there := protocol.Tail{End: 7, Floor: 3}
	if got := protocol.AfterExists(there); got != there {
		t.Errorf("goes on at %+v, not %+v", got, there)
	}
}

const length = pinflow.PeriodLength(time.Second)

func TestSealable(t *testing.T) {
	later := func(p int32, before, end, start int64) protocol.Partition {
		return protocol.Partition{TopicPartition: partition(p), Before: before, End: end, Later: start}
	}
	quiet := func(p int32, before, end int64, is bool) protocol.Partition {
		return protocol.Partition{TopicPartition: partition(p), Before: before, End: end, Later: -1, Quiet: is}
	}
	for _, c := range []struct {
		name   string
		now    int64
		parts  []protocol.Partition
		sealed bool
		waits  int32 // for a partition, -1 for the grace
		ends   []int64
	}{
		{"the period is not over", 5999, []protocol.Partition{later(0, 0, 9, 4)}, false, -1, nil},
		{"the grace is not over", 6499, []protocol.Partition{later(0, 0, 9, 4)}, false, -1, nil},
		{"the grace is over", 6500, []protocol.Partition{later(0, 0, 9, 4)}, true, 0, []int64{4}},
		{"a quiet one", 6500, []protocol.Partition{quiet(0, 3, 9, true)}, true, 0, []int64{9}},
		{"one that is not quiet", 6500, []protocol.Partition{later(0, 0, 9, 4), quiet(1, 3, 9, false)}, false, 1, nil},
		{"an object of a later period is enough", 6500, []protocol.Partition{later(0, 2, 9, 4), quiet(1, 9, 9, true), quiet(2, 0, 0, true)}, true, 0, []int64{4, 9, 0}},
		{"a later object that starts the partition", 6500, []protocol.Partition{later(0, 0, 9, 0)}, true, 0, []int64{0}},
		{"what was sealed before stays sealed", 6500, []protocol.Partition{later(0, 6, 9, 4), quiet(1, 6, 4, true)}, true, 0, []int64{6, 6}},
		{"no partitions", 6500, nil, true, 0, nil},
	} {
		ranges, sealed, waits := protocol.Sealable(5000, length, c.now, 500, c.parts)
		if sealed != c.sealed {
			t.Errorf("%s: sealed is %v", c.name, sealed)
			continue
		}
		if sealed {
			var ends []int64
			for i, r := range ranges {
				ends = append(ends, r.End)
				if r.TopicPartition != c.parts[i].TopicPartition || r.Start != c.parts[i].Before {
					t.Errorf("%s: the range %+v of %+v", c.name, r, c.parts[i])
				}
			}
			if !slices.Equal(ends, c.ends) || waits != nil {
				t.Errorf("%s: ends %v, want %v, waiting for %v", c.name, ends, c.ends, waits)
			}
			continue
		}
		if waited := waits == nil; waited != (c.waits < 0) || waits != nil && waits.Partition != c.waits {
			t.Errorf("%s: waits for %v, want %d", c.name, waits, c.waits)
		}
	}
}

func TestPlanInstall(t *testing.T) {
	ranges := []protocol.Range{{TopicPartition: partition(0), Start: 10, End: 20}, {TopicPartition: partition(1), Start: 0, End: 0}, {TopicPartition: partition(2), Start: 5, End: 9}}
	at := func(a, b, c int64, floor pinflow.Period) map[pinflow.TopicPartition]pinflow.Progress {
		return map[pinflow.TopicPartition]pinflow.Progress{partition(0): {NextOffset: a, Period: floor}, partition(1): {NextOffset: b, Period: floor}, partition(2): {NextOffset: c, Period: floor}}
	}
	for _, c := range []struct {
		name             string
		at               map[pinflow.TopicPartition]pinflow.Progress
		installed, again bool
		skip, compare    bool
		early            []int32
		moves            map[int32]pinflow.Progress
	}{
		{"the live half has all of it", at(20, 0, 30, 6000), false, false, false, true, nil, map[int32]pinflow.Progress{}},
		{"and goes on in a later period", at(20, 0, 30, 5000), false, false, false, true, nil, map[int32]pinflow.Progress{0: {NextOffset: 20, Period: 6000}, 1: {NextOffset: 0, Period: 6000}, 2: {NextOffset: 30, Period: 6000}}},
		{"the live half is behind", at(19, 0, 9, 5000), false, false, false, false, nil, map[int32]pinflow.Progress{0: {NextOffset: 20, Period: 6000}, 1: {NextOffset: 0, Period: 6000}, 2: {NextOffset: 9, Period: 6000}}},
		{"it stands at the start", at(10, 0, 5, 7000), false, false, false, false, nil, map[int32]pinflow.Progress{0: {NextOffset: 20, Period: 7000}, 2: {NextOffset: 9, Period: 7000}}},
		{"the period before is missing", at(9, 0, 4, 5000), false, false, false, false, []int32{0, 2}, nil},
		{"nothing was ever counted", nil, false, false, false, false, []int32{0, 2}, nil},
		{"installed", at(20, 0, 30, 6000), true, false, true, false, nil, nil},
		{"installed, once more", at(20, 0, 30, 6000), true, true, false, false, nil, map[int32]pinflow.Progress{}},
	} {
		plan := protocol.PlanInstall(c.at, ranges, 6000, c.installed, c.again)
		var early []int32
		for _, tp := range plan.Early {
			early = append(early, tp.Partition)
		}
		if plan.Skip != c.skip || plan.Compare != c.compare || !slices.Equal(early, c.early) {
			t.Errorf("%s: %+v", c.name, plan)
			continue
		}
		if !plan.Skip && plan.Compare != (plan.Why == "") {
			t.Errorf("%s: compares is %v because of %q", c.name, plan.Compare, plan.Why)
		}
		if plan.Skip || len(early) > 0 {
			continue
		}
		moves := map[int32]pinflow.Progress{}
		for tp, p := range plan.Moves {
			moves[tp.Partition] = p
		}
		if !maps.Equal(moves, c.moves) {
			t.Errorf("%s: moves %v, want %v", c.name, moves, c.moves)
		}
	}
}

// A generation that never counted anything takes the first period, of which it then has a progress in every partition.
func TestPlanInstallOfTheFirstPeriod(t *testing.T) {
	ranges := []protocol.Range{{TopicPartition: partition(0), End: 4}, {TopicPartition: partition(1)}}
	plan := protocol.PlanInstall(nil, ranges, 1000, false, false)
	want := map[pinflow.TopicPartition]pinflow.Progress{partition(0): {NextOffset: 4, Period: 1000}, partition(1): {Period: 1000}}
	if len(plan.Early) > 0 || plan.Compare || !maps.Equal(plan.Moves, want) {
		t.Errorf("%+v", plan)
	}
}

func TestBatchStands(t *testing.T) {
	r := protocol.Range{TopicPartition: partition(0), Start: 10, End: 20}
	for _, c := range []struct {
		keep   string
		has    bool
		offset int64
		batch  bool
	}{
		{"latest", false, 0, true}, {"latest", true, 3, true}, {"latest", true, 19, true}, {"latest", true, 20, false}, {"latest", true, 25, false},
		{"first", false, 0, true}, {"first", true, 3, true}, {"first", true, 19, true}, {"first", true, 25, true},
	} {
		if got := protocol.BatchStands(c.keep, c.has, c.offset, r); got != c.batch {
			t.Errorf("keep %s, store has %v at %d: the batch's row stands is %v", c.keep, c.has, c.offset, got)
		}
	}
}

func TestTurn(t *testing.T) {
	at := func(offsets ...int64) map[pinflow.TopicPartition]pinflow.Progress {
		all := map[pinflow.TopicPartition]pinflow.Progress{}
		for p, offset := range offsets {
			all[partition(int32(p))] = pinflow.Progress{NextOffset: offset}
		}
		return all
	}
	for _, c := range []struct {
		next, current map[pinflow.TopicPartition]pinflow.Progress
		behind        map[pinflow.TopicPartition]int64
	}{
		{nil, nil, nil},
		{at(3, 4), at(3, 4), nil},
		{at(5, 4), at(3, 4), nil},
		{at(3, 4, 9), at(3, 4), nil},
		{at(9, 3), at(3, 4), map[pinflow.TopicPartition]int64{partition(1): 1}},
		{at(3), at(3, 4), map[pinflow.TopicPartition]int64{partition(1): 4}},
		{at(3), at(3, 0), nil},
		{nil, at(3, 0, 1), map[pinflow.TopicPartition]int64{partition(0): 3, partition(2): 1}},
	} {
		if got := protocol.Behind(c.next, c.current); !maps.Equal(got, c.behind) {
			t.Errorf("%v is behind %v by %v, not %v", c.next, c.current, got, c.behind)
		}
	}
	if protocol.Fenced(4, 4) || !protocol.Fenced(5, 4) || !protocol.Fenced(3, 4) {
		t.Error("a commit is fenced exactly if the position is elsewhere")
	}
	if protocol.Held(4, 4) || protocol.Held(3, 4) || !protocol.Held(5, 4) {
		t.Error("a commit is held exactly if it goes beyond the successor")
	}
}

func TestStale(t *testing.T) {
	if protocol.Stale(1000, 1000) || protocol.Stale(pinflow.NoPeriod, 0) || protocol.Stale(1000, 2000) || !protocol.Stale(2000, 1000) {
		t.Error("a commit is stale exactly if its first record lies before the floor")
	}
}

func TestReplaces(t *testing.T) {
	first := []protocol.Range{{TopicPartition: partition(0), End: 5}, {TopicPartition: partition(1)}}
	later := []protocol.Range{{TopicPartition: partition(0), Start: 5, End: 5}, {TopicPartition: partition(1)}}
	for _, c := range []struct {
		rows   pinflow.Period
		ranges []protocol.Range
		yes    bool
	}{{2000, later, true}, {2000, first, true}, {1000, later, false}, {1000, first, true}, {3000, later, false}, {3000, first, false}} {
		if got := protocol.Replaces(c.rows, 2000, c.ranges); got != c.yes {
			t.Errorf("an install of 2000 as %v replaces rows of %d: %v", c.ranges, c.rows, got)
		}
	}
}
