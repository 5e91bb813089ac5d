package embedded

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/pinflow/pinflow"
)

// closedMark is the file that a clean stop leaves.
const closedMark = "closed"

// inspect looks at the log before the broker does. It refuses one that has lost records in its middle, from which
// the broker would drop all that follows in the file; a last batch that was cut off while it was written is no loss.
// After a crash it notes each producer's last batches, for the broker to know them when they are sent again.
func inspect(dir string) error {
	lists, err := partitions(dir)
	if err != nil {
		return err
	}
	var all []producerWindow
	for _, list := range lists {
		windows := make(map[int64]*producerWindow)
		if err := scanPartition(dir, list, windows); err != nil {
			return err
		}
		for _, w := range windows {
			all = append(all, *w)
		}
	}
	mark := filepath.Join(dir, closedMark)
	if _, err := os.Stat(mark); err == nil {
		return os.Remove(mark)
	}
	return writeWindows(dir, all)
}

// partitions lists the segments of each partition.
func partitions(dir string) ([][]segment, error) {
	dirs, err := os.ReadDir(filepath.Join(dir, "partitions"))
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var lists [][]segment
	for _, d := range dirs {
		tp, ok := partitionOf(d.Name())
		if !ok {
			continue
		}
		list, err := segmentsOf(tp, partitionDir(dir, tp))
		if err != nil {
			return nil, err
		}
		lists = append(lists, list)
	}
	return lists, nil
}

func scanPartition(dir string, list []segment, windows map[int64]*producerWindow) error {
	next := int64(-1)
	var buf []byte
	for i, s := range list {
		path := filepath.Join(partitionDir(dir, s.TopicPartition), fmt.Sprintf("%d.dat", s.base))
		var err error
		if buf, err = read(path, buf); err != nil {
			return err
		}
		if len(buf) == 0 {
			// Begun, and never written to.
			if err := os.Remove(path); err != nil {
				return err
			}
			continue
		}
		if next >= 0 && s.base != next {
			return damaged(path, 0, fmt.Errorf("it begins at offset %d, the one before it ends at %d", s.base, next))
		}
		next = s.base
		at := 0
		for at < len(buf) {
			batch := batchAt(buf, at)
			if batch == nil {
				break
			}
			if first := int64(binary.BigEndian.Uint64(batch)); first != next {
				return damaged(path, at, fmt.Errorf("a batch begins at offset %d, the one before it ends at %d", first, next))
			}
			note(windows, s.TopicPartition, batch)
			next += int64(binary.BigEndian.Uint32(batch[batchLastDelta:])) + 1
			at += len(batch)
		}
		if at < len(buf) && (follows(buf, at) || i+1 < len(list) && list[i+1].base != next) {
			return damaged(path, at, fmt.Errorf("the batch at offset %d is damaged", next))
		}
	}
	return nil
}

// read reads a file into buf, which it returns, grown if need be.
func read(path string, buf []byte) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return buf, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return buf, err
	}
	if int64(cap(buf)) < info.Size() {
		buf = make([]byte, info.Size())
	}
	buf = buf[:info.Size()]
	_, err = io.ReadFull(f, buf)
	return buf, err
}

// batchAt returns the batch that begins there, nil if none does or it is not whole.
func batchAt(buf []byte, at int) []byte {
	if len(buf)-at < batchHeader || buf[at+batchMagic] != 2 {
		return nil
	}
	size := batchLength + 4 + int(binary.BigEndian.Uint32(buf[at+batchLength:]))
	if size < batchHeader || size > len(buf)-at {
		return nil
	}
	batch := buf[at : at+size]
	if sum(batch) != binary.BigEndian.Uint32(batch[batchCRC:]) {
		return nil
	}
	return batch
}

// follows tells whether there is a whole batch anywhere behind at.
func follows(buf []byte, at int) bool {
	for at++; len(buf)-at >= batchHeader; at++ {
		if batchAt(buf, at) != nil {
			return true
		}
	}
	return false
}

func damaged(path string, at int, why error) error {
	return &pinflow.Error{Op: "open embedded journal", On: fmt.Sprintf("%s at byte %d", path, at), Kind: pinflow.Internal, Err: why,
		Hint: "The disk has lost acknowledged records. Restore the journal's folder from a copy; what the lake had taken before is safe there."}
}

// producerWindow is what the broker keeps of an idempotent producer and partition, in its words.
type producerWindow struct {
	PID       int64         `json:"pid"`
	Topic     string        `json:"topic"`
	Partition int32         `json:"partition"`
	Entries   [5]windowItem `json:"entries"` // the last batches, a ring
	Count     int           `json:"count"`
	At        int           `json:"at"` // where the next goes
	Epoch     int16         `json:"epoch"`
	Seen      bool          `json:"seen"`
	NextSeq   int32         `json:"next_seq"`
}

type windowItem struct {
	FirstSeq int32 `json:"first_seq"`
	NextSeq  int32 `json:"next_seq"`
	Offset   int64 `json:"offset"`
}

// note takes a batch into its producer's window.
func note(windows map[int64]*producerWindow, tp pinflow.TopicPartition, batch []byte) {
	producer := int64(binary.BigEndian.Uint64(batch[batchProducer:]))
	if producer < 0 || binary.BigEndian.Uint16(batch[batchAttributes:])&controlBit != 0 {
		return
	}
	epoch := int16(binary.BigEndian.Uint16(batch[batchEpoch:]))
	first := int32(binary.BigEndian.Uint32(batch[batchSequence:]))
	w := windows[producer]
	if w == nil || w.Epoch != epoch {
		w = &producerWindow{PID: producer, Topic: tp.Topic, Partition: tp.Partition, Epoch: epoch, Seen: true}
		windows[producer] = w
	}
	// Sequences begin anew at the largest int32, as the broker counts.
	next := int32((int64(first) + int64(binary.BigEndian.Uint32(batch[batchLastDelta:])) + 1) % (1<<31 - 1))
	w.Entries[w.At] = windowItem{FirstSeq: first, NextSeq: next, Offset: int64(binary.BigEndian.Uint64(batch))}
	w.At = (w.At + 1) % len(w.Entries)
	w.Count = min(w.Count+1, len(w.Entries))
	w.NextSeq = next
}

// writeWindows replaces what the last clean stop had noted.
func writeWindows(dir string, windows []producerWindow) error {
	content, err := json.Marshal(struct {
		Version int              `json:"version"`
		Windows []producerWindow `json:"windows"`
	}{1, windows})
	if err != nil {
		return err
	}
	path := filepath.Join(dir, "seq_windows.json")
	if err := os.WriteFile(path+".tmp", content, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".tmp", path)
}
