package clients

import (
	"reflect"
	"slices"
	"testing"
)

// TestGroups has members join and leave a group, and a later one go on from what was committed.
func TestGroups(t *testing.T) {
	others := kafkaClients(t)
	eachJournal(t, func(t *testing.T, p *process) {
		const count = 120
		want := byPlace(t, post(t, p, posts(t, "groups", count)), false)
		for _, c := range others {
			strategies := []string{"range"}
			if c.isConfluent() {
				strategies = append(strategies, "cooperative-sticky")
			}
			for _, strategy := range strategies {
				t.Run(c.name+" "+strategy, func(t *testing.T) {
					t.Parallel()
					memberships(t, c, p.ask("group", c.name+strategy+p.topic, "strategy", strategy, "count", count), want)
				})
			}
		}
	})
}

// memberships has three members of a client come and one go, and another one after all of them.
func memberships(t *testing.T, c client, ask, want map[string]any) {
	var got struct {
		Seen          []sent
		Shares        []int
		Committed     []int64
		More          int
		FromBeginning int   `json:"from_beginning"`
		AfterSeek     int64 `json:"after_seek"`
	}
	c.run(t, "group", ask, &got)
	same(t, "the group", byPlace(t, got.Seen, true), want)
	ends := make([]int64, topicParts)
	for _, r := range got.Seen {
		ends[r.Partition] = max(ends[r.Partition], r.Offset+1)
	}
	if !slices.Equal(got.Shares, []int{1, 1, 1}) || !slices.Equal(got.Committed, ends) {
		t.Errorf("three members had %v partitions, and committed %v, want one each and %v", got.Shares, got.Committed, ends)
	}
	if got.More != 0 || got.FromBeginning != len(want) || got.AfterSeek != 1 {
		t.Errorf("a member after the last commit saw %d records, from the beginning %d, after a seek to 1 offset %d", got.More, got.FromBeginning, got.AfterSeek)
	}
}

// TestLatest has consumers begin at the end of the log.
func TestLatest(t *testing.T) {
	others := kafkaClients(t)
	eachJournal(t, func(t *testing.T, p *process) {
		post(t, p, posts(t, "before", 30))
		for _, c := range others {
			if c.isConfluent() {
				continue
			}
			var got struct {
				Before     map[string]int64
				Sent, Seen []sent
			}
			c.run(t, "latest", p.ask("seed", "latest-"+c.name, "count", 10), &got)
			want := byPlace(t, got.Sent, false)
			if seen := byPlace(t, got.Seen, false); !reflect.DeepEqual(seen, want) {
				t.Errorf("%s saw %v, sent were %v", c.name, seen, want)
			}
		}
	})
}
