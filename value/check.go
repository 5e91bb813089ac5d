package value

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Check returns nil if the value is accepted, else its faults in the order of their paths: everything
// that is wrong with it, unless it is not even JSON. At most 100 are listed, a last one counts the rest.
// An accepted value of a usual schema is checked in one pass that allocates nothing.
func (s *Schema) Check(v []byte) []Fault { return s.check(v, nil) }

// check also notes the cells of declared fields, unless cells is nil.
func (s *Schema) check(v []byte, cells []Cell) []Fault {
	f := fields{scanner: scanner{buf: v, strict: true}, ownNames: true}
	var faults []Fault
	var few [4]uint64
	present := few[:]
	if len(s.fields) > 64*len(few) {
		present = make([]uint64, len(s.fields)/64+1)
	}
	next := 0
	for f.next() {
		i := s.lookup(f.unescaped, next)
		if i < 0 || !s.fields[i].declared {
			faults = s.unknown(&f, faults)
		}
		if i < 0 {
			continue
		}
		present[i/64] |= 1 << (i % 64)
		next = i + 1
		if cells != nil && s.fields[i].declared {
			cells[i].token = f.val
		}
		known := len(faults)
		faults = s.fields[i].rule.check(v, &f.val, s.full != nil, faults)
		below(faults[known:], s.fields[i].name)
	}
	if f.failed {
		return []Fault{f.hardFault()}
	}
	for _, i := range s.required {
		if s.full == nil && present[i/64]&(1<<(i%64)) == 0 {
			faults = append(faults, Fault{pointer(s.fields[i].name), missing})
		}
	}
	if s.full != nil {
		faults = s.checkFull(v, f.notes, faults)
	}
	if faults == nil && f.notes == nil {
		return nil
	}
	return ordered(withNotes(v, f.notes, faults))
}

// unknown adds the fault of a name that a closed schema does not have.
func (s *Schema) unknown(f *fields, faults []Fault) []Fault {
	if !s.closed || s.full != nil {
		return faults
	}
	return append(faults, Fault{pointer(string(f.unescaped)), notAllowed})
}

// hardFault is the fault of a value that could not be read to its end.
func (f *fields) hardFault() Fault {
	if f.flaw.json {
		return Fault{"", f.flaw.reason}
	}
	return Fault{"", fmt.Sprintf("is not JSON: at byte %d, %s", f.flaw.offset, f.flaw.reason)}
}

// withNotes adds the scanner's notes to the faults. What else is said of the same place is dropped.
func withNotes(v []byte, notes []note, faults []Fault) []Fault {
	slices.SortFunc(notes, func(a, b note) int { return a.offset - b.offset })
	offsets := make([]int, len(notes))
	for i, n := range notes {
		offsets[i] = n.offset
	}
	noted := make([]Fault, len(notes))
	for i, path := range pathsAt(v, offsets) {
		noted[i] = Fault{path, notes[i].what.String()}
	}
	return merge(noted, faults)
}

// merge adds to first those faults of second whose paths first does not have.
func merge(first, second []Fault) []Fault {
	if len(first) == 0 {
		return second
	}
	paths := make(map[string]bool, len(first))
	for _, f := range first {
		paths[f.Path] = true
	}
	for _, f := range second {
		if !paths[f.Path] {
			first = append(first, f)
		}
	}
	return first
}

// checkFull adds what the library finds to the faults of the types, which are stricter than its own.
func (s *Schema) checkFull(v []byte, notes []note, faults []Fault) []Fault {
	doc, err := decode(withoutHuge(v, notes))
	if err != nil {
		return append(faults, Fault{"", "is not JSON: " + err.Error()})
	}
	err = s.full.Validate(doc)
	if err == nil {
		return faults
	}
	var invalid *jsonschema.ValidationError
	if !errors.As(err, &invalid) {
		return append(faults, Fault{"", "cannot be checked: " + err.Error()})
	}
	return merge(faults, libraryFaults(invalid))
}

// withoutHuge returns v with a 0 for each number that is refused anyway: the library would
// compute with them exactly.
func withoutHuge(v []byte, notes []note) []byte {
	out := v
	for _, n := range notes {
		if n.what != tooLong && n.what != tooLarge && n.what != tooSmall {
			continue
		}
		if &out[0] == &v[0] {
			out = append([]byte(nil), v...)
		}
		i := n.offset
		out[i] = '0'
		for i++; i < len(out) && strings.IndexByte("+-.eE0123456789", out[i]) >= 0; i++ {
			out[i] = ' '
		}
	}
	return out
}
