package emulate

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/pinflow/pinflow"
)

// sender posts rows until each has its final answer.
type sender struct {
	client *http.Client
	to     string
	bulk   bool // as NDJSON, however many rows there are
	tally  *tally
}

// sending is a row on its way.
type sending struct {
	Row
	number int64
}

// post posts rows, of which the first has the given number in the run, again and again until each is acknowledged or
// rejected. It returns an error if the place refuses whatever is posted, or if ctx ends before.
func (p *sender) post(ctx context.Context, rows []Row, first int64) error {
	if ctx.Err() != nil { // while waiting for a free connection
		return ctx.Err()
	}
	open := make([]sending, len(rows))
	for i, r := range rows {
		open[i] = sending{r, first + int64(i)}
	}
	p.tally.begin(len(rows))
	start := time.Now()
	var wait backoff
	for tries := 1; ; tries++ {
		a, err := p.try(ctx, open)
		if err != nil {
			return err
		}
		settled, again, err := split(open, a, tries)
		p.tally.settle(settled, time.Since(start), a.trouble)
		if err != nil || len(again) == 0 {
			return err
		}
		if len(again) < len(open) {
			wait = backoff{}
		}
		open = again
		if err := sleep(ctx, wait.next(a.retryAfter)); err != nil {
			return err
		}
		p.tally.retry(len(open))
	}
}

// try posts the rows once. An error is ctx's end or a place that can't take posts; anything else is in the answer.
func (p *sender) try(ctx context.Context, rows []sending) (answer, error) {
	var body bytes.Buffer
	for _, r := range rows {
		body.Write(r.JSON)
		if p.bulk {
			body.WriteByte('\n')
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.to, bytes.NewReader(body.Bytes()))
	if err != nil {
		return answer{}, &pinflow.Error{Op: "emulate", On: p.to, Kind: pinflow.Invalid, Err: err}
	}
	req.Header.Set("Content-Type", "application/json")
	if p.bulk {
		req.Header.Set("Content-Type", "application/x-ndjson")
	}
	resp, err := p.client.Do(req)
	if err == nil {
		var a answer
		if a, err = p.read(resp); err == nil || pinflow.KindOf(err) != pinflow.Unavailable {
			return a, err
		}
	}
	if ctx.Err() != nil {
		return answer{}, ctx.Err()
	}
	return answer{status: noAnswer, trouble: &pinflow.Error{Op: "post to", On: p.to, Kind: pinflow.Unavailable, Err: cause(err)}}, nil
}

// cause is err without the method and the URL, which stand before it anyway.
func cause(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// split divides rows into those with a final answer and those to be posted again.
func split(rows []sending, a answer, tries int) (settled []Outcome, again []sending, err error) {
	for i, r := range rows {
		item, err := a.of(i)
		switch {
		case err != nil:
			return settled, nil, err
		case retriable(item.Status):
			again = append(again, r)
			continue
		}
		o := Outcome{Number: r.number, Row: r.JSON, Tries: tries, Position: item.Position}
		if item.Status/100 != 2 {
			o.Err = &pinflow.Error{Op: "post row", On: strconv.FormatInt(r.number, 10), Kind: pinflow.Invalid, Err: reason(item.Problem), Hint: item.Hint}
		}
		settled = append(settled, o)
	}
	return settled, again, nil
}
