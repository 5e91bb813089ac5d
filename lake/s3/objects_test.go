package s3

import (
	"context"
	"testing"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/lake/laketest"
)

func TestObjects(t *testing.T) { laketest.Objects(t, openTidy) }

func reopen(url string) (pinflow.Objects, error) {
	b, err := Open(context.Background(), Options{URL: url})
	return tidy{b}, err
}

func TestProcesses(t *testing.T) { laketest.Processes(t, openTidy, reopen) }

func TestKilled(t *testing.T) { laketest.Killed(t, openTidy, reopen) }

func TestWriter(t *testing.T) { laketest.Writer(t, openTidy) }

// TestObjectsInParts uploads nearly all objects in parts, and lists them in many small pages.
func TestObjectsInParts(t *testing.T) {
	laketest.Objects(t, func(t testing.TB) pinflow.Objects {
		b := open(t)
		if !b.partsKeep {
			t.Fatal("the server was not found to have conditional writes of objects in parts")
		}
		b.largest, b.partSize, b.pageSize = 100, 5<<20, 3
		return tidy{b}
	})
}
