package model_test

import (
	"os"
	"reflect"
	"strconv"
	"testing"

	"github.com/pinflow/pinflow/refine/refinetest/model"
)

// length is how many actions a schedule has.
const length = 300

// seeds calls f with each seed: as many as PINFLOW_SEEDS says, or only PINFLOW_SEED.
func seeds(t *testing.T, usual int, f func(seed uint64) *model.Failure) {
	number := func(name string) (uint64, bool) {
		text := os.Getenv(name)
		if text == "" {
			return 0, false
		}
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return n, true
	}
	from, to := uint64(0), uint64(usual)
	if n, ok := number("PINFLOW_SEEDS"); ok {
		to = n
	}
	if n, ok := number("PINFLOW_SEED"); ok {
		from, to = n, n+1
	}
	for seed := from; seed < to; seed++ {
		if failure := f(seed); failure != nil {
			t.Fatalf("%v\nonce more: PINFLOW_SEED=%d go test ./refine/refinetest/model -run '^%s$'", failure, seed, t.Name())
		}
	}
}

func pick(worlds []model.Config, seed uint64) model.Config { return worlds[seed%uint64(len(worlds))] }

func TestSchedules(t *testing.T) {
	t.Parallel()
	rules := model.Protocol()
	var c model.Campaign
	seeds(t, 2000, func(seed uint64) *model.Failure { return c.Try(seed, pick(model.Worlds(), seed), &rules, length) })
	t.Logf("%+v", c)
}

// The broker's clock steps back by more than the grace: differences are told, and nothing lasts.
func TestBeyondTheGrace(t *testing.T) {
	t.Parallel()
	rules := model.Protocol()
	var c model.Campaign
	seeds(t, 6000, func(seed uint64) *model.Failure {
		return c.Try(seed, pick(model.BeyondWorlds(), seed), &rules, length-int(seed%2)*180)
	})
	if c.Seeds >= 6000 && c.Differences < 50 {
		t.Errorf("only %d differences were told: the world is too quiet", c.Differences)
	}
	t.Logf("%+v", c)
}

func TestSmallWorlds(t *testing.T) {
	for _, s := range model.SmallWorlds() {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			rules := model.Protocol()
			e := model.Explore(s, &rules, 200_000)
			if e.Violation != nil || !e.All {
				t.Errorf("all interleavings: %v; %v\n%s", e.All, e.Violation, e.Trace)
			}
			t.Logf("%d states, %d steps, %d deep", e.States, e.Steps, e.Depth)
		})
	}
}

// What is wrong is found in the small worlds too, in the shortest way.
func TestSmallWorldsFindMutants(t *testing.T) {
	for world, names := range map[string][]string{
		"lake": {"period", "writer floor", "name", "resume", "exists"}, "sealing": {"grace", "period's end", "quiet", "later object"},
		"store": {"order", "rows"}, "store, one partition": {"fence", "install blind", "guard", "newer rows", "older rows", "zeros", "multiset"},
		"generations": {"switch", "behind", "path", "progress"},
	} {
		for _, s := range model.SmallWorlds() {
			if s.Name != world {
				continue
			}
			for _, m := range model.Mutants() {
				for _, name := range names {
					if m.Name != name {
						continue
					}
					t.Run(world+"/"+name, func(t *testing.T) {
						t.Parallel()
						rules := model.Protocol()
						m.Off(&rules)
						e := model.Explore(s, &rules, 200_000)
						if e.Violation == nil {
							t.Fatalf("%q is off, and nobody notices in %d states", m.Rule, e.States)
						}
						t.Logf("%d states, %d actions: %s", e.States, len(e.Trace), e.Violation)
					})
				}
			}
		}
	}
}

func TestMutants(t *testing.T) {
	for _, m := range model.Mutants() {
		t.Run(m.Name, func(t *testing.T) {
			t.Parallel()
			rules := model.Protocol()
			m.Off(&rules)
			var c model.Campaign
			for seed := range uint64(40_000) {
				if f := c.Try(seed, m.World, &rules, length); f != nil {
					t.Logf("seed %d, %d actions: %s", seed, len(f.Schedule), f.Violation)
					return
				}
			}
			t.Errorf("%q is off, and nobody notices", m.Rule)
		})
	}
}

// A generation that takes over gets there although there is always more to count, because the current one waits for it.
func TestHold(t *testing.T) {
	takesOver := func(rules model.Rules) bool {
		c := model.Usual()
		c.Keys = 1
		w := model.NewWorld(c, &rules)
		do := func(actions ...model.Action) {
			for _, a := range actions {
				if _, v := w.Step(a); v != nil {
					t.Fatal(v)
				}
			}
		}
		count := func(gen int8) {
			for _, v := range []model.Verb{model.Claim, model.Read, model.Commit, model.Unlive} {
				do(model.Action{Verb: v, Gen: gen, N: 1})
			}
		}
		post := model.Action{Verb: model.Post}
		do(post, post)
		count(0)
		count(0)
		do(model.Action{Verb: model.Create}, model.Action{Verb: model.Hold})
		for range 6 {
			do(post)
			count(0)
			count(1)
			do(model.Action{Verb: model.Switch})
		}
		return w.Current == 1
	}
	rules := model.Protocol()
	if !takesOver(rules) {
		t.Error("the current generation does not wait for the other one")
	}
	rules.Held = func(int64, int64) bool { return false }
	if takesOver(rules) {
		t.Error("nothing depends on the hold: this test tells nothing")
	}
}

// A State's hash is the hash of its bytes, and worlds are copied by assignment: it has neither pointers nor anything wider than a byte.
func TestStateIsFlat(t *testing.T) {
	var flat func(typ reflect.Type, path string)
	flat = func(typ reflect.Type, path string) {
		switch typ.Kind() {
		case reflect.Struct:
			for i := range typ.NumField() {
				flat(typ.Field(i).Type, path+"."+typ.Field(i).Name)
			}
		case reflect.Array:
			flat(typ.Elem(), path+"[]")
		case reflect.Bool, reflect.Int8:
		default:
			t.Errorf("%s is a %s", path, typ)
		}
	}
	flat(reflect.TypeFor[model.State](), "State")
	if size := reflect.TypeFor[model.State]().Size(); size > 8192 {
		t.Errorf("a state takes %d bytes", size)
	}
}

func TestShrink(t *testing.T) {
	var s model.Schedule
	for i := range int8(100) {
		s = append(s, model.Action{Verb: model.Tick, N: i})
	}
	has := func(s model.Schedule, n int8) bool {
		for _, a := range s {
			if a.N == n {
				return true
			}
		}
		return false
	}
	short := model.Shrink(s, func(s model.Schedule) bool { return has(s, 3) && has(s, 71) })
	if len(short) != 2 || short[0].N != 3 || short[1].N != 71 {
		t.Errorf("shrunk to\n%s", short)
	}
}

func BenchmarkSteps(b *testing.B) {
	rules := model.Protocol()
	steps := 0
	for seed := uint64(0); b.Loop(); seed++ {
		w := model.NewWorld(model.Usual(), &rules)
		if _, v := w.Run(model.Random(seed, w.Config, model.Anything(), length), false); v != nil {
			b.Fatal(v)
		}
		steps += w.Told.Steps
	}
	b.ReportMetric(float64(steps)/b.Elapsed().Seconds(), "steps/s")
}
