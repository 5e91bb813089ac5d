// Package value holds what is true of a record's value whoever asks: whether it is a plain
// JSON object, whether it satisfies its source's schema, what its key is, and how a record
// is written as a line of the lake. All of it is a pure function of the bytes, so that ingest,
// the lake, the live half and the batch cannot disagree about a record.
//
// A value goes through at most two questions:
//
//	Plain          can the lake store it flat, and every reader of the lake read it?
//	Schema.Check   is it accepted? (Plain, and the schema is satisfied)
//
// The promise behind Check: the columns that DuckDB's read_json gives for an accepted record, asked
// for with Schema.Columns, are exactly the values that were posted. Hence the rules that are stricter than JSON Schema:
//
//   - A property of type integer is a literal without fraction or exponent within 64 bits: 1.0 and
//     1e3 are integers to JSON Schema and numbers here.
//   - A number anywhere in a record lies within the range of a 64-bit float and is written in at most
//     1,000 characters; digits beyond a float's precision are kept in the lake and rounded in a DOUBLE.
//   - No string or name holds U+0000, which PostgreSQL cannot store, nor half of a surrogate pair,
//     at which DuckDB stops reading the whole file (so a value with the latter is not even plain).
//
// Names are compared exactly, as read_json does: a record may have title and Title. SQL does not tell
// such columns apart, so a schema may not have both.
package value
