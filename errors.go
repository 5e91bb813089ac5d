package pinflow

import (
	"errors"
	"strings"
)

// Kind says what sort of failure an Error is: it alone decides the HTTP status,
// the exit code and whether trying again can help.
type Kind uint8

// The kinds of failure.
const (
	Internal    Kind = iota // a fault of ours or of the machine
	Invalid                 // what was given is wrong; the same input fails again
	NotFound                // what was asked for does not exist
	Exists                  // it is there already, or somebody else holds it
	Unavailable             // a part is down, full or slow; try again later
	TooLarge                // over a limit that is set
	Fenced                  // another worker has moved on; drop what is held and read the position again
	OutOfRange              // the log does not have that offset (any more)
	Difference              // the audit found one
)

// String returns the kind in words.
func (k Kind) String() string {
	return [...]string{"internal", "invalid", "not found", "exists", "unavailable", "too large", "fenced", "out of range", "difference"}[k]
}

// Error is the one error type of Pinflow: what was tried, on what, why it failed
// and what to do about it.
type Error struct {
	Op   string // what was tried: "lake: put object"
	On   string // on what: a path, an address, a topic:partition:offset
	Kind Kind
	Err  error  // why it failed; may be nil if Hint and Op say it all
	Hint string // what the reader can do about it, a full sentence; may be empty
}

// Error formats as "op on: why (hint)".
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.On != "" {
		b.WriteString(" " + e.On)
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	} else {
		b.WriteString(": " + e.Kind.String())
	}
	if e.Hint != "" {
		b.WriteString(" (" + e.Hint + ")")
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// KindOf returns the kind of the outermost Error in err's chain, Internal if there is none.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}

// HintOf returns the hint of the first Error in err's chain that has one.
func HintOf(err error) string {
	for err != nil {
		var e *Error
		if !errors.As(err, &e) {
			return ""
		}
		if e.Hint != "" {
			return e.Hint
		}
		err = e.Err
	}
	return ""
}
