// Package web is the last stage: it shows what the store holds, over HTTP. It reads through pinflow.StoreReader, and
// writes nothing; what changes something (a batch, an audit, a generation) an Operator does.
//
// The files, in the order of a read: operations.go (which routes there are; describe.go tells the
// OpenAPI document), params.go (what a URL asks for), after.go (the wait until a record is counted),
// read.go (the store is asked), answer.go, encode.go and csv.go (rows become text); entity.go and reports.go for rows by key and
// reports. For events: hub.go and feed.go (one query shared by all who watch it), watch.go (what a query's next event is),
// stream.go (one watcher). For work: operate.go (what an Operator does), operateroutes.go (its routes), longwork.go (an answer in
// lines, as work goes on), differences.go (the alarm). plan.go tells what happens when another definition is shown. status.go and
// meter.go tell how far and how fast; page.go is the page.
package web
