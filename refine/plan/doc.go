// Package plan compiles a definition to a plan: what to compute per micro-batch and per period, the
// tables that hold it, how their rows merge, and what the views show.
//
// DuckDB does what a regular expression cannot: it parses (json_serialize_sql), writes expressions
// back as text, tells the types (DESCRIBE over empty relations) and knows which functions are aggregates,
// macros or not deterministic. The compiler decides the rest on the syntax tree:
//
//	compile   the order of things, and every fault at once
//	syntax    the tree, the parser and the catalog of functions
//	scope     what a name means
//	model     cleaning: one SELECT, row by row
//	entity    a model with a key
//	metric    dimensions, aggregates and the partials that they need
//	signed    the partials of a metric over an entity
//	value     expressions over aggregates, exact until the end
//	term      the text of a view, in DuckDB's and in PostgreSQL's words
//
// In a metric, an expression over a row's columns that fails for a row (a cast, an overflow) is NULL for
// that row, as TRY makes it: a record that was accepted never stops the ones beside it.
package plan
