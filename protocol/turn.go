package protocol

import "github.com/pinflow/pinflow"

// Behind returns how many records a generation lacks of what another has counted, per partition; it may take over if
// that is nothing.
func Behind(next, current map[pinflow.TopicPartition]pinflow.Progress) map[pinflow.TopicPartition]int64 {
	behind := map[pinflow.TopicPartition]int64{}
	for tp, c := range current {
		if n := next[tp].NextOffset; n < c.NextOffset {
			behind[tp] = c.NextOffset - n
		}
	}
	return behind
}

// Fenced tells whether a commit of records from start on must be dropped: the position is elsewhere.
func Fenced(position, start int64) bool { return position != start }

// Held tells whether a commit up to end must wait: while another generation is to take over, the current one goes only as
// far as that one is.
func Held(end, successor int64) bool { return end > successor }

// Stale tells whether a commit must be dropped although the position is where it starts: an install has raised the floor since the worker read it, beyond the
// period of the commit's first record. Counted there, it would be counted once more in the period of the range that holds it.
func Stale(floor, first pinflow.Period) bool { return first < floor }
