package access

import "net/http"

// Routes is where a stage puts its routes, each with what it takes: a Mux, or any http.ServeMux where nobody is to be kept out.
type Routes interface {
	Handle(pattern string, h http.Handler)
}

// need is what a route takes.
type need uint8

const (
	closed  need = iota // it has not been said: nobody gets there who would need a key
	open                // nothing
	anyKey              // a key, whatever its scopes
	oneWith             // a key with a scope
)

// declared is a handler that says what its route takes.
type declared struct {
	http.Handler
	need  need
	scope Scope
}

// NeedScope makes a route take keys with the scope.
func NeedScope(s Scope, h http.Handler) http.Handler { return declared{h, oneWith, s} }

// NeedKey makes a route take every key.
func NeedKey(h http.Handler) http.Handler { return declared{h, anyKey, 0} }

// Open makes a route take everybody.
func Open(h http.Handler) http.Handler { return declared{h, open, 0} }

// Refuser is a handler that words refusals in its own way.
type Refuser interface {
	// Refuse answers with the problem's status. Headers that belong to it are set already.
	Refuse(w http.ResponseWriter, r *http.Request, status int, detail, hint string)
}

// Route is one pattern of a Mux and what it takes.
type Route struct {
	Pattern string // as http.ServeMux has it
	Takes   string // "nothing", "key", a scope's name, or "" if that has not been said
}

func (d declared) takes() string {
	switch d.need {
	case open:
		return "nothing"
	case anyKey:
		return "key"
	case oneWith:
		return d.scope.String()
	}
	return ""
}
