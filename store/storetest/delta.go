package storetest

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/pinflow/pinflow"
)

// maker makes random deltas that follow one another in each partition.
type maker struct {
	r       *rand.Rand
	plan    *pinflow.Plan
	native  func(t testing.TB, columns []pinflow.Column, rows [][]any) pinflow.Relation
	at      map[int32]pinflow.Progress
	periods int
}

func newMaker(env Env, p *pinflow.Plan, seed uint64) *maker {
	return &maker{r: rand.New(rand.NewPCG(seed, 7)), plan: p, native: env.Native, at: map[int32]pinflow.Progress{}, periods: 3}
}

const topic = "orders"

func partition(p int32) pinflow.TopicPartition {
	return pinflow.TopicPartition{Topic: topic, Partition: p}
}

// made is a delta with the rows that it adds to each table.
type made struct {
	pinflow.Delta
	rows map[string][][]any
}

// delta makes one for some partitions, with up to size records in each.
func (m *maker) delta(t testing.TB, size int, partitions ...int32) made {
	d := made{Delta: pinflow.Delta{Generation: m.plan.Generation, Close: func() {}}, rows: map[string][][]any{}}
	for _, p := range partitions {
		from := m.at[p]
		to := pinflow.Progress{NextOffset: from.NextOffset + int64(m.r.IntN(size+1)), Period: from.Period}
		if m.r.IntN(4) == 0 {
			to.Period = max(0, to.Period+pinflow.Period(m.r.IntN(2)))
		}
		d.Advances = append(d.Advances, pinflow.Advance{TopicPartition: partition(p), Start: from.NextOffset, End: to.NextOffset, Period: to.Period})
		for offset := from.NextOffset; offset < to.NextOffset; offset++ {
			m.record(d.rows, p, offset, int64(to.Period))
		}
		m.at[p] = to
	}
	for _, table := range m.plan.Tables {
		if len(d.rows[table.Name]) == 0 {
			continue
		}
		d.Added = append(d.Added, pinflow.Addition{Table: table.Name, Rows: m.relation(t, table.Name, d.rows[table.Name])})
	}
	return d
}

func (m *maker) relation(t testing.TB, table string, all [][]any) pinflow.Relation {
	if m.native != nil && m.r.IntN(2) == 0 {
		return m.native(t, columnsOf(m.plan, table), all)
	}
	return rows(all)
}

// record adds what one record gives to the tables.
func (m *maker) record(to map[string][][]any, p int32, offset, period int64) {
	add := func(table string, row ...any) { to[table] = append(to[table], row) }
	add("totals", period, p, int64(1))
	if m.r.IntN(20) == 0 {
		add("rejects", "things", topic, p, offset, period, day(3).Add(time.Duration(offset)*time.Millisecond), "no number", []byte{0, 1, 0xff, byte(offset)})
		return
	}
	add("sales", period, p, m.word(4), m.maybe(int64(m.r.IntN(3))), m.maybe(day(m.r.IntN(2))), m.maybe(m.time(2)), m.maybe(m.r.IntN(2) == 0),
		int64(1), m.maybe(m.big()), m.maybe(m.cents()), m.maybe(m.r.Int64N(1000)-500), m.maybe(m.big()), m.maybe(m.time(1000)), m.maybe(m.time(1000)),
		m.word(100), m.maybe(float64(m.r.IntN(1000))/8), m.maybe(m.r.IntN(2) == 0), m.maybe(day(m.r.IntN(1000))), m.maybe(fmt.Sprintf("%d.%04d", m.r.IntN(100000), m.r.IntN(10000))))
	add("people", period, p, m.maybe(m.time(3)), m.word(30))
	add("things", period, topic, offset*1000, int32(m.r.IntN(100)), m.word(1000), m.tags(), m.maybe([]byte{0, byte(offset), 0xfe}), m.maybe(fmt.Sprintf("-%d.%010d", m.r.IntN(1e9), m.r.IntN(1e9))),
		m.maybe(float64(m.r.IntN(1000))/8), m.maybe(m.time(1000)), m.maybe(day(m.r.IntN(1000))), m.maybe(m.big()), m.maybe(true), p, offset)
}

func (m *maker) maybe(v any) any {
	if m.r.IntN(6) == 0 {
		return nil
	}
	return v
}

func (m *maker) word(n int) any {
	return m.maybe([]string{"", "a", "é", "日本", "🙂", "it's", `"q"`, "z;--"}[m.r.IntN(8)] + fmt.Sprint(m.r.IntN(n)))
}

func (m *maker) tags() any {
	tags := make([]any, m.r.IntN(3))
	for i := range tags {
		tags[i] = m.word(5)
	}
	return m.maybe(tags)
}

func (m *maker) big() *big.Int {
	n := new(big.Int).Lsh(big.NewInt(m.r.Int64()), uint(m.r.IntN(50)))
	if m.r.IntN(2) == 0 {
		n.Neg(n)
	}
	return n
}

func (m *maker) cents() string {
	sign := []string{"", "-"}[m.r.IntN(2)]
	return fmt.Sprintf("%s%d%018d.%02d", sign, m.r.Int64N(1e12), m.r.Int64N(1e18), m.r.IntN(100))
}

func (m *maker) time(n int) time.Time {
	return day(0).Add(time.Duration(m.r.IntN(n)) * 17 * time.Minute)
}

func day(n int) time.Time { return time.Date(2026, 11, 22+n, 0, 0, 0, 0, time.UTC) }
