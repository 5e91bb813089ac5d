package model_test

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/pinflow/pinflow/refine/refinetest/model"
)

func seeds(t *testing.T, usual int) (from, to uint64) {
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
	if one, ok := number("PINFLOW_SEED"); ok {
		return one, one + 1
	}
	if n, ok := number("PINFLOW_SEEDS"); ok {
		return 0, n
	}
	return 0, uint64(usual)
}

func TestX(t *testing.T) {
	rules := model.Protocol()
	from, to := seeds(t, 2000)
	var c model.Campaign
	start := time.Now()
	for s := from; s < to; s++ {
		if f := c.Try(s, model.Usual(), &rules, 300); f != nil {
			t.Fatal(f)
		}
	}
	fmt.Printf("%+v %v\n", c, time.Since(start))
}

func TestBeyond(t *testing.T) {
	rules := model.Protocol()
	from, to := seeds(t, 2000)
	for _, length := range []int{120, 300} {
		for _, cfg := range beyonds() {
			var c model.Campaign
			for s := from; s < to; s++ {
				if f := c.Try(s, cfg, &rules, length); f != nil {
					t.Error(f)
					break
				}
			}
			fmt.Printf("%+v %+v\n", c, cfg)
		}
	}
}

func beyonds() []model.Config {
	a := model.Beyond()
	b := a
	b.Parts, b.Keys, b.Period, b.Gens, b.Posts = 1, 1, 1, 1, 6
	b.Gaps, b.Bad, b.Misroute, b.Retain = false, false, false, false
	c := a
	c.Grace, c.Gens = 1, 1
	return []model.Config{a, b, c}
}

func TestMutants(t *testing.T) {
	from, to := seeds(t, 20000)
	for _, m := range model.Mutants() {
		rules := model.Protocol()
		m.Off(&rules)
		var c model.Campaign
		var f *model.Failure
		for s := from; s < to && f == nil; s++ {
			f = c.Try(s, m.World, &rules, 300)
		}
		if f == nil {
			t.Errorf("%s: NOT CAUGHT", m.Name)
			continue
		}
		t.Logf("%-18s seed %5d, %2d actions: %.150s", m.Name, f.Seed, len(f.Schedule), f.Violation)
	}
}
