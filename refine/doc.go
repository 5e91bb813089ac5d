// Package refine keeps a store's tables up with the journal and with the lake.
//
// Stream is a live worker. It takes what waits in the journal as one micro-batch, has a LiveEngine turn it into a delta, and commits the
// delta with the positions that it moves, fence first. So each record is counted once, whatever dies when: a worker that has lost
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
//
// Runner is the batch. It has a BatchEngine recompute sealed periods from the lake and installs what comes of them, oldest first,
// beside what the live half has counted: that is compared. Where it is killed does not matter: what is installed is whole, and
// what is only in the lake is taken up again or made anew.
//
//	batch         options, and a run
//	batchseal     what can be sealed is sealed, and waited for
//	batchchoose   which periods a run is for
//	batchrefine   from records to the lake's derived files, some periods at a time
//	batchreuse    what a killed run has put there is taken up again
//	batchinstall  from there into the store, in order
//	batchmend     manifests name what was installed
//	batchreport   reports over the state at a period's end
//	batchoutcome  how far a run is, and what it did
//	batchscratch  a folder for what is being made
//	batchmetrics  what it tells of itself
//	build         a generation is built by batch and live worker, and takes over
//	schedule      the batch on time
package refine
