// Package model is an executable model of the protocols by which Pinflow loses and doubles nothing: a journal, a lake, a store, and any
// number of lazy, crashing and undead processes between them, where one Action is one atomic step of one of them.
// What is to be decided is decided by the functions of package protocol, which the stages call too.
//
//	state      all that there is: a flat value, so that a copy is an assignment and a hash is a hash
//	rules      the protocol's decisions, and the slips that a stage can make beside them
//	action     steps as data; a Schedule is a list of them. One that is not possible does nothing, so any part of a schedule is one
//	outside    what the world does: posts, the broker's clock, retention, new partitions
//	write      lake writers
//	seal       sealers
//	live       live workers
//	batch      batch runs
//	install    a period goes into a generation of the store
//	turn       generations
//	lakecheck  what must be true of the lake after each step
//	storecheck and of each generation
//	settle     faults stop, everything runs to its end, and more must be true
//	run        a schedule from a seed, made as short as can be when it fails
//	explore    every interleaving of a small world
//	mutant     one rule off each; each must be noticed
package model
