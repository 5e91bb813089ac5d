// Package audit is the proof: it holds what journal, lake, derived files and store say of the same records beside one
// another. It changes nothing.
//
// A run reads the store's counts and positions in one snapshot, and looks at everything up to there, so that what arrives meanwhile is no
// difference. In the order of the flow, which is that of the files:
//
//	walk.go     journal and lake: each partition's objects tile its offsets and hold the journal's records; seals tell what is there
//	counts.go   records in the lake = accepted + rejected in the manifests and in the store
//	derived.go  manifests name files that are as they were written
//	store.go    the store's rows of installed periods are those of the derived files
//	deep.go     all of this computed anew from the lake's records, period after period
//	tail.go     and what is not installed yet, from lake and journal
package audit
