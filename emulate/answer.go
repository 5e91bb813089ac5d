package emulate

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/problem"
)

// noAnswer is the status of a post that got none.
const noAnswer = 0

// maxAnswer is how many bytes an answer may have: that of the largest bulk, all refused, has less.
const maxAnswer = 256 << 20

const checkURL = "Check that the URL is the route of a source of a running Pinflow."

// answer is what came back for one post.
type answer struct {
	status     int    // of the whole, or noAnswer
	items      []item // the one of a single row, or those of a bulk that was looked into; else status is every row's
	problem    problem.Problem
	retryAfter time.Duration
	trouble    error // why rows have to be posted again, if they have
}

// item is the answer for one row: its position, or why it was not taken.
type item struct {
	Status int `json:"status"`
	pinflow.Position
	problem.Problem
}

// read reads an answer. An error of kind Unavailable is one that broke off; any other means that this place takes no posts.
func (p *sender) read(resp *http.Response) (answer, error) {
	defer resp.Body.Close()
	a := answer{status: resp.StatusCode, retryAfter: retryAfter(resp.Header, time.Now())}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return a, &pinflow.Error{Op: "read the answer of", On: p.to, Kind: pinflow.Unavailable, Err: err}
	}
	if a.status/100 == 2 {
		return a, p.readReceipts(&a, body)
	}
	if json.Unmarshal(body, &a.problem) != nil {
		a.problem = problem.New(a.status, excerpt(body), "")
	}
	if retriable(a.status) {
		a.trouble = p.failure(pinflow.Unavailable, a.problem)
		return a, nil
	}
	return a, p.refusesAll(resp, a.problem)
}

// readReceipts reads what an answer says of each row.
func (p *sender) readReceipts(a *answer, body []byte) error {
	var err error
	if p.bulk {
		var bulk struct{ Results []item }
		err = json.Unmarshal(body, &bulk)
		a.items = bulk.Results
	} else {
		one := struct {
			item
			Results *[]item
		}{item: item{Status: http.StatusOK}}
		err = json.Unmarshal(body, &one)
		if one.Results != nil {
			one.item = listed(*one.Results)
		}
		a.items = []item{one.item}
	}
	if err == nil && len(a.items) == 0 {
		err = errors.New("it has no results")
	}
	for i := range a.items {
		switch it := &a.items[i]; {
		case retriable(it.Status):
			a.trouble = p.failure(pinflow.Unavailable, it.Problem)
		case it.Status/100 == 2 && it.Topic == "":
			err = errors.Join(err, fmt.Errorf("result %d has no receipt", i))
		}
	}
	if err != nil {
		return &pinflow.Error{Op: "post to", On: p.to, Kind: pinflow.Invalid, Err: fmt.Errorf("the answer %q makes no sense: %w", excerpt(body), err),
			Hint: checkURL}
	}
	return nil
}

// listed is the answer for a row that was no object but a list of rows.
func listed(results []item) item {
	taken := 0
	for _, it := range results {
		if it.Status/100 == 2 {
			taken++
		}
	}
	why := fmt.Sprintf("the row is a list: %d of its %d members were taken", taken, len(results))
	return item{Status: http.StatusUnprocessableEntity, Problem: problem.New(http.StatusUnprocessableEntity, why, "Write one object a line.")}
}

// refusesAll returns an error if the answer is not about the rows but about where, how or by whom they were posted.
func (p *sender) refusesAll(resp *http.Response, why problem.Problem) error {
	switch resp.StatusCode {
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusUnsupportedMediaType:
		return p.failure(pinflow.NotFound, why)
	case http.StatusUnauthorized, http.StatusForbidden:
		return p.failure(pinflow.Invalid, why)
	case http.StatusRequestEntityTooLarge:
		if p.bulk {
			why.Hint = "Put fewer rows into one post."
			return p.failure(pinflow.TooLarge, why)
		}
	}
	if resp.StatusCode/100 == 3 {
		return p.failure(pinflow.NotFound, problem.New(resp.StatusCode, "it moved to "+resp.Header.Get("Location"), "Post there."))
	}
	return nil
}

func (p *sender) failure(kind pinflow.Kind, why problem.Problem) error {
	hint := why.Hint
	if hint == "" && kind != pinflow.Unavailable {
		hint = checkURL
	}
	return &pinflow.Error{Op: "post to", On: p.to, Kind: kind, Err: reason(why), Hint: hint}
}

// of returns the answer for the i-th row of the post.
func (a *answer) of(i int) (item, error) {
	switch {
	case a.items == nil:
		return item{Status: a.status, Problem: a.problem}, nil
	case i < len(a.items):
		return a.items[i], nil
	}
	last := a.items[len(a.items)-1]
	e := &pinflow.Error{Op: "post a bulk", Err: fmt.Errorf("there are %d answers, and more rows; the last: %w", len(a.items), reason(last.Problem))}
	if last.Status == http.StatusRequestEntityTooLarge {
		e.Kind, e.Hint = pinflow.TooLarge, "Put fewer rows into one post."
	}
	return item{}, e
}

// reason says a problem in one line: what is wrong with the row, if that is told, else the detail or the title.
func reason(p problem.Problem) error {
	switch {
	case len(p.Errors) > 0:
		first := p.Errors[0]
		text := cmp.Or(first.Path, "the row") + " " + first.Reason
		if more := len(p.Errors) - 1; more > 0 {
			text += fmt.Sprintf(" (and %d more faults)", more)
		}
		return errors.New(text)
	case p.Detail != "":
		return errors.New(p.Detail)
	case p.Title != "":
		return errors.New(p.Title)
	}
	return errors.New("no reason was given")
}

// excerpt is the beginning of a body, for people.
func excerpt(body []byte) string {
	const most = 200
	body = bytes.TrimSpace(body)
	if len(body) > most {
		return string(body[:most]) + "…"
	}
	return string(body)
}
