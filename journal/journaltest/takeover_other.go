//go:build !unix

package journaltest

func testTakeover(t *T) { t.Skip("processes cannot be paused here") }
