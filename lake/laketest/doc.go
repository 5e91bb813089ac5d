// Package laketest holds what any lake must pass: Objects and Processes for a place of objects, Writer for the writer
// on such a place, and Check for what a writer has left there. Journal is a broker in memory, whose rebalances, lost members and clock a
// test commands; Memory is a place of objects, and Process the view of it that one faulty process has.
package laketest
