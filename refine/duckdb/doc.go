// Package duckdb is the live engine on DuckDB in this process: it turns a micro-batch of records into what
// the batch adds to the tables of a plan.
//
// Records reach SQL through a table function, once and without a file between: while DuckDB scans it,
// on all its threads, each record is checked against its source's schema and the columns that the SQL asks
// for are written straight into DuckDB's vectors. So checking, reading and cleaning are one parallel pass.
//
//	engine    the pool of benches, one per batch in hand
//	bench     a scratch database with a connection: a place to work on one batch
//	batch     the records of a batch by their number
//	source    the table function that yields a source's records
//	vector    how Go writes a vector of DuckDB, text above all
//	home      in which partition the records of a key belong
//	cleaning  models whose rows are the same are cleaned once
//	clean     cleaning, and what becomes of records for which it fails
//	partials  the metrics' partials over the clean rows
//	entity    which rows of a batch count in a model with a key, and what its metrics change by
//	held      the rows that the store holds of these keys
//	rejects   the rows of what was rejected
package duckdb
