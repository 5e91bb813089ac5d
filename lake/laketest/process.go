package laketest

import (
	"context"
	"errors"
	"io"
	"iter"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/pinflow/pinflow"
)

// Process is a place of objects as one process sees it: slow, with errors, some of which come after the object was stored, with
// puts that are given up and land later, until it is killed, after which nothing works.
type Process struct {
	pinflow.Objects
	Late *sync.WaitGroup // puts that land later

	mu     sync.Mutex
	random *rand.Rand
	faults float64 // the share of calls that go wrong
	slow   time.Duration
	dead   bool
}

var errFault = errors.New("a fault of the test's making")

// NewProcess makes a Process over objects. A share of its calls, faults, goes wrong; each takes up to slow.
func NewProcess(objects pinflow.Objects, late *sync.WaitGroup, seed uint64, faults float64, slow time.Duration) *Process {
	return &Process{Objects: objects, Late: late, random: rand.New(rand.NewPCG(seed, 7)), faults: faults, slow: slow}
}

// Kill makes every call fail from now on. Puts on their way may still land.
func (p *Process) Kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dead = true
}

func (p *Process) killed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dead
}

// fate is what becomes of a call.
type fate struct {
	delay  time.Duration
	dead   bool
	wrong  bool
	how    int           // of three ways to go wrong
	landed time.Duration // how much later a put lands that was given up
}

func (p *Process) fate() fate {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := fate{dead: p.dead, wrong: p.random.Float64() < p.faults, how: p.random.IntN(3), landed: time.Duration(p.random.Int64N(int64(time.Minute)))}
	if p.slow > 0 {
		f.delay = time.Duration(p.random.Int64N(int64(p.slow)))
		if p.random.IntN(50) == 0 {
			f.delay *= 30
		}
	}
	return f
}

func (f fate) err() error {
	if f.dead || f.wrong {
		return &pinflow.Error{Op: "call", Kind: pinflow.Unavailable, Err: errFault}
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// PutIfAbsent implements pinflow.ObjectWriter.
func (p *Process) PutIfAbsent(ctx context.Context, name string, content []byte) (bool, error) {
	f := p.fate()
	if f.dead {
		return false, f.err()
	}
	sleep(ctx, f.delay)
	if ctx.Err() != nil || f.wrong && f.how == 0 {
		kept := append([]byte(nil), content...)
		p.Late.Go(func() {
			time.Sleep(f.landed)
			_, _ = p.Objects.PutIfAbsent(context.WithoutCancel(ctx), name, kept)
		})
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		return false, f.err()
	}
	if f.wrong && f.how == 1 {
		return false, f.err()
	}
	created, err := p.Objects.PutIfAbsent(ctx, name, content)
	if f.wrong {
		return false, f.err()
	}
	if after := p.fate(); after.dead {
		return false, after.err()
	}
	return created, err
}

// Replace implements pinflow.ObjectReplacer.
func (p *Process) Replace(ctx context.Context, name string, content []byte) error {
	return p.change(ctx, func() error { return p.Objects.Replace(ctx, name, content) })
}

// Delete implements pinflow.ObjectReplacer.
func (p *Process) Delete(ctx context.Context, name string) error {
	return p.change(ctx, func() error { return p.Objects.Delete(ctx, name) })
}

// change does something, or says that it did not, or both.
func (p *Process) change(ctx context.Context, do func() error) error {
	f := p.fate()
	if f.dead {
		return f.err()
	}
	sleep(ctx, f.delay)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if f.wrong && f.how == 0 {
		return f.err()
	}
	err := do()
	if f.wrong {
		return f.err()
	}
	if after := p.fate(); after.dead {
		return after.err()
	}
	return err
}

// Get implements pinflow.ObjectReader.
func (p *Process) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	f := p.fate()
	sleep(ctx, f.delay)
	if f.dead || f.wrong && f.how == 0 {
		return nil, f.err()
	}
	r, err := p.Objects.Get(ctx, name)
	if err == nil && f.wrong && f.how == 1 {
		return struct {
			io.Reader
			io.Closer
		}{io.MultiReader(io.LimitReader(r, f.landed.Nanoseconds()%200), failing{}), r}, nil
	}
	return r, err
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errFault }

// List implements pinflow.ObjectReader.
func (p *Process) List(ctx context.Context, prefix, delimiter string) iter.Seq2[pinflow.ObjectInfo, error] {
	return func(yield func(pinflow.ObjectInfo, error) bool) {
		f := p.fate()
		sleep(ctx, f.delay)
		if f.dead {
			yield(pinflow.ObjectInfo{}, f.err())
			return
		}
		n := 0
		for info, err := range p.Objects.List(ctx, prefix, delimiter) {
			if n++; f.wrong && n > f.how {
				yield(pinflow.ObjectInfo{}, f.err())
				return
			}
			if !yield(info, err) {
				return
			}
		}
	}
}
