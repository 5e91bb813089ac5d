package pinflow

import (
	"fmt"
	"time"
)

// Period is a log period: its first instant, Unix milliseconds. NoPeriod comes
// before all of them, so the later of two periods is their max.
type Period int64

// NoPeriod is the floor of a partition without records.
const NoPeriod Period = -1

// PeriodLength is how long a log period is: it divides a UTC day, and is a whole number of seconds.
type PeriodLength time.Duration

// DefaultPeriodLength is a UTC day.
const DefaultPeriodLength = PeriodLength(24 * time.Hour)

// ParsePeriodLength checks that d can be a period's length; otherwise the error is Invalid.
func ParsePeriodLength(d time.Duration) (PeriodLength, error) {
	if d < time.Second || d > 24*time.Hour || d%time.Second != 0 || (24*time.Hour)%d != 0 {
		return 0, &Error{Op: "log period", On: d.String(), Kind: Invalid,
			Err: fmt.Errorf("a log period is a whole number of seconds that divides a day"), Hint: "Use 24h, 1h, 1m or 1s."}
	}
	return PeriodLength(d), nil
}

// Of returns the log period of a record with the given append timestamp (Unix
// ms) whose predecessor in the partition lies in floor: the later of the two.
func (l PeriodLength) Of(timestamp int64, floor Period) Period {
	ms := time.Duration(l).Milliseconds()
	q := timestamp / ms
	if timestamp%ms < 0 {
		q--
	}
	return max(floor, Period(q*ms))
}

// Next returns the period after p.
func (l PeriodLength) Next(p Period) Period { return p + Period(time.Duration(l).Milliseconds()) }

// Name returns the period as the lake's folders write it: 2026-11-22 for a day,
// 2026-11-22T13 for whole hours, 2026-11-22T131500 for anything shorter.
func (l PeriodLength) Name(p Period) string { return time.UnixMilli(int64(p)).UTC().Format(l.layout()) }

// Parse reads a period's name; an unknown form or an instant that is no period's start is an Invalid error.
func (l PeriodLength) Parse(name string) (Period, error) {
	t, err := time.Parse(l.layout(), name)
	if err == nil && l.Of(t.UnixMilli(), NoPeriod) != Period(t.UnixMilli()) {
		err = fmt.Errorf("no period starts there")
	}
	if err != nil {
		return NoPeriod, &Error{Op: "read period", On: name, Kind: Invalid, Err: err,
			Hint: "With this log period, names look like " + l.Name(0) + "."}
	}
	return Period(t.UnixMilli()), nil
}

func (l PeriodLength) layout() string {
	switch d := time.Duration(l); {
	case d == 24*time.Hour:
		return "2006-01-02"
	case d%time.Hour == 0:
		return "2006-01-02T15"
	default:
		return "2006-01-02T150405"
	}
}
