package value

import (
	"cmp"
	"slices"
	"strconv"
)

// Fault is one thing that is wrong with a record's value.
type Fault struct {
	Path   string `json:"path"`   // JSON pointer (RFC 6901); "" for the value as a whole
	Reason string `json:"reason"` // to be read after the path: "is missing"
}

// String formats as "/title is missing".
func (f Fault) String() string {
	if f.Path == "" {
		return "the record " + f.Reason
	}
	return f.Path + " " + f.Reason
}

// maxFaults is how many faults of a record are listed; a last one counts the rest.
const maxFaults = 100

// ordered sorts faults, drops repeated ones and cuts the list at maxFaults.
func ordered(faults []Fault) []Fault {
	slices.SortFunc(faults, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Reason, b.Reason))
	})
	faults = slices.Compact(faults)
	if n := len(faults); n > maxFaults {
		faults = append(faults[:maxFaults:maxFaults], Fault{Reason: "has " + strconv.Itoa(n-maxFaults) + " more faults"})
	}
	return faults
}

// below puts the faults under the field or item of that name.
func below(faults []Fault, name string) {
	for i := range faults {
		faults[i].Path = pointer(name) + faults[i].Path
	}
}
