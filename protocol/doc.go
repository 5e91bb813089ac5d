// Package protocol is the decisions by which Pinflow loses and doubles nothing, as pure functions: where a lake writer resumes, when a
// period is sealed and as which offsets, what an install does, when a generation may take over. The stages call
// them with what they have read; a model of the whole system calls them with every state that random schedules lead to.
//
//	home     which partition a key belongs to
//	resume   a lake writer at the end of the lake
//	seal     a closed period becomes ranges of offsets
//	install  a period goes into a store
//	turn     one generation takes over from another
package protocol
