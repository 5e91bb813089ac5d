package journaltest

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pinflow/pinflow"
)

// crew is members in processes of their own, and the store that fences what they take.
type crew struct {
	t     *T
	topic string
	group string

	mu      sync.Mutex
	next    map[pinflow.TopicPartition]int64 // how far the store is
	members []*mate
	haunted map[pinflow.TopicPartition]bool // the last who took of it had been away
	fenced  int                             // how often somebody took what another had taken
}

// mate is a member of a crew.
type mate struct {
	*crew
	name   string
	cmd    *exec.Cmd
	ended  chan struct{}
	stdin  io.WriteCloser
	output io.ReadCloser

	// What it believes, as far as it has been heard.
	owned  map[pinflow.TopicPartition]bool
	absent bool // killed or paused: others may have what it believes to own
	lost   bool // was told that its partitions are gone
	closed bool
}

func (t *T) crew(topic string) *crew {
	if t.Brokers == "" {
		t.Skip("this environment does not tell where its broker is")
	}
	c := &crew{t: t, topic: topic, group: "crew-" + topic, next: map[pinflow.TopicPartition]int64{}, haunted: map[pinflow.TopicPartition]bool{}}
	t.Cleanup(func() {
		for _, m := range c.members {
			_ = m.cmd.Process.Kill()
			<-m.ended
		}
	})
	return c
}

// join starts a member.
func (c *crew) join(name string) *mate {
	c.t.Helper()
	text, err := json.Marshal(memberConfig{Brokers: c.t.Brokers, Group: c.group, Topic: c.topic})
	if err != nil {
		c.t.Fatal(err)
	}
	m := &mate{crew: c, name: name, cmd: exec.Command(os.Args[0]), ended: make(chan struct{}), owned: map[pinflow.TopicPartition]bool{}}
	m.cmd.Env = append(os.Environ(), memberEnv+"="+string(text))
	m.cmd.Stderr = os.Stderr
	if m.stdin, err = m.cmd.StdinPipe(); err == nil {
		if m.output, err = m.cmd.StdoutPipe(); err == nil {
			err = m.cmd.Start()
		}
	}
	if err != nil {
		c.t.Fatal(err)
	}
	c.mu.Lock()
	c.members = append(c.members, m)
	c.mu.Unlock()
	go m.listen()
	return m
}

// listen answers a member until it ends.
func (m *mate) listen() {
	defer close(m.ended)
	in, out := json.NewDecoder(m.output), json.NewEncoder(m.stdin)
	for {
		var said message
		if in.Decode(&said) != nil {
			break
		}
		if out.Encode(m.hear(said)) != nil {
			break
		}
	}
	_ = m.cmd.Wait() // it may have been killed
}

// hear notes what a member says, and finds what must not be.
func (m *mate) hear(said message) (a answer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch said.What {
	case "assigned":
		for _, tp := range said.Partitions {
			for _, other := range m.members {
				if other.owned[tp] && !other.absent {
					m.t.Errorf("%s was given to %s, while %s has it", tp, m.name, other.name)
				}
			}
			m.owned[tp] = true
			a.Offsets = append(a.Offsets, m.next[tp])
		}
	case "revoked", "lost":
		m.lost = m.lost || said.What == "lost"
		for _, tp := range said.Partitions {
			if !m.owned[tp] {
				m.t.Errorf("%s was taken from %s, which did not have it", tp, m.name)
			}
			delete(m.owned, tp)
		}
	case "took":
		tp := said.Partitions[0]
		if !m.owned[tp] {
			m.t.Errorf("%s was given records of %s at %d after it was taken from it", m.name, tp, said.Start)
		}
		if a.Taken = said.Start == m.next[tp]; a.Taken {
			m.next[tp], m.haunted[tp] = said.End, m.absent
		} else if m.fenced++; !m.absent && !m.haunted[tp] { // one that comes back may be faster once
			m.t.Errorf("%s took %s at %d, which another had taken to %d, though neither was ever away", m.name, tp, said.Start, m.next[tp])
		}
		a.Offsets = []int64{m.next[tp]}
	case "closed":
		m.closed = true
		if len(m.owned) > 0 {
			m.t.Errorf("%s has left, and %d partitions were not taken from it", m.name, len(m.owned))
		}
	}
	return a
}

// has tells how many partitions a member has.
func (m *mate) has() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.owned)
}

// gone marks a member as one that others may take over from.
func (m *mate) gone(is bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.absent = is
}

// hasLost tells whether a member knows that what it had is others' by now.
func (m *mate) hasLost() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.lost && !m.overlaps()
}

func (m *mate) hasLeft() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.closed
}

// overlaps tells whether a member believes to own what another owns. The caller holds mu.
func (m *mate) overlaps() bool {
	for tp := range m.owned {
		for _, other := range m.members {
			if other != m && !other.absent && other.owned[tp] {
				return true
			}
		}
	}
	return false
}

// covered tells whether each of n partitions belongs to one member that is there.
func (c *crew) covered(n int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	owners := map[pinflow.TopicPartition]int{}
	for _, m := range c.members {
		if !m.absent {
			for tp := range m.owned {
				owners[tp]++
			}
		}
	}
	return len(owners) == n
}

// fair tells whether the partitions are spread over the members that are there.
func (c *crew) fair(n int) bool {
	if !c.covered(n) {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	least, most := n, 0
	for _, m := range c.members {
		if !m.absent && !m.closed {
			least, most = min(least, len(m.owned)), max(most, len(m.owned))
		}
	}
	return most-least <= 1
}

// reached tells whether the store has all up to the given ends.
func (c *crew) reached(ends []int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for p, end := range ends {
		if c.next[pinflow.TopicPartition{Topic: c.topic, Partition: int32(p)}] < end {
			return false
		}
	}
	return true
}

// state describes who has what.
func (c *crew) state() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []string
	for _, m := range c.members {
		var list []int32
		for tp := range m.owned {
			list = append(list, tp.Partition)
		}
		slices.Sort(list)
		all = append(all, fmt.Sprintf("%s %v", m.name, list))
	}
	return strings.Join(all, ", ")
}

// within waits until f is true, and returns how long that took.
func (c *crew) within(limit time.Duration, what string, f func() bool) time.Duration {
	c.t.Helper()
	start := time.Now()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	pace := time.NewTicker(20 * time.Millisecond)
	defer pace.Stop()
	for !f() {
		select {
		case <-pace.C:
		case <-timer.C:
			c.t.Fatalf("waited %s until %s; %s", limit, what, c.state())
		}
	}
	return time.Since(start)
}
