// Package postgres keeps the store in a PostgreSQL database, one pipeline in each.
//
// In the database:
//
//	_pinflow            the store's own tables, as store/duckdb has them: store (version, pipeline, current generation), generations (with
//	                    their plans), progress per partition, topics, installed periods, comparisons, hold, reports
//	_gen_<generation>   the tables of a generation, each under its own name; of a report R the table "report:R"
//	<pipeline>          the stable views, which read the current generation; rejects has its payload as jsonb too, where it is JSON
//
// Schemas and tables are named by schemaOf and named, quoted. PostgreSQL cuts names to 63 bytes: Prepare refuses a plan in which that would make
// two of them one, and views and their columns that are longer.
//
// The role <pipeline>_reader, which cannot log in, may read the stable views and the store's own tables, and nothing else: grant it to who serves.
//
// A table of kind Partials is one table, to which every commit appends. When as many rows have come to a period as it had when it was last
// merged, its rows are merged among themselves, beside the commits. So a commit costs what it adds, and the table stays within
// twice its distinct keys. Who reads it merges its rows, as the plan's views do anyway. A table of recent rows holds those of periods that are not installed.
//
// Types: sqlType tells which of PostgreSQL's holds a type. Text has the collation "C", and is stored by way of storedText, since PostgreSQL knows
// no U+0000: readText is the way back. Times and dates that PostgreSQL does not reach are its infinities, and DuckDB's own are too (readTime, readDate).
//
// A commit copies its rows first, and takes the fence last: who stops in the middle keeps nobody waiting. An install stages and compares
// beside all that goes on, and then does all else in one transaction that begins with the lock on the progress of every partition.
//
// SQL and conditions are DuckDB's, so DuckDB answers them: the views that a statement names are copied into a database in memory that is this query's
// own, with the columns that it names, from one snapshot that also tells the positions. Rows of periods that are installed lie in the lake's
// files, and are read there. A view with plain conditions is PostgreSQL's to answer: it has the same order and the same sense of them. A query takes its snapshot while it holds
// the views: a switch, which makes them anew, comes before it or after it.
//
// By concept, a file each:
//
//	store, connect, schema       opening
//	examine                      what doctor says of a database
//	errors, retry, silence       what failed, what is tried again, and connections on which nothing comes
//	types, text, encode, chunk, copy    values on their way into tables
//	commit, change, merge        what the live half adds, and lets stand for a key
//	install, compare, replace    a closed period goes in
//	generation, views, roles     what readers see
//	switch                       generations: taking over, holding, dropping
//	audit, counts                what was installed and compared, and what there is
//	report, topics, listen       the rows of reports, the journal's topics, who commits elsewhere
//	query                        an answer from one snapshot, by PostgreSQL or by DuckDB
//	readshape, readsnapshot      what views there are, held while they are read
//	readwork, readload, readfiles  DuckDB's side: the rows that a statement needs, copied, or read in the lake's files
//	readvalue, readparam, readpool  values and conditions on their way, sessions that only read
package postgres
