package duckdb

import (
	"fmt"
	"sort"

	"github.com/pinflow/pinflow"
)

// numbered are the records of one source in a batch, numbered from 0 through all their slices.
type numbered struct {
	slices []pinflow.Slice
	starts []int // number of each slice's first record
	n      int
}

func (r *numbered) add(s pinflow.Slice) {
	r.slices = append(r.slices, s)
	r.starts = append(r.starts, r.n)
	r.n += len(s.Records)
}

// at returns the slice that holds record i and its index there.
func (r *numbered) at(i int) (s *pinflow.Slice, index int) {
	k := sort.SearchInts(r.starts, i+1) - 1
	for len(r.slices[k].Records) == 0 {
		k-- // starts of empty slices equal that of the one behind
	}
	return &r.slices[k], i - r.starts[k]
}

// find returns the number of the record at an offset of a partition.
func (r *numbered) find(partition int32, offset int64) (int, error) {
	for k := range r.slices {
		s := &r.slices[k]
		if s.Partition != partition {
			continue
		}
		i := sort.Search(len(s.Records), func(i int) bool { return s.Records[i].Offset >= offset })
		if i < len(s.Records) && s.Records[i].Offset == offset {
			return r.starts[k] + i, nil
		}
	}
	return 0, fmt.Errorf("SQL speaks of a record %d:%d that the batch does not have", partition, offset)
}

// period returns the period of all records, false if there are several.
func (r *numbered) period() (pinflow.Period, bool) {
	first := pinflow.NoPeriod
	for _, s := range r.slices {
		n := len(s.Periods)
		if n == 0 {
			continue
		}
		if first == pinflow.NoPeriod {
			first = s.Periods[0]
		}
		// Periods never go back within a slice.
		if s.Periods[0] != first || s.Periods[n-1] != first {
			return first, false
		}
	}
	return first, true
}

// bySource sorts the slices of a batch to the plan's sources.
func bySource(p *pinflow.Plan, b pinflow.Batch) ([]numbered, error) {
	all := make([]numbered, len(p.Sources))
	for _, s := range b.Slices {
		if len(s.Periods) != len(s.Records) {
			return nil, &pinflow.Error{Op: "refine", On: s.TopicPartition.String(), Err: fmt.Errorf("%d periods for %d records", len(s.Periods), len(s.Records))}
		}
		known := false
		for i := range p.Sources {
			if p.Sources[i].Topic == s.Topic {
				all[i].add(s)
				known = true
			}
		}
		if !known {
			return nil, &pinflow.Error{Op: "refine", On: s.TopicPartition.String(), Kind: pinflow.Invalid, Err: fmt.Errorf("no source of the plan has this topic")}
		}
	}
	return all, nil
}
