package journaltest

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/pinflow/pinflow"
)

// testRead reads from any offset on, and says what lies outside of the log.
func testRead(t *T) {
	tp := pinflow.TopicPartition{Topic: t.topic(1)}
	if records, err := t.Journal.Read(t.ctx, tp, 0, 10); err != nil || len(records) != 0 {
		t.Errorf("an empty partition: %d records, %v", len(records), err)
	}
	for range 10 {
		t.fill(tp.Topic, 37)
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for range 50 {
		offset, most := rng.Int64N(370), 1+rng.IntN(100)
		records, err := t.Journal.Read(t.ctx, tp, offset, most)
		if err != nil || len(records) == 0 || len(records) > most {
			t.Fatalf("from %d at most %d: %d records, %v", offset, most, len(records), err)
		}
		for i, r := range records {
			if r.Offset != offset+int64(i) || r.Topic != tp.Topic || string(r.Value) != fmt.Sprint(r.Offset%37) {
				t.Fatalf("from %d: record %d is %s with %q", offset, i, r.Position(), r.Value)
			}
		}
	}
	if records, err := t.Journal.Read(t.ctx, tp, 370, 1); err != nil || len(records) != 0 {
		t.Errorf("at the end: %d records, %v", len(records), err)
	}
	if _, err := t.Journal.Read(t.ctx, tp, 371, 1); pinflow.KindOf(err) != pinflow.OutOfRange {
		t.Errorf("behind the end: %v, want out of range", err)
	}
	tp.Partition = 9
	if _, err := t.Journal.Read(t.ctx, tp, 0, 1); pinflow.KindOf(err) != pinflow.NotFound {
		t.Errorf("a missing partition: %v, want not found", err)
	}
}

// advance lets time pass for the broker.
func (t *T) advance(d time.Duration) {
	if t.Advance != nil {
		t.Advance(d)
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.ctx.Done():
	}
}

// testAppendTime finds times that only grow, in steps that the broker's clock made.
func testAppendTime(t *T) {
	tp := pinflow.TopicPartition{Topic: t.topic(1)}
	for range 5 {
		t.fill(tp.Topic, 3)
		t.advance(20 * time.Millisecond)
	}
	records := t.readAll(tp, 0)
	for i := 1; i < len(records); i++ {
		d := records[i].Timestamp - records[i-1].Timestamp
		if least := int64(20); d < 0 || i%3 == 0 && d < least {
			t.Errorf("record %d was appended %d ms after the one before it", i, d)
		}
	}
}

// testOffsetAt compares with a search of the records themselves.
func testOffsetAt(t *T) {
	topic := t.topic(2)
	for range 6 {
		t.fill(topic, 5)
		t.advance(15 * time.Millisecond)
	}
	records := t.readAll(pinflow.TopicPartition{Topic: topic}, 0)
	from, to := records[0].Timestamp-2, records[len(records)-1].Timestamp+2
	for at := from; at <= to; at++ {
		want := int64(len(records))
		for i, r := range records {
			if r.Timestamp >= at {
				want = int64(i)
				break
			}
		}
		got, err := t.Journal.OffsetAt(t.ctx, topic, at)
		if err != nil || len(got) != 2 || got[0] != want || got[1] != 0 {
			t.Fatalf("at %d (first record %d): %v, %v; want %d and 0", at, from+2, got, err, want)
		}
	}
	if _, err := t.Journal.OffsetAt(t.ctx, topic+"-missing", 0); pinflow.KindOf(err) != pinflow.NotFound {
		t.Errorf("a missing topic: %v, want not found", err)
	}
}

// testRestart finds everything as it was.
func testRestart(t *T) {
	if t.Restart == nil {
		t.Skip("this environment cannot restart its broker")
	}
	tp := pinflow.TopicPartition{Topic: t.topic(3)}
	t.fill(tp.Topic, 50)
	before, err := t.Journal.Topic(t.ctx, tp.Topic)
	if err != nil {
		t.Fatal(err)
	}
	records := t.readAll(tp, 0)
	t.Journal = t.Restart(t.T)
	after, err := t.Journal.Topic(t.ctx, tp.Topic)
	if err != nil || fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("the topic is %+v, %v; was %+v", after, err, before)
	}
	if got := t.readAll(tp, 0); fmt.Sprint(got) != fmt.Sprint(records) {
		t.Errorf("the records are not as before")
	}
	if p := t.append(pinflow.Draft{Topic: tp.Topic, Value: []byte("next")}); p[0].Offset != 50 {
		t.Errorf("appended at %s, want offset 50", p[0])
	}
}

// testRetentionPassed says so to readers of what is gone, and of a partition alone.
func testRetentionPassed(t *T) {
	if t.Trim == nil {
		t.Skip("this environment cannot delete records")
	}
	tp := pinflow.TopicPartition{Topic: t.topic(2)}
	other := pinflow.TopicPartition{Topic: tp.Topic, Partition: 1}
	big := make([]byte, 100<<10)
	for range 100 {
		t.append(pinflow.Draft{Topic: tp.Topic, Value: big})
	}
	t.append(pinflow.Draft{Topic: tp.Topic, Partition: 1, Value: []byte("other")})
	start := t.Trim(t.T, tp, 60)
	if start <= 0 || start > 60 {
		t.Fatalf("the log was to start at 60 or a little earlier, it does at %d", start)
	}
	if _, err := t.Journal.Read(t.ctx, tp, start-1, 1); pinflow.KindOf(err) != pinflow.OutOfRange {
		t.Errorf("reading what is gone: %v, want out of range", err)
	}
	if records, err := t.Journal.Read(t.ctx, tp, start, 1); err != nil || len(records) != 1 || records[0].Offset != start {
		t.Errorf("reading the first that is left: %v, %v", records, err)
	}
	if d, err := t.Journal.Topic(t.ctx, tp.Topic); err != nil || d.Partitions[0] != (pinflow.PartitionBounds{Start: start, End: 100}) {
		t.Errorf("described as %+v, %v", d, err)
	}
	m := t.member("retention", tp.Topic, func(pinflow.TopicPartition) int64 { return 0 })
	var gone, read bool
	for !gone || !read {
		for _, run := range m.poll(t, 10) {
			switch {
			case run.TopicPartition == tp && pinflow.KindOf(run.Err) == pinflow.OutOfRange && len(run.Records) == 0:
				gone = true
			case run.TopicPartition == other && run.Err == nil && len(run.Records) == 1:
				read = true
			default:
				t.Fatalf("unexpected run %+v", run)
			}
		}
	}
	// The partition goes on where its reader says.
	m.sub.Seek(tp, 95)
	for next := int64(95); next < 100; {
		for _, run := range m.poll(t, 10) {
			if run.Err != nil || run.TopicPartition != tp || run.Records[0].Offset != next {
				t.Fatalf("after Seek(95), where %d was next: %+v", next, run)
			}
			next += int64(len(run.Records))
		}
	}
	m.close(t)
}
