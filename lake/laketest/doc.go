// Package laketest holds what any lake must pass: Objects, Processes and Killed for a place of objects, Writer for the writer
// on such a place, Check for what a writer has left there, CheckSeals for what sealers have. Journal is a broker in memory, whose rebalances, lost members and clock a
// test commands; Memory is a place of objects, and Process the view of it that one faulty process has.
package laketest
