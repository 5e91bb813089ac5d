package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/access"
	"github.com/pinflow/pinflow/emulate"
	"github.com/pinflow/pinflow/internal/datalock"
)

// emulateCmd posts rows to a running Pinflow.
type emulateCmd struct {
	To       string  `help:"The URL to post to. By default the first source of the running Pinflow of --data, else http://127.0.0.1:8000/pin/." placeholder:"URL"`
	Data     string  `help:"The folder of the running Pinflow." default:"./pinflow-data" env:"PINFLOW_DATA" placeholder:"DIR"`
	Pipeline string  `help:"The folder of the pipeline's definition, whose first source is posted to." env:"PINFLOW_PIPELINE" placeholder:"DIR"`
	Rate     float64 `help:"Posts per second; 0 is the original's pace (0 or 1 s between posts) for made-up pins, and as fast as it goes for a file." default:"0" placeholder:"N"`
	Rows     string  `help:"Post the rows of this file in their order: NDJSON or CSV." placeholder:"FILE"`
	Sequence string  `help:"Post rows of --rows in the order that this CSV's column row_index has, with the pauses of its column sleep_s." placeholder:"FILE"`
	NoPauses bool    `help:"With --sequence: leave the pauses out."`
	Count    int64   `help:"End after so many rows; 0 for all there are (made-up pins have no end)." default:"0" placeholder:"N"`
	Seed     uint64  `help:"The seed of made-up pins." default:"1" placeholder:"N"`
	Bulk     int     `help:"How many rows go into one post, as NDJSON." default:"1" placeholder:"N"`
	credentials
	Connections int `help:"Posts under way at once; with 1, rows arrive in order. 0 is 1 with --rows, else 8." default:"0" placeholder:"N"`
}

// Help is shown by --help.
func (emulateCmd) Help() string {
	return `Posts random pins out of 11,000 made-up ones, with the original's dirty values, until Ctrl-C; or the rows of a file. What gets no answer, or 503, is posted again until it has one. Rows that are refused for good are counted, and the first reasons shown.

Examples:

  pinflow emulate --rate 500
  pinflow emulate --rows pins.ndjson --bulk 1000
  pinflow emulate --to http://127.0.0.1:8000/pin/ --count 100`
}

// Run posts until there is nothing left or ctx ends.
func (c *emulateCmd) Run(ctx context.Context, t terminal) error {
	if c.Sequence != "" && c.Rows == "" {
		return usageError{errors.New("--sequence needs --rows, the file whose rows it names")}
	}
	var source pinflow.PlannedSource
	if c.Rows != "" || c.To == "" {
		p, err := mustCompile(ctx, c.Pipeline, t.err)
		if err != nil {
			return err
		}
		source = p.Sources[0]
	}
	rows, err := c.rows(source.Columns)
	if err != nil {
		return err
	}
	if rows != nil {
		defer rows.Close()
	}
	to, shown, err := c.destination(source.Route)
	if err != nil {
		return err
	}
	client, err := emulator(to, shown, c.Connections)
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	bar := newProgress(t.err, c.Count)
	told := reporter{out: t.err, clear: bar.clear}
	report, err := emulate.Run(ctx, emulate.Options{To: to, Rows: rows, Seed: c.Seed, Count: c.Count, Rate: c.Rate, Bulk: c.Bulk, Connections: c.Connections, Client: client,
		OnOutcome: told.outcome, OnProgress: func(r emulate.Report) { told.trouble(r.Trouble); bar.show(r) }})
	bar.end()
	told.end()
	fmt.Fprintln(t.out, summary(report))
	if ctx.Err() != nil && errors.Is(err, context.Cause(ctx)) {
		return report.Trouble // what it was at when it was stopped
	}
	return err
}

// rows opens the file that is to be posted, whose cells become what columns say if it is CSV; nil for made-up pins.
func (c *emulateCmd) rows(columns []pinflow.Column) (emulate.Rows, error) {
	if c.Rows == "" {
		return nil, nil
	}
	if c.Sequence != "" {
		return emulate.OpenSequence(c.Sequence, c.Rows, columns, !c.NoPauses)
	}
	return emulate.OpenRows(c.Rows, columns)
}

// destination is the URL to post to, and how to come in there.
func (c *emulateCmd) destination(route string) (string, access.Credentials, error) {
	shown, err := c.credentials.read()
	if c.To != "" || err != nil {
		return withScheme(c.To), shown, err
	}
	holder, err := datalock.Holder(c.Data)
	if err != nil {
		return "", shown, err
	}
	if holder != nil && holder.HTTP != "" {
		return holder.HTTP + route, holderCredentials(holder), nil
	}
	return "http://127.0.0.1:8000" + route, shown, nil
}

// emulator is a client that keeps its connections open between posts, and takes redirects for what they are: another place than the one that was given.
func emulator(to string, shown access.Credentials, connections int) (*http.Client, error) {
	client, err := httpClient(to, shown, max(connections, 8))
	if err == nil {
		client.Timeout = time.Minute
		client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	return client, err
}

// emulate posts made-up pins to this process, for up --emulate.
func (u *up) emulate(ctx context.Context, url string) error {
	refused := false
	client, err := emulator(url, u.guard.own(), 0)
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	_, err = emulate.Run(ctx, emulate.Options{Client: client, To: url + u.plans.newest().Sources[0].Route, Seed: u.cmd.Seed, Rate: u.cmd.Rate, OnOutcome: func(o emulate.Outcome) {
		if o.Err != nil && !refused {
			refused = true
			u.log.Warn("emulate: made-up pins are rejected; pinflow emulate --rows posts rows of your own", "source", u.plans.newest().Sources[0].Name, "error", o.Err)
		}
	}})
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func summary(r emulate.Report) string {
	perSecond := 0.0
	if r.Elapsed > 0 {
		perSecond = float64(r.Acknowledged) / r.Elapsed.Seconds()
	}
	text := fmt.Sprintf("%d sent, %d acknowledged, %d rejected, %d posted again, in %s", r.Sent, r.Acknowledged, r.Rejected, r.Retried, r.Elapsed.Round(time.Millisecond))
	if r.Acknowledged > 0 {
		text += fmt.Sprintf(" (%.0f/s; acknowledged after %s at the median, %s at the 99th percentile)", perSecond, r.P50.Round(10*time.Microsecond), r.P99.Round(10*time.Microsecond))
	}
	return text
}
