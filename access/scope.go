package access

import (
	"errors"
	"fmt"
	"strings"

	"github.com/pinflow/pinflow"
)

// Scope is what a key may do: any of Post, Read, SQL and Admin together.
type Scope uint8

// The scopes. None implies another.
const (
	Post  Scope = 1 << iota // post records
	Read                    // read metrics, models, rejects, status, lake and recorded audits, watch the page, scrape /metrics
	SQL                     // run SQL: queries, expressions as filters, reports
	Admin                   // run batches and audits, acknowledge differences, build, switch and drop generations
)

// All is every scope.
const All = Post | Read | SQL | Admin

// names are those of the scopes, in their order.
var names = [...]string{"post", "read", "sql", "admin"}

// Has tells whether all of need are among s.
func (s Scope) Has(need Scope) bool { return s&need == need }

// Names returns the names of the scopes in s.
func (s Scope) Names() []string {
	var all []string
	for i, name := range names {
		if s.Has(1 << i) {
			all = append(all, name)
		}
	}
	return all
}

// String formats as post,read.
func (s Scope) String() string { return strings.Join(s.Names(), ",") }

// MarshalText implements encoding.TextMarshaler.
func (s Scope) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads names separated by commas. There must be one.
func (s *Scope) UnmarshalText(text []byte) error {
	read, err := ParseScope(strings.Split(string(text), ",")...)
	if err == nil {
		*s = read
	}
	return err
}

// ParseScope returns the scopes of these names. No name, or one that there is not, is an Invalid error.
func ParseScope(given ...string) (Scope, error) {
	var s Scope
	for _, name := range given {
		found := false
		for i, known := range names {
			if known == strings.TrimSpace(name) {
				s |= 1 << i
				found = true
			}
		}
		if !found {
			return 0, &pinflow.Error{Op: "read scopes", Kind: pinflow.Invalid, Err: fmt.Errorf("there is no scope %q", name), Hint: "The scopes are " + strings.Join(names[:], ", ") + "."}
		}
	}
	if s == 0 {
		return 0, &pinflow.Error{Op: "read scopes", Kind: pinflow.Invalid, Err: errors.New("there is none"), Hint: "The scopes are " + strings.Join(names[:], ", ") + "."}
	}
	return s, nil
}
