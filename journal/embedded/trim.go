package embedded

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/pinflow/pinflow"
)

// batchCost is what a start after a crash takes in memory for a batch, per byte of its 15 in the index.
const batchCost = 16

// Trim deletes the oldest segments while the log is larger than RetentionBytes, but none with a record at or after
// floor of its partition, none of a partition without a floor, and never a partition's last. It returns how
// many bytes of disk it has freed. A batch counts 240 bytes more than it has, which is what a start takes for it.
func (b *Broker) Trim(ctx context.Context, floor map[pinflow.TopicPartition]int64) (int64, error) {
	b.trim.Lock()
	defer b.trim.Unlock()
	lists, err := partitions(b.o.Dir)
	if err != nil {
		return 0, &pinflow.Error{Op: "trim embedded journal", On: b.o.Dir, Kind: pinflow.Internal, Err: err}
	}
	segments := slices.Concat(lists...)
	cut := cuts(segments, b.o.RetentionBytes, floor)
	var freed int64
	for _, tp := range inOrder(cut) {
		if err := ctx.Err(); err != nil {
			return freed, &pinflow.Error{Op: "trim embedded journal", On: b.o.Dir, Kind: pinflow.Unavailable, Err: err}
		}
		err := b.cluster.DeleteRecords(tp.Topic, tp.Partition, cut[tp])
		if err == kerr.OffsetOutOfRange || err == kerr.UnknownTopicOrPartition {
			continue // gone already
		}
		if err != nil {
			return freed, &pinflow.Error{Op: "trim embedded journal", On: tp.String(), Kind: pinflow.Internal, Err: err}
		}
		for _, s := range segments {
			if s.TopicPartition == tp && s.end <= cut[tp] && s.end > 0 {
				freed += s.size
			}
		}
	}
	return freed, nil
}

// segment is one file of a partition's log, with its index. A partition's are in order of their offsets.
type segment struct {
	pinflow.TopicPartition
	base, end int64     // offsets; end is 0 for a partition's last segment
	size      int64     // bytes on disk
	cost      int64     // bytes towards RetentionBytes
	written   time.Time // when the last record was
}

// partitionOf reads the name of a partition's folder: topic-partition.
func partitionOf(dir string) (pinflow.TopicPartition, bool) {
	i := strings.LastIndexByte(dir, '-')
	if i < 1 {
		return pinflow.TopicPartition{}, false
	}
	p, err := strconv.ParseInt(dir[i+1:], 10, 32)
	return pinflow.TopicPartition{Topic: dir[:i], Partition: int32(p)}, err == nil
}

func segmentsOf(tp pinflow.TopicPartition, dir string) ([]segment, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var list []segment
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".dat")
		base, err := strconv.ParseInt(name, 10, 64)
		if !ok || err != nil {
			continue
		}
		data, err := e.Info()
		if err != nil {
			continue // deleted meanwhile
		}
		s := segment{TopicPartition: tp, base: base, size: data.Size(), cost: data.Size(), written: data.ModTime()}
		if index, err := os.Stat(filepath.Join(dir, name+".idx")); err == nil {
			s.size += index.Size()
			s.cost += batchCost * index.Size()
		}
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b segment) int { return int(min(max(a.base-b.base, -1), 1)) })
	for i := 1; i < len(list); i++ {
		list[i-1].end = list[i].base
	}
	return list, nil
}

// cuts returns up to which offset each partition can be deleted so that no more than keep bytes are left, as far as
// floor allows, oldest first.
func cuts(segments []segment, keep int64, floor map[pinflow.TopicPartition]int64) map[pinflow.TopicPartition]int64 {
	var total int64
	var deletable []segment
	for _, s := range segments {
		total += s.cost
		if f, ok := floor[s.TopicPartition]; ok && s.end > 0 && s.end <= f {
			deletable = append(deletable, s)
		}
	}
	// A partition's segments stay in order, whatever the clock did meanwhile: the sort is by the latest time so far.
	latest := make(map[pinflow.TopicPartition]time.Time)
	for i := range deletable {
		s := &deletable[i]
		if l := latest[s.TopicPartition]; s.written.Before(l) {
			s.written = l
		}
		latest[s.TopicPartition] = s.written
	}
	slices.SortStableFunc(deletable, func(a, b segment) int { return a.written.Compare(b.written) })
	cut := make(map[pinflow.TopicPartition]int64)
	for _, s := range deletable {
		if total <= keep {
			break
		}
		cut[s.TopicPartition] = s.end
		total -= s.cost
	}
	return cut
}

func inOrder(cut map[pinflow.TopicPartition]int64) []pinflow.TopicPartition {
	list := make([]pinflow.TopicPartition, 0, len(cut))
	for tp := range cut {
		list = append(list, tp)
	}
	slices.SortFunc(list, func(a, b pinflow.TopicPartition) int {
		return strings.Compare(fmt.Sprint(a), fmt.Sprint(b))
	})
	return list
}
