// Package refine keeps a store's tables up with the journal: Stream is a live worker. It takes what waits in the journal
// as one micro-batch, has a LiveEngine turn it into a delta, and commits the delta with the positions that
// it moves, fence first. So each record is counted once, whatever dies when: a worker that has lost
// a partition, or does not know yet that it has, finds its fence broken and reads the position again.
//
//	stream     options, and the life of a worker
//	group      partitions come and go
//	partition  where a partition stands, and what is held of it
//	gather     from the journal to a batch
//	history    from the lake, where the journal has deleted what is to be counted
//	hand       a batch in hand: refined, committed or dropped
//	metrics    what a worker tells of itself
//
// While one batch is committed the next is fetched and refined; there are never more than these two.
package refine
