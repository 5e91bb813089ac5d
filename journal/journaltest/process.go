package journaltest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"testing"

	"github.com/pinflow/pinflow"
)

// memberEnv holds what a member in a process of its own needs to know; the process is the test's own binary.
const memberEnv = "JOURNALTEST_MEMBER"

type memberConfig struct{ Brokers, Group, Topic string }

// Main runs a package's tests, or what they have started this process for. It returns the exit code; TestMain calls it.
func Main(m *testing.M, open func(ctx context.Context, brokers string) (Journal, error)) int {
	text, is := os.LookupEnv(memberEnv)
	if !is {
		return m.Run()
	}
	var c memberConfig
	err := json.Unmarshal([]byte(text), &c)
	if err == nil {
		err = serve(c, open)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// message is what a member says. Each is answered.
type message struct {
	What       string // assigned, revoked, lost, took, closed
	Partitions []pinflow.TopicPartition
	Start, End int64 // of what it took
}

type answer struct {
	Offsets []int64 // where each partition starts; of what it took, where the next goes on
	Taken   bool    // what it took counts
}

// serve is a member that takes what it can until it is interrupted.
func serve(c memberConfig, open func(ctx context.Context, brokers string) (Journal, error)) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	j, err := open(ctx, c.Brokers)
	if err != nil {
		return err
	}
	p := &process{in: json.NewDecoder(bufio.NewReader(os.Stdin)), out: json.NewEncoder(os.Stdout)}
	sub, err := j.Subscribe(ctx, c.Group, []string{c.Topic}, p)
	if err != nil {
		return err
	}
	err = p.take(ctx, sub)
	err = errors.Join(err, sub.Close())
	if _, e := p.say(message{What: "closed"}); e != nil && !errors.Is(e, io.EOF) {
		err = errors.Join(err, e)
	}
	return err
}

// process is the assignee of a member; what it has is kept by who has started it.
type process struct {
	mu  sync.Mutex
	in  *json.Decoder
	out *json.Encoder
}

func (p *process) say(m message) (a answer, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err = p.out.Encode(m); err == nil {
		err = p.in.Decode(&a)
	}
	return a, err
}

// Assigned implements pinflow.Assignee.
func (p *process) Assigned(_ context.Context, tps []pinflow.TopicPartition) (map[pinflow.TopicPartition]int64, error) {
	a, err := p.say(message{What: "assigned", Partitions: tps})
	if err != nil || len(a.Offsets) != len(tps) {
		return nil, fmt.Errorf("asked where to start: %v, %w", a, err)
	}
	starts := map[pinflow.TopicPartition]int64{}
	for i, tp := range tps {
		starts[tp] = a.Offsets[i]
	}
	return starts, nil
}

// Revoked implements pinflow.Assignee.
func (p *process) Revoked(ctx context.Context, tps []pinflow.TopicPartition) {
	what := "revoked"
	if ctx.Err() != nil {
		what = "lost"
	}
	_, _ = p.say(message{What: what, Partitions: tps}) // who does not hear it sees that the process has ended
}

// take takes records as a worker does: if what it read does not count, since another was there before, it goes on where that one is.
func (p *process) take(ctx context.Context, sub pinflow.Subscription) error {
	for {
		runs, err := sub.Poll(ctx, 100)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		for _, run := range runs {
			if run.Err != nil {
				return run.Err
			}
			a, err := p.say(message{What: "took", Partitions: []pinflow.TopicPartition{run.TopicPartition},
				Start: run.Records[0].Offset, End: run.Records[len(run.Records)-1].Offset + 1})
			if err != nil {
				return err
			}
			if !a.Taken {
				sub.Seek(run.TopicPartition, a.Offsets[0])
			} else {
				sub.Committed(ctx, map[pinflow.TopicPartition]int64{run.TopicPartition: a.Offsets[0]})
			}
		}
	}
}
