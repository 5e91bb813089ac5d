package drive_test

import (
	"context"
	"fmt"
	"io"
	"iter"
	"strings"
	"testing/synctest"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/lake"
	"github.com/pinflow/pinflow/refine/refinetest/model"
)

// never is longer than anything takes.
const never = 1000 * time.Hour

// call is a put that a writer waits for.
type call struct {
	name    string
	content []byte
	answer  chan bool // whether it was created
	fail    chan struct{}
}

// process is a real writer for one partition. Nothing that it puts is stored before the driver says so.
type process struct {
	pinflow.Objects
	writer *lake.Writer
	sub    *subscription
	call   *call
	killed chan struct{}
	cancel context.CancelFunc
	ended  chan error
}

func startWriter(ctx context.Context, w *model.World, objects pinflow.Objects, p int8) (*process, error) {
	x := &process{Objects: objects, killed: make(chan struct{}), ended: make(chan error, 1)}
	x.sub = &subscription{journal: journal{w}, tp: pinflow.TopicPartition{Topic: model.Topic, Partition: int32(p)}, position: -1, runs: make(chan []pinflow.Run)}
	var err error
	x.writer, err = lake.NewWriter(lake.Options{Journal: x.sub, Objects: x, Topics: []string{model.Topic}, FlushAge: never,
		PeriodLength: pinflow.PeriodLength(time.Duration(w.Config.Period) * time.Second)})
	if err != nil {
		return nil, err
	}
	ctx, x.cancel = context.WithCancel(ctx)
	go func() { x.ended <- x.writer.Run(ctx) }()
	synctest.Wait()
	return x, nil
}

// PutIfAbsent implements pinflow.Objects: it waits for what the driver answers.
func (x *process) PutIfAbsent(ctx context.Context, name string, content []byte) (bool, error) {
	if strings.HasSuffix(name, "/_topic.json") {
		return x.Objects.PutIfAbsent(ctx, name, content)
	}
	c := &call{name, content, make(chan bool), make(chan struct{})}
	x.call = c
	select {
	case created := <-c.answer:
		return created, nil
	case <-c.fail:
	case <-x.killed:
	case <-ctx.Done():
	}
	return false, errTold
}

// flush lets the writer put what it has in hand.
func (x *process) flush() {
	x.writer.FlushCount = 1
	x.sub.runs <- nil
	synctest.Wait()
	x.writer.FlushCount = 0
}

// again lets the put fail, and waits until it is tried again.
func (x *process) again() {
	c := x.call
	x.call = nil
	close(c.fail)
	time.Sleep(time.Minute)
	synctest.Wait()
}

// kill ends the writer. Nothing that it does on the way is stored.
func (x *process) kill() {
	close(x.killed)
	x.cancel()
	time.Sleep(time.Minute)
	<-x.ended
}

// pass is one run of a real sealer. It stops before it reads the lake, before it asks the journal, and before it puts a seal.
type pass struct {
	pinflow.Objects
	journal
	lake, log, put chan struct{} // closed when it may go on
	over           chan struct{}
	putting        string // the name of the seal
	done           bool
	sealing        lake.Sealing
	err            error
}

func startPass(ctx context.Context, w *model.World, objects pinflow.Objects, now int8) (*pass, error) {
	x := &pass{Objects: objects, journal: journal{w}, lake: make(chan struct{}), log: make(chan struct{}), put: make(chan struct{}), over: make(chan struct{})}
	clock := time.UnixMilli(epoch + 1000*int64(now))
	s, err := lake.NewSealer(lake.SealerOptions{Objects: x, Journal: sealersJournal{x}, Topics: []string{model.Topic}, Grace: time.Duration(w.Config.Grace) * time.Second,
		Clock: func() time.Time { return clock }})
	if err != nil {
		return nil, err
	}
	go func() {
		x.sealing, x.err = s.Seal(ctx)
		x.done = true
	}()
	synctest.Wait()
	return x, nil
}

// wait waits until a gate is opened.
func (x *pass) wait(gate chan struct{}) error {
	select {
	case <-gate:
	case <-x.over:
		return errTold
	}
	select {
	case <-x.over:
		return errTold
	default:
		return nil
	}
}

// open lets the pass go on behind a gate, as far as it gets.
func (x *pass) open(gate chan struct{}) {
	close(gate)
	synctest.Wait()
}

// end ends the pass wherever it is.
func (x *pass) end() error {
	x.open(x.over)
	if !x.done {
		return fmt.Errorf("the sealer goes on")
	}
	return nil
}

// Get implements pinflow.Objects.
func (x *pass) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	if err := x.wait(x.lake); err != nil {
		return nil, err
	}
	return x.Objects.Get(ctx, name)
}

// List implements pinflow.Objects.
func (x *pass) List(ctx context.Context, prefix, delimiter string) iter.Seq2[pinflow.ObjectInfo, error] {
	if err := x.wait(x.lake); err != nil {
		return func(yield func(pinflow.ObjectInfo, error) bool) { yield(pinflow.ObjectInfo{}, err) }
	}
	return x.Objects.List(ctx, prefix, delimiter)
}

// PutIfAbsent implements pinflow.Objects. Only one seal is put.
func (x *pass) PutIfAbsent(ctx context.Context, name string, content []byte) (bool, error) {
	if x.putting != "" {
		return false, errTold
	}
	x.putting = name
	if err := x.wait(x.put); err != nil {
		return false, err
	}
	return x.Objects.PutIfAbsent(ctx, name, content)
}

// sealersJournal is the journal of a pass.
type sealersJournal struct{ *pass }

func (s sealersJournal) Topic(ctx context.Context, name string) (pinflow.Topic, error) {
	if err := s.wait(s.log); err != nil {
		return pinflow.Topic{}, err
	}
	return s.journal.Topic(ctx, name)
}

func (s sealersJournal) Read(ctx context.Context, tp pinflow.TopicPartition, offset int64, most int) ([]pinflow.Record, error) {
	if err := s.wait(s.log); err != nil {
		return nil, err
	}
	return s.journal.Read(ctx, tp, offset, most)
}
