// Pinflow takes posted events, keeps every one of them in an open lake, and serves metrics over
// history and the last second that are exact. This package is the wiring: the stages in the order of
// the flow, and a file per subcommand.
package main
