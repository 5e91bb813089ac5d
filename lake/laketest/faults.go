package laketest

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/pinflow/pinflow"
)

// Faults lets several workers use a place that fails now and then, and holds what they see to what a place of objects promises: of those who put an object of one name at most
// one has created it, it stays what it was, whole, and is found and listed by all who come after. seen is the same place, without faults, and settled
// waits until all that was sent to it has arrived. An error is Unavailable. Chances are those of seed.
func Faults(t *testing.T, seed uint64, used, seen pinflow.Objects, settled func()) {
	f := &faultCheck{t: t, used: used, names: map[string]*faultName{}, sizes: map[string]int{}}
	const workers, steps = 4, 30
	var all sync.WaitGroup
	for w := range workers {
		random := rand.New(rand.NewPCG(seed, uint64(w)))
		all.Go(func() {
			for range steps {
				f.step(random)
			}
		})
	}
	all.Wait()
	settled()
	f.used = seen
	for name, n := range f.names {
		f.get(name)
		if n.known == "" && n.there {
			t.Errorf("%s was there and cannot be read", name)
		}
	}
	f.list()
	t.Logf("created %d, found there %d, read %d, listed %d, replaced %d, failed %d", f.done[0], f.done[1], f.done[2], f.done[3], f.done[4], f.failed)
	for i, n := range f.done {
		if n == 0 {
			t.Errorf("of the kinds of step, number %d never came to an end", i)
		}
	}
}

// faultCheck is what is known of the objects.
type faultCheck struct {
	t    *testing.T
	used pinflow.Objects

	mu     sync.Mutex
	names  map[string]*faultName
	sizes  map[string]int // by content's stamp
	next   int
	done   [5]int // steps of each kind that were not in vain
	failed int
}

// faultName is an object's name.
type faultName struct {
	replaced bool            // it is one that is replaced, not put
	offered  map[string]bool // stamps of the contents with which it was put
	there    bool            // somebody knows that the object is there
	known    string          // the stamp of what it holds, once that is known
	created  bool
}

func (f *faultCheck) step(random *rand.Rand) {
	name := fmt.Sprintf("faults/%d/put-%d", random.IntN(3), random.IntN(8))
	switch random.IntN(6) {
	case 0, 1:
		f.put(name, f.draft(random, name, false))
	case 2, 3:
		f.get(name)
	case 4:
		f.list()
	default:
		name = fmt.Sprintf("manifests/%d", random.IntN(2))
		content := f.draft(random, name, true)
		if f.passed("replace", name, f.used.Replace(f.t.Context(), name, content)) {
			f.count(4)
			f.get(name)
		}
	}
}

// draft makes content that is offered for a name.
func (f *faultCheck) draft(random *rand.Rand, name string, replaced bool) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next++
	content := stamped(f.next, 1+random.IntN(1+random.IntN(100_000)))
	n := f.nameOf(name)
	n.replaced = replaced
	n.offered[string(content[:8])] = true
	f.sizes[string(content[:8])] = len(content) / 8
	return content
}

// nameOf returns what is known of a name. Who calls holds mu.
func (f *faultCheck) nameOf(name string) *faultName {
	n := f.names[name]
	if n == nil {
		n = &faultName{offered: map[string]bool{}}
		f.names[name] = n
	}
	return n
}

// passed tells whether something was done; if not, the error must say that it can be tried again.
func (f *faultCheck) passed(what, name string, err error) bool {
	if err == nil {
		return true
	}
	if pinflow.KindOf(err) != pinflow.Unavailable {
		f.t.Errorf("%s %s: %v, which is not of the kind unavailable", what, name, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failed++
	return false
}

func (f *faultCheck) count(kind int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.done[kind]++
}

func (f *faultCheck) put(name string, content []byte) {
	stamp := string(content[:8])
	created, err := f.used.PutIfAbsent(f.t.Context(), name, content)
	clear(content) // it is the caller's again
	if !f.passed("put", name, err) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.nameOf(name)
	n.there = true
	if !created {
		f.done[1]++
		return
	}
	f.done[0]++
	if n.created || n.known != "" && n.known != stamp {
		f.t.Errorf("%s was created as %s, but was there as %q (created before: %v)", name, stamp, n.known, n.created)
	}
	n.created, n.known = true, stamp
}

func (f *faultCheck) get(name string) {
	f.mu.Lock()
	there := f.nameOf(name).there
	f.mu.Unlock()
	r, err := f.used.Get(f.t.Context(), name)
	if pinflow.KindOf(err) == pinflow.NotFound && err != nil {
		if there {
			f.t.Errorf("%s was there, and is not found", name)
		}
		return
	}
	if !f.passed("get", name, err) {
		return
	}
	defer r.Close()
	content, err := io.ReadAll(r)
	if !f.passed("read", name, err) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.done[2]++
	n := f.nameOf(name)
	if len(content) < 8 || !bytes.Equal(content, bytes.Repeat(content[:8], f.sizes[string(content[:8])])) || !n.offered[string(content[:8])] {
		f.t.Errorf("%s holds %d bytes that nobody put there", name, len(content))
		return
	}
	if stamp := string(content[:8]); !n.replaced {
		if n.known != "" && n.known != stamp {
			f.t.Errorf("%s held %s, and now %s", name, n.known, stamp)
		}
		n.known, n.there = stamp, true
	}
}

func (f *faultCheck) list() {
	f.mu.Lock()
	due := map[string]bool{}
	for name, n := range f.names {
		if n.there && !n.replaced {
			due[name] = true
		}
	}
	f.mu.Unlock()
	last := ""
	for info, err := range f.used.List(f.t.Context(), "faults/", "") {
		if !f.passed("list", "faults/", err) {
			return
		}
		if info.Name <= last {
			f.t.Errorf("%s is listed behind %s", info.Name, last)
		}
		last = info.Name
		delete(due, info.Name)
		f.mu.Lock()
		if n := f.nameOf(info.Name); n.known != "" && info.Size != int64(8*f.sizes[n.known]) {
			f.t.Errorf("%s is listed with %d bytes, not %d", info.Name, info.Size, 8*f.sizes[n.known])
		}
		f.mu.Unlock()
	}
	if len(due) > 0 {
		f.t.Errorf("there, and not listed: %v", due)
	}
	f.count(3)
}
