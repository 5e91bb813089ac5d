package drive_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/lake"
	"github.com/pinflow/pinflow/lake/laketest"
	"github.com/pinflow/pinflow/refine/refinetest/model"
)

// lakeDriver lets real writers and sealers on a lake in memory go the way of a world.
type lakeDriver struct {
	ctx      context.Context
	w        *model.World
	memory   laketest.Memory
	writers  [model.Processes][model.MaxParts]*process
	passes   [model.Processes]*pass
	contents map[model.Flight][]byte // of what is on its way or was, by nobody
	damage   func(c *call)           // what a test does to what is put
}

// follow lets the real parts do what the world has done.
func (d *lakeDriver) follow(a model.Action, before *model.State, _ model.Told, done bool) error {
	if !done {
		return nil
	}
	switch a.Verb {
	case model.Resume:
		x, err := startWriter(d.ctx, d.w, &d.memory, a.Part)
		if err != nil {
			return err
		}
		d.writers[a.Who][a.Part] = x
	case model.Fetch:
		d.fetch(a)
	case model.Put:
		if err := d.put(a, before); err != nil {
			return err
		}
	case model.Land:
		if err := d.land(before.Flights[a.N], a.Lost, before); err != nil {
			return err
		}
	case model.Unwrite:
		d.writers[a.Who][a.Part].kill()
		d.writers[a.Who][a.Part] = nil
	case model.ReadClock, model.ReadLake, model.ReadLog, model.PutSeal:
		return d.seal(a, before)
	default:
		return nil
	}
	return d.compare()
}

// fetch gives a writer the record that the world's writer has taken.
func (d *lakeDriver) fetch(a model.Action) {
	offset := d.w.Writers[a.Who][a.Part].Next - 1
	r := journal{d.w}.record(a.Part, offset)
	d.writers[a.Who][a.Part].sub.runs <- []pinflow.Run{{TopicPartition: d.writers[a.Who][a.Part].sub.tp, Records: []pinflow.Record{r}, End: int64(d.w.Log[a.Part].End)}}
	synctest.Wait()
}

// put lets a writer put what it has, or put it again: it must be what the world's writer puts.
func (d *lakeDriver) put(a model.Action, before *model.State) error {
	x, o := d.writers[a.Who][a.Part], d.w.Writers[a.Who][a.Part].Put
	if before.Writers[a.Who][a.Part].Waiting {
		x.again()
	} else {
		x.flush()
	}
	if x.call == nil {
		return errors.New("the writer puts nothing")
	}
	if d.damage != nil {
		d.damage(x.call)
	}
	if want := d.name(a.Part, o); x.call.name != want {
		return fmt.Errorf("the writer puts %s, not %s", x.call.name, want)
	}
	d.contents[model.Flight{Object: o, Part: a.Part}] = x.call.content
	return nil
}

// name is that of an object in the lake.
func (d *lakeDriver) name(p int8, o model.Object) string {
	length := pinflow.PeriodLength(time.Duration(d.w.Config.Period) * time.Second)
	return fmt.Sprintf("raw/%s/period=%s/%05d-%020d.json.gz", model.Topic, length.Name(epoch+d.w.PeriodAt(o.Period)), p, o.Start)
}

// land stores what is on its way, and lets the writer hear of it if the world's does.
func (d *lakeDriver) land(f model.Flight, lost bool, before *model.State) error {
	created, err := d.memory.PutIfAbsent(d.ctx, d.name(f.Part, f.Object), d.contents[model.Flight{Object: f.Object, Part: f.Part}])
	if err != nil {
		return err
	}
	if want := d.w.Lake[f.Part].N > before.Lake[f.Part].N; created != want {
		return fmt.Errorf("it was created: %v, should be %v", created, want)
	}
	if lost || f.By == 0 {
		return nil
	}
	if x := before.Writers[f.By-1][f.Part]; x.Waiting && x.Put == f.Object {
		real := d.writers[f.By-1][f.Part]
		c := real.call
		real.call = nil
		c.answer <- created
		synctest.Wait()
	}
	return nil
}

// compare holds the writers' places and the names in the lake against the world's.
func (d *lakeDriver) compare() error {
	for who := range d.writers {
		for p, x := range d.writers[who] {
			m := d.w.Writers[who][p]
			if (x != nil) != m.Open {
				return fmt.Errorf("writer %d of partition %d is open: %v, should be %v", who, p, x != nil, m.Open)
			}
			if x == nil {
				continue
			}
			if x.sub.position != int64(m.Next) || (x.call != nil) != m.Waiting {
				return fmt.Errorf("writer %d of partition %d is at %d and puts: %v; it should be at %d: %v", who, p, x.sub.position, x.call != nil, m.Next, m.Waiting)
			}
		}
	}
	var got, want []string
	for o, err := range d.memory.List(d.ctx, "raw/", "") {
		if err != nil {
			return err
		}
		if strings.HasSuffix(o.Name, ".json.gz") {
			got = append(got, o.Name)
		}
	}
	for p := range d.w.Parts {
		for i := range d.w.Lake[p].N {
			want = append(want, d.name(p, d.w.Lake[p].Objects[i]))
		}
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		return fmt.Errorf("the lake has %q, should have %q", got, want)
	}
	return nil
}

// seal lets a sealer do its next step.
func (d *lakeDriver) seal(a model.Action, before *model.State) (err error) {
	x, s := d.passes[a.Who], d.w.Sealers[a.Who]
	switch a.Verb {
	case model.ReadClock:
		if err := d.endPass(a.Who); err != nil {
			return err
		}
		d.passes[a.Who], err = startPass(d.ctx, d.w, &d.memory, s.Now)
		return err
	case model.ReadLake:
		x.open(x.lake)
		if s.Step == model.SealIdle {
			return d.endPass(a.Who)
		}
	case model.ReadLog:
		x.open(x.log)
		if ready := x.putting != ""; ready != (s.Step == model.SealReady) {
			return fmt.Errorf("the sealer seals: %v, should: %v; %+v, %v", ready, !ready, x.sealing, x.err)
		}
		if x.putting == "" {
			return d.endPass(a.Who)
		}
	case model.PutSeal:
		x.open(x.put)
		if err := d.endPass(a.Who); err != nil {
			return err
		}
		return d.compareSeals(before.Sealers[a.Who].Period)
	}
	return nil
}

func (d *lakeDriver) endPass(who int8) error {
	x := d.passes[who]
	d.passes[who] = nil
	if x == nil {
		return nil
	}
	return x.end()
}

// compareSeals holds a seal against the world's.
func (d *lakeDriver) compareSeals(period int8) error {
	for s, err := range lake.NewRaw(&d.memory).Seals(d.ctx, model.Topic) {
		if err != nil {
			return err
		}
		if s.Period != epoch+d.w.PeriodAt(period) {
			continue
		}
		want := d.w.Seals[period]
		if len(s.Partitions) != int(want.Parts) {
			return fmt.Errorf("period %d is sealed for %d partitions, not %d", period, len(s.Partitions), want.Parts)
		}
		for p, got := range s.Partitions {
			if got.Start != int64(want.Start[p]) || got.End != int64(want.End[p]) {
				return fmt.Errorf("period %d is sealed as [%d,%d) of partition %d, not [%d,%d)", period, got.Start, got.End, p, want.Start[p], want.End[p])
			}
		}
		return nil
	}
	return fmt.Errorf("period %d is not sealed", period)
}

// checkContents holds all objects against the log, by laketest's own reader.
func (d *lakeDriver) checkContents() error {
	j := laketest.NewJournal(1, 0)
	j.Create(model.Topic, int(d.w.Parts))
	for p := range d.w.Parts {
		for o := range d.w.Log[p].End {
			if d.w.Log[p].Records[o].Kind == model.Gap {
				j.Skip(pinflow.TopicPartition{Topic: model.Topic, Partition: int32(p)})
			} else {
				j.Append(journal{d.w}.record(p, o))
			}
		}
	}
	return laketest.Check(d.ctx, j, &d.memory, model.Topic, time.Duration(d.w.Config.Period)*time.Second, true)
}

// followLake runs a schedule with real writers and sealers.
func followLake(t *testing.T, cfg model.Config, s model.Schedule, liveFirst bool, damage func(c *call)) (done model.Schedule, v *model.Violation) {
	synctest.Test(t, func(t *testing.T) {
		rules := model.Protocol()
		d := &lakeDriver{ctx: t.Context(), w: model.NewWorld(cfg, &rules), contents: map[model.Flight][]byte{}, damage: damage}
		d.w.Follow = d.follow
		done, v = d.w.Run(s, liveFirst)
		for who := range d.writers {
			for _, x := range d.writers[who] {
				if x != nil {
					x.kill()
				}
			}
			if err := d.endPass(int8(who)); err != nil {
				t.Error(err)
			}
		}
		if v == nil {
			if err := d.checkContents(); err != nil {
				v = &model.Violation{Invariant: "I1", Text: err.Error()}
			}
		}
	})
	return done, v
}

// lakeWorld is the world of a seed without what a lake's driver does not do.
func lakeWorld(seed uint64) model.Config {
	worlds := model.Worlds()
	c := worlds[seed%uint64(len(worlds))]
	c.Retain, c.Grow = false, false
	return c
}

// Real writers and sealers put what the model's do, step by step.
func TestLake(t *testing.T) {
	steps := 0
	seeds(t, 100, func(seed uint64) *model.Failure {
		cfg := lakeWorld(seed)
		s, liveFirst := model.Random(seed, cfg, model.Writing(), 300), seed%2 == 1
		done, v := followLake(t, cfg, s, liveFirst, nil)
		steps += len(done)
		if v == nil {
			return nil
		}
		short := model.Shrink(s, func(s model.Schedule) bool {
			_, found := followLake(t, cfg, s, liveFirst, nil)
			return found != nil && found.Invariant == v.Invariant
		})
		done, v = followLake(t, cfg, short, liveFirst, nil)
		return &model.Failure{Seed: seed, Config: cfg, Schedule: done, Violation: v}
	})
	t.Logf("%d steps", steps)
}

// A lake with a line twice, or with an object elsewhere, is found out.
func TestFindsWrongLakes(t *testing.T) {
	for name, damage := range map[string]func(c *call){
		"a line twice": func(c *call) { c.content = append(slices.Clone(c.content), c.content...) },
		"elsewhere":    func(c *call) { c.name = strings.Replace(c.name, "/00000-", "/00001-", 1) },
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(20) {
				cfg := lakeWorld(0)
				if _, v := followLake(t, cfg, model.Random(seed, cfg, model.Writing(), 300), true, damage); v != nil {
					return
				}
			}
			t.Error("nobody notices")
		})
	}
}
