package web

import (
	"sync"
	"time"
)

// How speed is measured.
const (
	samplePace  = time.Second
	sampleCount = 121             // two minutes
	rateWindow  = 5 * time.Second // over which a rate is an average
)

// sample is how far things were at one time: sums over all partitions.
type sample struct {
	at      time.Time
	counted int64 // next offsets
	end     int64 // of the journal; -1 if not known
}

// meter remembers the last samples.
type meter struct {
	mu      sync.Mutex
	samples []sample
}

func (m *meter) add(s sample) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.samples) == sampleCount {
		m.samples = append(m.samples[:0], m.samples[1:]...)
	}
	m.samples = append(m.samples, s)
}

// speed is what samples tell together.
type speed struct {
	posted, counted float64   // records per second
	history         []float64 // records posted per second between samples, the oldest first
	delay           time.Duration
}

// speed compares now with the samples before.
func (m *meter) speed(now sample) speed {
	m.mu.Lock()
	defer m.mu.Unlock()
	sp := speed{history: []float64{}}
	for i := 1; i < len(m.samples); i++ {
		posted, _ := rates(m.samples[i-1], m.samples[i])
		sp.history = append(sp.history, posted)
	}
	for _, s := range m.samples {
		if now.at.Sub(s.at) <= rateWindow && s.at.Before(now.at) {
			sp.posted, sp.counted = rates(s, now)
			break
		}
	}
	for _, s := range m.samples {
		if s.end > now.counted {
			sp.delay = now.at.Sub(s.at)
			break
		}
	}
	return sp
}

// rates are records per second from a to b. What is posted is known from the journal's end, or else
// from what is counted. A definition change may set positions back, which is no negative speed.
func rates(a, b sample) (posted, counted float64) {
	seconds := b.at.Sub(a.at).Seconds()
	if seconds <= 0 {
		return 0, 0
	}
	counted = round(float64(max(0, b.counted-a.counted)) / seconds)
	if a.end < 0 || b.end < 0 {
		return counted, counted
	}
	return round(float64(max(0, b.end-a.end)) / seconds), counted
}

func round(f float64) float64 { return float64(int64(f*10+0.5)) / 10 }
