// Package lake keeps a journal for ever, as immutable objects of gzip NDJSON (docs/FORMAT.md).
//
//	name.go    what an object is called
//	topic.go   _topic.json: what all processes that use a topic's part of the lake agree on
//	grow.go    partitions that are added to a topic
//	read.go    objects and their lines
//	extent.go  what an object holds, without unpacking it
//	tail.go    where a partition ends: the only place from which a writer resumes
//	tiles.go   the check that objects tile the offsets
//	writer.go  the writer: what it needs, starts with and tells
//	session.go poll, take, flush what is due, until all is over
//	group.go   partitions come and go
//	fill.go    a record goes into its partition's buffer, under the rules
//	put.go     a buffer becomes an object, or gives way to the one that is there
//	buffer.go  lines, compressed as they come
//
//	sealer.go     periods become complete: the order in which a sealer looks and puts
//	sealview.go   what it has seen of a topic, and the seal that this makes
//	seallate.go   records of periods that are sealed already
//	sealorder.go  which period comes next, and for which topics
//	seal.go       _SUCCESS
//
//	raw.go       the records of the lake, for those who do not follow the journal
//	rawseals.go  which periods are sealed
//	rawread.go   sealed objects, and a partition from an offset on
//	scan.go      lines, fast
//
//	derived.go     what is made of the records, gen=<generation>/: found, staged, swept and dropped
//	derivedput.go  and put, so that a period is the old version or the new one
//	cache.go       copies of parts that are no files of this machine
//
// # The rules
//
// An object holds the contiguous records [start, end) of one partition and one log period. It is named by the
// position at which its writer resumed, and its last record tells its end. Any number of writers may believe that
// a partition is theirs, because each of them follows these rules:
//
//   - Position and period floor come from the partition's last object, or from the object before, never from elsewhere.
//   - An object is put only if absent. If it is there, whoever put it, everything in hand is dropped, the object
//     is read, and the writer goes on at its end and in its period.
//   - An object that starts at s is put only after the one that ends at s has been seen in the lake.
//
// So all writers walk one chain, and each link of it is made once.
package lake
