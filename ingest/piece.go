package ingest

import (
	"bytes"

	"github.com/pinflow/pinflow"
)

const (
	pieceRecords = 2048      // records that a bulk appends at a time
	pieceRefused = 256 << 10 // bytes of refusals after which a piece is full
	pieceBytes   = 256 << 10 // bytes of a buffer beyond the largest record
	recordCost   = 1 << 10   // bytes that the draft, receipt and headers of a record and the journal's notes on it take
)

// piece is some records of a bulk that are appended together, and what there is to say of those that are not.
type piece struct {
	drafts   []pinflow.Draft
	verdicts []verdict // of each record, in order
	refused  []byte    // the members of the refusals' problems
	receipts chan []pinflow.Receipt
}

// verdict is how a record was judged.
type verdict struct {
	status int // 0: it is a draft
	size   int // bytes in refused
}

func newPiece() *piece { return &piece{receipts: make(chan []pinflow.Receipt, 1)} }

func (p *piece) full() bool { return len(p.verdicts) >= pieceRecords || len(p.refused) >= pieceRefused }

func (p *piece) reset() {
	clear(p.drafts)
	p.drafts, p.verdicts, p.refused = p.drafts[:0], p.verdicts[:0], p.refused[:0]
}

// draft returns the next draft, which counts once it is accepted.
func (p *piece) draft() *pinflow.Draft {
	n := len(p.drafts)
	p.drafts = append(p.drafts, pinflow.Draft{})[:n]
	return &p.drafts[:n+1][n]
}

func (p *piece) accept() {
	p.drafts = p.drafts[:len(p.drafts)+1]
	p.verdicts = append(p.verdicts, verdict{})
}

// refuse notes why a record is no draft.
func (p *piece) refuse(no *refusal) {
	said := no.problem()
	said.Hint = "" // once for each record is too often
	start := len(p.refused)
	p.refused = appendMembers(p.refused, said)
	p.verdicts = append(p.verdicts, verdict{status: no.status, size: len(p.refused) - start})
}

// bufferSize is the size of the buffers for a bulk of at most length bytes.
func (in *Ingest) bufferSize(length int64) int {
	return int(min(int64(in.MaxRecord+pieceBytes), length+1))
}

// bulkWeight is how many bytes a bulk of at most length bytes holds: two buffers, two pieces, and results.
func (in *Ingest) bulkWeight(length int64) int64 {
	return int64(2*in.bufferSize(length)) + 2*pieceWeight(int(min(length/2, pieceRecords))) + resultsHeld + 4*resultsBlock
}

// smallBulkWeight is how many bytes a bulk holds that lies in a small buffer: its records are known to be few.
func smallBulkWeight(b []byte) int64 {
	return smallBody + pieceWeight(min(bytes.Count(b, []byte("{")), pieceRecords)) + pieceRefused
}

func pieceWeight(records int) int64 { return int64(records)*recordCost + 2*pieceRefused }
