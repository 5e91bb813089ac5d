package value

import "time"

const timeLayout = "2006-01-02T15:04:05.000Z"

// The times that four digits of a year can write, in Unix milliseconds.
const (
	minTime = -62135596800000
	maxTime = 253402300799999
)

// appendTime appends a time in Unix milliseconds as RFC 3339 in UTC with milliseconds. Times before the year 1
// and after 9999, which only a topic without append time can hold, become the first and last that SQL can read.
func appendTime(dst []byte, ms int64) []byte {
	return time.UnixMilli(Time(ms)).UTC().AppendFormat(dst, timeLayout)
}

// parseTime reads what appendTime writes, and any other RFC 3339 time.
func parseTime(text []byte) (ms int64, ok bool) {
	t, err := time.Parse(time.RFC3339, string(text))
	return t.UnixMilli(), err == nil
}

// Time returns the time in Unix milliseconds that a record's timestamp is to SQL and in the lake.
func Time(ms int64) int64 { return min(max(ms, minTime), maxTime) }
