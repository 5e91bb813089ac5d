package value

import (
	"errors"
	"fmt"

	"github.com/pinflow/pinflow"
)

// NotPlain is why a value is not a plain JSON object.
type NotPlain struct {
	Offset int    // bytes from the start of the value
	JSON   bool   // true if it is JSON (as far as was read), but not as a record may be
	Path   string // JSON pointer to what is wrong; "" if it is not JSON or the value as a whole is meant
	Reason string
}

// Error formats as "at byte 12: a colon should stand here".
func (e *NotPlain) Error() string {
	if e.Path != "" {
		return e.Path + " " + e.Reason
	}
	return fmt.Sprintf("at byte %d: %s", e.Offset, e.Reason)
}

// Plain returns nil if v is one JSON object that the lake stores flat: strict JSON (RFC 8259) in valid
// UTF-8, surrogates in pairs, nested at most 64 deep, without a repeated top-level name (compared unescaped) and
// without a reserved one. Otherwise it returns an Invalid error around a *NotPlain.
func Plain(v []byte) error {
	f := fields{scanner: scanner{buf: v}, ownNames: true}
	for f.next() {
	}
	if why := f.notPlain(); why != nil {
		return &pinflow.Error{Op: "read value", Kind: pinflow.Invalid, Err: why}
	}
	return nil
}

// IsPlain tells whether Plain(v) is nil, without making the error.
func IsPlain(v []byte) bool {
	f := fields{scanner: scanner{buf: v}, ownNames: true}
	for f.next() {
	}
	return !f.failed && len(f.notes) == 0
}

// WhyNotPlain returns the *NotPlain in err's chain, nil if there is none.
func WhyNotPlain(err error) *NotPlain {
	var why *NotPlain
	if errors.As(err, &why) {
		return why
	}
	return nil
}

func (f *fields) notPlain() *NotPlain {
	if f.failed {
		return &NotPlain{Offset: f.flaw.offset, JSON: f.flaw.json, Reason: f.flaw.reason}
	}
	for _, n := range f.notes {
		if n.what.notPlain() {
			return &NotPlain{Offset: n.offset, JSON: true, Path: pathAt(f.buf, n.offset), Reason: n.what.String()}
		}
	}
	return nil
}
