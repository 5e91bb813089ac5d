package ingest

import (
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/problem"
)

// maxBulkRecords is how many records a bulk may have: each has a result that is kept until the answer.
const maxBulkRecords = 1_000_000

// bulk is the work on one post of many records. Its bytes lie in two buffers: records of the one are
// appended while the other is read and judged. One piece is appended at a time, so that the records of a
// key keep their order.
type bulk struct {
	*source
	ctx     context.Context
	body    *body
	split   splitter
	key     string // the post's Idempotency-Key
	judged  int    // records so far
	results results

	size  int    // bytes of a buffer
	buf   []byte // what has been read
	used  int    // of it
	free  []byte // the other buffer, nil if there is none
	whole bool   // buf holds the rest of the body
	fault error  // why the body could not be read on

	filling, flying, spare *piece
	down                   *problem.Problem // why the journal is not asked any more
}

// head is what has been read of a post when it turns out to be a bulk.
type head struct {
	*buffer
	whole bool // nothing follows
	err   error
}

// bulk takes a post of many records and answers with the result of each.
func (s *source) bulk(w http.ResponseWriter, r *http.Request, b *body, h head, split splitter) {
	weight := s.in.bulkWeight(b.length)
	if h.whole {
		weight = smallBulkWeight(h.b)
	}
	if !s.in.acquire(r.Context(), weight) {
		s.fail(w, noRoom())
		return
	}
	defer s.in.room.Release(weight)
	k := &bulk{source: s, ctx: r.Context(), body: b, split: split, key: r.Header.Get(idempotencyKey),
		size: s.in.bufferSize(b.length), buf: trimBOM(h.b), whole: h.whole, fault: h.err, filling: newPiece()}
	defer k.results.close()
	end := k.run()
	if k.down != nil {
		h.keep()
	}
	k.finish(w, end)
}

// run takes records until the body ends, which is io.EOF, or cannot be read on.
func (k *bulk) run() error {
	for {
		st := k.split.next(k.buf[k.used:], k.whole, k.in.MaxRecord)
		k.used += st.used
		var err error
		switch {
		case st.err != nil:
			return k.land(st.err)
		case st.record == nil && !st.oversize:
			err = k.refill()
		case k.judged == maxBulkRecords:
			err = tooMany()
		default:
			k.take(st.record)
		}
		if err != nil {
			return k.land(err)
		}
		if k.filling.full() {
			if err := k.launch(); err != nil {
				return err
			}
		}
	}
}

// take judges a record, nil if it was too long to be held.
func (k *bulk) take(record []byte) {
	index := k.judged
	k.judged++
	if record == nil {
		k.filling.refuse(k.tooLarge())
		return
	}
	d := k.filling.draft()
	if no := k.judge(record, d); no != nil {
		k.filling.refuse(no)
		return
	}
	d.Headers = bulkKeyHeaders(k.key, index)
	k.filling.accept()
}

// refill reads on into the other buffer, when all records of this one are with the journal.
func (k *bulk) refill() error {
	if k.fault != nil {
		return k.fault
	}
	if err := k.launch(); err != nil {
		return err
	}
	next := buffer{b: k.free}
	if next.b == nil {
		next.b = make([]byte, 0, k.size)
	}
	next.b = append(next.b[:0], k.buf[k.used:]...)
	k.free = nil
	if cap(k.buf) >= k.size && k.down == nil { // else it is not ours, or the journal may still read it
		k.free = k.buf
	}
	k.whole, k.fault = next.fill(k.body, k.size-1)
	k.buf, k.used = next.b, 0
	return nil
}

// launch waits for the piece that is with the journal and then gives it the next.
func (k *bulk) launch() error {
	if err := k.await(); err != nil {
		return err
	}
	p := k.filling
	k.flying, k.filling, k.spare = p, k.spare, nil
	if k.filling == nil {
		k.filling = newPiece()
	}
	if k.down == nil && len(p.drafts) > 0 {
		go func() { p.receipts <- k.append(k.ctx, p.drafts) }()
	} else {
		p.receipts <- nil
	}
	return nil
}

// land has everything that was taken appended. It returns end, or what went wrong.
func (k *bulk) land(end error) error {
	if err := k.launch(); err != nil {
		return err
	}
	if err := k.await(); err != nil {
		return err
	}
	return end
}

// await waits for the piece that is with the journal and writes its results.
func (k *bulk) await() (err error) {
	p := k.flying
	if p == nil {
		return nil
	}
	k.flying = nil
	receipts := <-p.receipts
	asked, refused, taken := 0, p.refused, k.results.taken
	for _, v := range p.verdicts {
		if v.status != 0 {
			k.results.refusal(v.status, refused[:v.size])
			k.metrics.posts(v.status, 1)
			refused = refused[v.size:]
		} else {
			k.acknowledged(receipts, asked)
			asked++
		}
		if err == nil {
			err = k.results.pack(k.in.Spool)
		}
	}
	k.metrics.posts(http.StatusOK, k.results.taken-taken)
	if k.down != nil {
		k.free = nil // the journal may still read what it was given
		return err
	}
	p.reset()
	k.spare = p
	return err
}

// acknowledged writes the result of the i-th draft of a piece; without receipts the journal was not asked.
func (k *bulk) acknowledged(receipts []pinflow.Receipt, i int) {
	if receipts != nil && receipts[i].Err == nil {
		k.results.receipt(k.source, receipts[i].Partition, receipts[i].Offset)
		return
	}
	p := k.down
	if receipts != nil {
		failed := k.in.appendProblem(receipts[i].Err)
		p = &failed
		if p.Status >= http.StatusInternalServerError && k.down == nil {
			k.down = untried()
		}
	}
	k.results.refusal(p.Status, appendMembers(nil, *p))
	k.metrics.posts(p.Status, 1)
}

// finish answers.
func (k *bulk) finish(w http.ResponseWriter, end error) {
	if end != io.EOF {
		p := bodyProblem(end)
		if k.results.count() == 0 {
			k.fail(w, p)
			return
		}
		p.Hint = "The records before it have been dealt with. Send the rest again, from this index on."
		k.results.refusal(p.Status, appendMembers(nil, p))
		k.metrics.posts(p.Status, 1)
		k.body.drain()
	}
	err := k.results.answer(w, k.in.Timeout)
	if err != nil && k.ctx.Err() == nil && k.in.Log != nil {
		k.in.Log.Warn("the results of a bulk could not be sent whole", "source", k.Name, "error", err)
	}
}

// untried says that a record was not given to the journal, which had failed to take one before it.
func untried() *problem.Problem {
	p := problem.Of(&pinflow.Error{Op: "append to the journal", Kind: pinflow.Unavailable,
		Err: errors.New("not tried, since it did not take a record before this one"), Hint: "Send it again."})
	return &p
}
