package lake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pinflow/pinflow"
)

// sealFile is raw/<topic>/period=<period>/_SUCCESS, put once and never changed.
type sealFile struct {
	Version int    `json:"version"`
	Topic   string `json:"topic"`
	TopicID string `json:"topic_id"`
	Period  string `json:"period"`
	// Topics are those for which the period was sealed together with this one. The period after comes when all of them have it.
	Topics     []string          `json:"topics"`
	Partitions []sealedPartition `json:"partitions"`
}

type sealedPartition struct {
	Partition int32 `json:"partition"`
	Start     int64 `json:"start"`
	End       int64 `json:"end"`
	Records   int64 `json:"records"`
	// Floor is the log period of the last record before End, "" if there is none.
	Floor   string         `json:"floor,omitempty"`
	Objects []sealedObject `json:"objects"`
}

type sealedObject struct {
	Name    string `json:"name"`
	Start   int64  `json:"start"`
	End     int64  `json:"end"`
	Records int64  `json:"records"`
	Bytes   int64  `json:"bytes"`
}

// seal is a sealFile as it is worked with.
type seal struct {
	pinflow.Seal
	topics []string
	floors []pinflow.Period // by index of Partitions
}

const sealName = "_SUCCESS"

func (t *Topic) sealName(p pinflow.Period) string {
	return topicFolder(t.Topic) + folderOf(t.PeriodLength(), p) + sealName
}

// putSeal writes a seal unless the period has one.
func (t *Topic) putSeal(ctx context.Context, s *seal) (created bool, err error) {
	l := t.PeriodLength()
	f := sealFile{Version: formatVersion, Topic: t.Topic, TopicID: t.TopicID, Period: l.Name(s.Period), Topics: s.topics, Partitions: []sealedPartition{}}
	for i, p := range s.Partitions {
		sp := sealedPartition{Partition: p.Partition, Start: p.Start, End: p.End, Records: p.Records, Objects: []sealedObject{}}
		if s.floors[i] != pinflow.NoPeriod {
			sp.Floor = l.Name(s.floors[i])
		}
		for _, o := range p.Objects {
			sp.Objects = append(sp.Objects, sealedObject{Name: o.Name, Start: o.Start, End: o.End, Records: o.Records, Bytes: o.Size})
		}
		f.Partitions = append(f.Partitions, sp)
	}
	text, err := json.Marshal(f)
	if err != nil {
		return false, err
	}
	return t.objects.PutIfAbsent(ctx, t.sealName(s.Period), append(text, '\n'))
}

// readSeal returns the seal of a period: NotFound if it has none.
func (t *Topic) readSeal(ctx context.Context, p pinflow.Period) (*seal, error) {
	text, err := getAll(ctx, t.objects, t.sealName(p))
	if err != nil {
		return nil, err
	}
	s, err := t.parseSeal(p, text)
	if err != nil {
		return nil, &pinflow.Error{Op: "read the seal of a period", On: at(t.objects, t.sealName(p)), Kind: pinflow.Invalid, Err: err,
			Hint: "It was written by another version of Pinflow, or changed: restore it from a copy."}
	}
	return s, nil
}

func (t *Topic) parseSeal(p pinflow.Period, text []byte) (*seal, error) {
	var f sealFile
	if err := json.Unmarshal(text, &f); err != nil {
		return nil, err
	}
	l := t.PeriodLength()
	switch {
	case f.Version != formatVersion:
		return nil, fmt.Errorf("the format's version is %d, not %d", f.Version, formatVersion)
	case f.Topic != t.Topic || f.TopicID != t.TopicID || f.Period != l.Name(p):
		return nil, fmt.Errorf("it tells of the period %s of the topic %q, %s", f.Period, f.Topic, f.TopicID)
	}
	s := &seal{Seal: pinflow.Seal{Topic: t.Topic, Period: p}, topics: f.Topics}
	for _, sp := range f.Partitions {
		floor := pinflow.NoPeriod
		if sp.Floor != "" {
			var err error
			if floor, err = l.Parse(sp.Floor); err != nil {
				return nil, err
			}
		}
		part := pinflow.SealedPartition{Partition: sp.Partition, Start: sp.Start, End: sp.End, Records: sp.Records}
		for _, o := range sp.Objects {
			part.Objects = append(part.Objects, pinflow.SealedObject{Name: o.Name, Start: o.Start, End: o.End, Records: o.Records, Size: o.Bytes})
		}
		s.Partitions, s.floors = append(s.Partitions, part), append(s.floors, floor)
	}
	if !slices.IsSortedFunc(s.Partitions, func(a, b pinflow.SealedPartition) int { return int(a.Partition - b.Partition) }) {
		return nil, errors.New("its partitions are not in order")
	}
	return s, nil
}

// end returns where the seal ends in a partition, and the log period of the last record before; 0 and NoPeriod in one that it does not know.
func (s *seal) end(partition int32) (int64, pinflow.Period) {
	if s != nil {
		for i := range s.Partitions {
			if s.Partitions[i].Partition == partition {
				return s.Partitions[i].End, s.floors[i]
			}
		}
	}
	return 0, pinflow.NoPeriod
}

// sealed tells whether a period has a seal.
func (t *Topic) sealed(ctx context.Context, p pinflow.Period) (bool, error) {
	r, err := t.objects.Get(ctx, t.sealName(p))
	if pinflow.KindOf(err) == pinflow.NotFound {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, r.Close()
}

// lastSeal returns the newest seal, nil if there is none. Sealed periods follow one another without a gap, and those that are not sealed
// yet are few: so it is looked for from the newest folder back, in steps that double.
func (t *Topic) lastSeal(ctx context.Context, folders []pinflow.Period) (*seal, error) {
	open := len(folders) // folders from here on are not sealed
	for step := 1; open > 0; step *= 2 {
		at := max(0, open-step)
		is, err := t.sealed(ctx, folders[at])
		if err != nil {
			return nil, err
		}
		if is {
			return t.newestSeal(ctx, folders[at:open])
		}
		open = at
	}
	// The steps may have passed over some. That is so at the beginning only, when all objects are to be looked at anyway.
	var last *seal
	for info, err := range t.objects.List(ctx, topicFolder(t.Topic)+periodFolder, "") {
		if err != nil {
			return nil, err
		}
		folder, ok := strings.CutSuffix(strings.TrimPrefix(info.Name, topicFolder(t.Topic)), "/"+sealName)
		if !ok {
			continue
		}
		p, err := parseFolder(t.PeriodLength(), folder)
		if err != nil {
			return nil, err
		}
		last = &seal{Seal: pinflow.Seal{Period: p}}
	}
	if last == nil {
		return nil, nil
	}
	return t.readSeal(ctx, last.Period)
}

// newestSeal searches folders of which the first is sealed, up to one that is not.
func (t *Topic) newestSeal(ctx context.Context, folders []pinflow.Period) (*seal, error) {
	for len(folders) > 1 {
		half := len(folders) / 2
		is, err := t.sealed(ctx, folders[half])
		if err != nil {
			return nil, err
		}
		if is {
			folders = folders[half:]
		} else {
			folders = folders[:half]
		}
	}
	return t.readSeal(ctx, folders[0])
}

// follow goes on from a seal as far as the periods behind it are sealed.
func (t *Topic) follow(ctx context.Context, s *seal) (*seal, error) {
	for {
		next, err := t.readSeal(ctx, t.PeriodLength().Next(s.Period))
		if pinflow.KindOf(err) == pinflow.NotFound {
			return s, nil
		}
		if err != nil {
			return nil, err
		}
		s = next
	}
}
