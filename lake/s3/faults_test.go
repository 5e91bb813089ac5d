package s3

import (
	"testing"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/lake/laketest"
)

// faulty opens an empty place twice: through a proxy that lets a share of requests go wrong, and past it.
func faulty(t testing.TB, seed uint64, share float64) (used, seen *Bucket, p *proxy) {
	endpoint := server(t)
	bucket := newBucket(t, endpoint)
	p = newProxy(t, endpoint, nil)
	o := impatient(urlOf(bucket+"/lake", p.URL))
	used, seen = opened(t, o), opened(t, impatient(urlOf(bucket+"/lake", endpoint)))
	o.Timeout = 250 * time.Millisecond // from now on: nothing goes wrong by intent while it is opened
	c, err := loadConfig(t.Context(), &used.place, &o)
	must(t, err)
	used.close()
	used.client, used.close = newClient(c, &used.place, used.meters)
	used.largest, used.partSize = 1000, 5<<20 // most objects go in parts
	p.change(byChance(seed, share))
	return used, seen, p
}

func TestFaults(t *testing.T) {
	for seed, share := range []float64{0.25, 0.5} {
		used, seen, p := faulty(t, uint64(seed), share)
		laketest.Faults(t, uint64(seed), used, seen, p.settle)
	}
}

func TestWriterThroughFaults(t *testing.T) {
	laketest.WriterOn(t, func(t testing.TB) (pinflow.Objects, pinflow.Objects) {
		used, seen, _ := faulty(t, 1, 0.15)
		return used, seen
	})
}

func TestSealer(t *testing.T) { laketest.Sealer(t, openTidy) }

func TestSealerThroughFaults(t *testing.T) {
	laketest.Sealer(t, func(t testing.TB) pinflow.Objects {
		used, _, _ := faulty(t, 2, 0.15)
		return tidy{used}
	})
}

func TestDerived(t *testing.T) { laketest.Derived(t, openTidy) }

func TestDerivedThroughFaults(t *testing.T) {
	laketest.Derived(t, func(t testing.TB) pinflow.Objects {
		used, _, _ := faulty(t, 3, 0.25)
		return tidy{used}
	})
}
