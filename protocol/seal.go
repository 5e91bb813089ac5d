package protocol

import "github.com/pinflow/pinflow"

// Partition is what a sealer has read of a partition.
type Partition struct {
	pinflow.TopicPartition
	Before int64 // where the range of the period before ends; 0 for the first period
	End    int64 // where the lake ends
	Later  int64 // the start of the first object of a later period than the one to seal, -1 if there is none
	// Quiet means that the journal has no record at or behind End. It was read after End was.
	Quiet bool
}

// Range is the offsets [Start, End) of a partition.
type Range struct {
	pinflow.TopicPartition
	Start, End int64
}

// Sealable returns period p as ranges of offsets, one per partition and in their order, if it can be sealed: when the grace (milliseconds)
// is over at now (Unix milliseconds) and every partition has an object of a later period or, if it has been quiet since, all of its log in the lake. Otherwise
// it returns the partition that is waited for, nil for the grace.
func Sealable(p pinflow.Period, l pinflow.PeriodLength, now, grace int64, parts []Partition) ([]Range, bool, *pinflow.TopicPartition) {
	if now < int64(l.Next(p))+grace {
		return nil, false, nil
	}
	ranges := make([]Range, len(parts))
	for i := range parts {
		part := &parts[i]
		end := part.Later
		if end < 0 {
			if !part.Quiet {
				return nil, false, &part.TopicPartition
			}
			end = part.End
		}
		ranges[i] = Range{part.TopicPartition, part.Before, max(end, part.Before)}
	}
	return ranges, true, nil
}
