package s3

import (
	"context"
	"testing"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/lake/laketest"
)

func TestObjects(t *testing.T) { laketest.Objects(t, open) }

func reopen(url string) (pinflow.Objects, error) {
	return Open(context.Background(), Options{URL: url})
}

func TestProcesses(t *testing.T) { laketest.Processes(t, open, reopen) }

func TestKilled(t *testing.T) { laketest.Killed(t, open, reopen) }

func TestWriter(t *testing.T) { laketest.Writer(t, open) }

// TestObjectsInParts uploads most objects in parts (the smallest whole: while it replaces an object by one in parts, the server that is tested here lists a file of its own),
// and lists them in many small pages.
func TestObjectsInParts(t *testing.T) {
	laketest.Objects(t, func(t testing.TB) pinflow.Objects {
		b := open(t).(*Bucket)
		if !b.partsKeep {
			t.Fatal("the server was not found to have conditional writes of objects in parts")
		}
		b.largest, b.partSize, b.pageSize = 200_000, 5<<20, 3
		return b
	})
}
