// Package pinflow holds the nouns of Pinflow and the interfaces at which its
// stages meet. It imports the standard library only and does nothing by itself.
//
// The life of a record, which is also the order of the files to read:
//
//	post ─▶ ingest ─▶ journal ─▶ lake ─▶ refine ─▶ store ─▶ web
//
// Every stage has a write half and a read half, each a small interface here;
// the choices (embedded broker or Kafka, folder or S3, DuckDB or PostgreSQL) are
// packages below the stage's folder. A stage never imports another stage.
package pinflow
