package access

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/pinflow/pinflow/problem"
)

// caller is who sent a request.
type caller struct {
	scope   Scope
	by      string         // the key's id, or what stands for one; "" for nobody
	session bool           // by the cookie of a browser
	holds   func() *denial // looks whether the key still counts; nil: it always does
}

type callerKey struct{}

func with(ctx context.Context, c *caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// of returns who sent the request of a context. Where nobody is asked for a key, all may do everything.
func of(ctx context.Context) *caller {
	if c, ok := ctx.Value(callerKey{}).(*caller); ok {
		return c
	}
	return &caller{scope: All}
}

// Denied is the error of Require: the problem that says which scope is missing.
type Denied struct{ Problem problem.Problem }

// Error says what is missing.
func (d *Denied) Error() string { return d.Problem.Detail }

// Require returns a Denied error unless the sender of the request may do what takes the scope: for what a route does only if it is asked to in
// a certain way, which what says.
func Require(ctx context.Context, s Scope, what string) error {
	if of(ctx).scope.Has(s) {
		return nil
	}
	return &Denied{problem.New(http.StatusForbidden, what+" takes a key with the scope "+s.String()+"; this one has not.", hintScope(s))}
}

// Has tells whether the sender of the request may do what takes the scope.
func Has(ctx context.Context, s Scope) bool { return of(ctx).scope.Has(s) }

// IsSession tells whether the request comes from a browser that has signed in.
func IsSession(ctx context.Context) bool { return of(ctx).session }

// Holds returns an error when the key that a request came with has been revoked or has expired since: an answer without an end must stop then.
func Holds(ctx context.Context) error {
	c := of(ctx)
	if c.holds == nil {
		return nil
	}
	if d := c.holds(); d != nil {
		return errors.New(d.detail)
	}
	return nil
}

func hintScope(s Scope) string {
	return "Ask for a key with it: pinflow key create NAME --scope " + s.String() + "."
}

// sessionTime is how long a browser stays signed in.
const sessionTime = 12 * time.Hour
