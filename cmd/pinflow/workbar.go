package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/pinflow/pinflow"
)

// workBar shows how far long work is, on a terminal; elsewhere it shows nothing.
type workBar struct {
	bar   *progressbar.ProgressBar
	began time.Time
}

func newWorkBar(w io.Writer) *workBar {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return &workBar{}
	}
	return &workBar{began: time.Now(), bar: progressbar.NewOptions64(-1, progressbar.OptionSetWriter(w), progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(true),
		progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())}
}

func (b *workBar) show(w pinflow.Work) {
	if b.bar == nil {
		return
	}
	text := w.Step
	if w.Rows > 0 {
		text += fmt.Sprintf(", %d objects, %d rows, %.0f rows/s", w.Objects, w.Rows, float64(w.Rows)/time.Since(b.began).Seconds())
	}
	b.bar.Describe(text)
	if w.Total > 0 && b.bar.GetMax64() != w.Total {
		b.bar.ChangeMax64(w.Total)
	}
	_ = b.bar.Set64(w.Done) // only its drawing can fail
}

func (b *workBar) end() {
	if b.bar != nil {
		_ = b.bar.Finish()
	}
}
