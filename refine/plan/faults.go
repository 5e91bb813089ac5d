package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pinflow/pinflow"
)

// file is a script being compiled and what is wrong with it.
type file struct {
	name   string
	sql    string
	start  int // where the statement starts
	faults []pinflow.Fault
}

// fault notes what is wrong at n.
func (f *file) fault(n node, hint, message string, args ...any) {
	at := n.offset()
	if at < 0 {
		at = f.start
	}
	f.faultAt(at, hint, message, args...)
}

// faultAt notes what is wrong at a byte of the text; -1 for the file as a whole.
func (f *file) faultAt(offset int, hint, message string, args ...any) {
	line := 0
	if offset >= 0 {
		line = f.line(offset)
	}
	f.note(pinflow.Fault{File: f.name, Line: line, Message: fmt.Sprintf(message, args...), Hint: hint})
}

// note adds a fault, once.
func (f *file) note(fault pinflow.Fault) {
	if !slices.Contains(f.faults, fault) {
		f.faults = append(f.faults, fault)
	}
}

// declared notes what is wrong with a field of the model's declaration.
func (f *file) declared(m pinflow.ModelScript, field, hint, message string, args ...any) {
	if m.Declared.File == "" {
		f.faultAt(-1, hint, message, args...)
		return
	}
	f.note(pinflow.Fault{File: m.Declared.File, Line: m.Declared.Line(field), Message: fmt.Sprintf(message, args...), Hint: hint})
}

// line is the line, from 1, of a byte of the text.
func (f *file) line(offset int) int {
	return 1 + strings.Count(f.sql[:min(offset, len(f.sql))], "\n")
}

// failed tells whether anything is wrong.
func (f *file) failed() bool { return len(f.faults) > 0 }

// engineFault notes what DuckDB refused, at the line that its message names or where the statement starts.
func (f *file) engineFault(err error) {
	message := strings.TrimSpace(err.Error())
	line := f.line(f.start)
	if text, excerpt, ok := strings.Cut(message, "\n\nLINE "); ok {
		message = text
		if _, err := fmt.Sscanf(excerpt, "%d:", &line); err != nil {
			line = f.line(f.start)
		}
	}
	hint := "This is what DuckDB says of it: correct the SQL."
	if text, more, ok := strings.Cut(message, "\n"); ok {
		message = text
		if strings.HasPrefix(strings.TrimSpace(more), "Did you mean") || strings.HasPrefix(strings.TrimSpace(more), "Candidate bindings") {
			hint, _, _ = strings.Cut(strings.TrimSpace(more), "\n")
		}
	}
	for _, kind := range []string{"Binder Error: ", "Catalog Error: ", "Parser Error: ", "Conversion Error: "} {
		message = strings.TrimPrefix(message, kind)
	}
	f.faults = append(f.faults, pinflow.Fault{File: f.name, Line: line, Message: message, Hint: hint})
}
