// Package duckdb keeps the store in a DuckDB file.
//
// In the file:
//
//	_pinflow            the store's own tables: version, pipeline, current generation, hold; progress per partition; plans;
//	                    installed periods, comparisons, reports
//	_gen_<generation>   the tables of a generation
//	<pipeline>          the stable views, which read the current generation
//	main                the same views again, so that SQL finds them without naming the pipeline
//
// A table T of kind Partials is two tables under a view that is called T: "T:recent", to which every commit
// appends, and "T:merged", which has one row per period, shard and keys. When "T:recent" has grown, its rows are folded into
// "T:merged". So a commit costs what it adds, whatever the table holds, and the table stays within
// a fixed distance of its distinct keys. Who reads T merges its rows, as the plan's views do anyway.
//
// A table of recent rows is a view over "T:rows", to which every commit appends, and the files of the periods that are installed.
//
// One lock in the process covers all writing: DuckDB lets some conflicting statements through (an upsert beside a
// delete and insert), so conflicts are never left to it. Readers work on snapshots, and a commit never waits for one. An install, which
// can take long, has a second transaction while it replaces rows: only who writes into the same generation waits for that.
//
// By concept, a file each:
//
//	commit, change      what the live half adds, and lets stand for a key
//	install, replace    a closed period goes in
//	compare, sample     live rows beside the batch's
//	recent              rows that are read from files once their period is installed
//	switch              generations: taking over, holding, dropping
//	audit, counts       what was installed and compared, and what there is
//	report              the rows of reports
//	fold, checkpoint    tables and log stay small
//	query               reading; what only depends on DuckDB is in internal/duck/readonly
//
// After a commit, not in it, the write-ahead log is folded into the file once it has grown. DuckDB cannot do that while a
// query reads an older snapshot: new queries then wait a moment, and one that goes on too long gives way in the end. DuckDB has no
// memory limit per query either, and stops for good if a commit finds none: queries that take most of it are ended.
package duckdb
