package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/pinflow/pinflow"
)

// installed returns the generation's installed periods, as far as they tell where rows lie.
func (s *snapshot) installed(ctx context.Context) ([]pinflow.Installed, error) {
	rows, err := s.conn.Query(ctx, "SELECT period, ranges, parts FROM _pinflow.installed WHERE generation = $1 ORDER BY period", s.shape.generation)
	if err != nil {
		return nil, err
	}
	var all []pinflow.Installed
	var period int64
	var ranges, parts string
	_, err = pgx.ForEachRow(rows, []any{&period, &ranges, &parts}, func() error {
		i := pinflow.Installed{Period: pinflow.Period(period)}
		var stored []struct {
			pinflow.Part
			At string `json:"file"` // where it lay
		}
		if err := json.Unmarshal([]byte(ranges), &i.Ranges); err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(parts), &stored); err != nil {
			return err
		}
		for _, p := range stored {
			p.File = p.At
			i.Parts = append(i.Parts, p.Part)
		}
		all = append(all, i)
		return nil
	})
	return all, err
}

// outside is the condition of the rows of a topic, up to some positions, that lie in none of the ranges; "" if there can be none. It
// names offsets from and to, never which not, so that an index on them serves.
func outside(ranges []pinflow.InstalledRange, topic string, positions map[pinflow.TopicPartition]pinflow.Progress) string {
	var arms []string
	for _, tp := range sorted(positions) {
		if tp.Topic != topic {
			continue
		}
		var own []pinflow.InstalledRange
		for _, r := range ranges {
			if r.TopicPartition == tp && r.Start < r.End {
				own = append(own, r)
			}
		}
		slices.SortFunc(own, func(a, b pinflow.InstalledRange) int { return int(min(max(a.Start-b.Start, -1), 1)) })
		from := int64(0)
		for _, r := range own {
			if from < r.Start {
				arms = append(arms, fmt.Sprintf("_partition = %d AND _offset >= %d AND _offset < %d", tp.Partition, from, r.Start))
			}
			from = max(from, r.End)
		}
		if from < positions[tp].NextOffset {
			arms = append(arms, fmt.Sprintf("_partition = %d AND _offset >= %d", tp.Partition, from))
		}
	}
	if len(arms) == 0 {
		return ""
	}
	return "(" + strings.Join(arms, " OR ") + ")"
}
