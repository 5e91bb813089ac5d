// Package refinetest holds what refines to one oracle: the definition's SQL as its author wrote it, run once in a DuckDB of
// its own over all records, which got there as lines of the lake through read_json.
//
// Engine is the suite for a pinflow.LiveEngine: however records are cut into batches, slices and
// periods, the merged deltas are the same, the views over them show what the oracle says, and each record is
// either in the rows or among the rejects. Oracle, Posts and Tables are for other tests of the same kind.
package refinetest
