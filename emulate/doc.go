// Package emulate posts rows to a running Pinflow, as the users of a service would: random ones
// out of 11,000 made-up pins (Pins), the rows of a file in their order (OpenRows), or a recorded sequence
// of a file's rows with its pauses (OpenSequence).
//
// Run keeps a schedule and not a loop of "post, then sleep": a post is due at a time that does not depend on
// how long the posts before it took, so the rate holds on average however slow single answers are. At most
// Options.Connections requests are on the way at once; behind schedule, Run catches up as fast as these allow.
//
// A request that was not taken (503, no connection, no answer) is posted again. When it was the answer that
// got lost and not the post, the journal then holds the record twice: nothing in HTTP can tell the two apart. So
// every row counted as acknowledged lies in the journal at least once, at the position of its receipt.
package emulate
