package protocol

import "github.com/pinflow/pinflow"

// Tail is where a partition's part of the lake ends: behind its last object, in that object's log period.
type Tail struct {
	End   int64          // 0 if there is no object
	Floor pinflow.Period // NoPeriod if there is no object
}

// Resumption says how a lake writer goes on.
type Resumption uint8

// The ways to go on.
const (
	GoOn     Resumption = iota // read the journal at the offset given
	LogLost                    // the log ends before the lake does: it is another one, or has lost records
	LogAhead                   // the log starts behind the lake's end: records are gone that the lake lacks
)

// Resume returns the offset at which a writer reads the journal, whose log is [logStart, logEnd), for a lake that ends at
// t. A lake without objects begins where the log does. The next object is named by t.End all the same, so that offsets
// which no consumer sees are no gaps.
func Resume(t Tail, logStart, logEnd int64) (int64, Resumption) {
	switch {
	case logEnd < t.End:
		return 0, LogLost
	case logStart <= t.End:
		return t.End, GoOn
	case t.End == 0:
		return logStart, GoOn
	}
	return 0, LogAhead
}

// AfterExists returns where a writer goes on when the object that it wanted to put was there: at the end and period of what
// is there, whoever put it. What it holds is dropped, never taken for what is there.
func AfterExists(there Tail) Tail { return there }
