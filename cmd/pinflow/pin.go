package main

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/pinflow/pinflow"
)

// pinned is a rollback that stands: whoever has switched to a generation by hand does not want the next start to build the
// definition's again. It is kept in the data folder.
type pinned struct {
	Generation string `json:"generation"`
	InsteadOf  string `json:"instead_of"` // the generation of the definition at that time
}

func (c *core) pinFile() string { return filepath.Join(c.Data, "pinned.json") }

// pin remembers that a generation was chosen by hand, unless it is the definition's own.
func (c *core) pin(ctx context.Context, generation string) error {
	_, plan, faults, err := compile(ctx, c.Pipeline)
	if err != nil || len(faults) > 0 || plan.Generation == generation {
		return c.unpin()
	}
	text, err := json.Marshal(pinned{generation, plan.Generation})
	if err == nil {
		err = os.WriteFile(c.pinFile(), text, 0o600)
	}
	if err != nil {
		return &pinflow.Error{Op: "remember the chosen generation", On: c.pinFile(), Err: err, Hint: "The switch is done; the next start will build the definition's generation again."}
	}
	return nil
}

// unpin forgets it.
func (c *core) unpin() error {
	if err := os.Remove(c.pinFile()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return &pinflow.Error{Op: "forget the chosen generation", On: c.pinFile(), Err: err}
	}
	return nil
}

// isPinned tells whether the current generation was chosen by hand in place of the definition's.
func (c *core) isPinned(p plans) bool {
	text, err := os.ReadFile(c.pinFile())
	var chosen pinned
	return err == nil && json.Unmarshal(text, &chosen) == nil && p.next != nil && chosen == pinned{p.current.Generation, p.next.Generation}
}
