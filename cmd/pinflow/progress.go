package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/pinflow/pinflow/emulate"
)

// progress is a bar on a terminal, and nothing elsewhere.
type progress struct{ bar *progressbar.ProgressBar }

func newProgress(w io.Writer, total int64) *progress {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return &progress{}
	}
	if total == 0 {
		total = -1 // a spinner
	}
	return &progress{progressbar.NewOptions64(total, progressbar.OptionSetWriter(w), progressbar.OptionShowCount(), progressbar.OptionShowIts(),
		progressbar.OptionSetItsString("posts"), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish(), progressbar.OptionSetDescription("posting"))}
}

func (p *progress) show(r emulate.Report) {
	if p.bar == nil {
		return
	}
	p.bar.Describe(fmt.Sprintf("%d rejected, %d again", r.Rejected, r.Retried))
	_ = p.bar.Set64(r.Acknowledged + r.Rejected) // only its drawing can fail
}

func (p *progress) end() {
	if p.bar != nil {
		_ = p.bar.Finish()
	}
}

// clear makes room for a line of text.
func (p *progress) clear() {
	if p.bar != nil {
		_ = p.bar.Clear()
	}
}

// shownRejects is how many rows that were refused are shown with their reason.
const shownRejects = 3

// reporter tells, as it happens, what does not go well.
type reporter struct {
	out       io.Writer
	clear     func()
	inTrouble bool
	rejected  int64
}

// outcome shows the first rows that were refused.
func (r *reporter) outcome(o emulate.Outcome) {
	if o.Err == nil {
		return
	}
	if r.rejected++; r.rejected <= shownRejects {
		r.say("rejected: %v", o.Err)
	}
}

// trouble tells when posts begin to get no answer, and when they get one again.
func (r *reporter) trouble(why error) {
	switch {
	case why != nil && !r.inTrouble:
		r.say("%v; trying again until Ctrl-C", why)
	case why == nil && r.inTrouble:
		r.say("posts are taken again")
	}
	r.inTrouble = why != nil
}

// end tells how many were not shown.
func (r *reporter) end() {
	if more := r.rejected - shownRejects; more > 0 {
		r.say("… and %d more rejected", more)
	}
}

func (r *reporter) say(format string, args ...any) {
	r.clear()
	fmt.Fprintf(r.out, format+"\n", args...)
}
