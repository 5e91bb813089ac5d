// Package faults holds tests that nothing is lost or doubled whatever fails: every stage is a process of its own, the real binary, on a real Kafka, S3 and
// PostgreSQL that belong to the tests, with a proxy between each process and each service. Links get slow, are cut and go silent; services
// are killed; processes are killed, paused and exchanged.
//
// Each test ends the same way: posts stop, and what was acknowledged is in the journal once, in the lake once and counted; every metric is its own SQL over
// the lake's files; pinflow audit --deep finds nothing.
//
// FAULT_MINUTES says for how long faults come by chance, PINFLOW_SEED which ones.
package faults
