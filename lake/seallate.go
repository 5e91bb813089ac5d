package lake

import (
	"context"
	"slices"

	"github.com/pinflow/pinflow"
)

// fewFolders is how many sealed folders are searched for a late object without asking the journal which it is.
const fewFolders = 4

// findLate looks for objects behind the last seal's end whose folders were sealed before they came: a broker's clock had stepped back beyond
// the grace. They belong to the next seal. An object is put only when the one before is there, so one is missing only if the
// first that was listed does not start at the seal's end, or none was listed although the journal has gone on.
func (v *view) findLate(ctx context.Context, j pinflow.JournalReader, c *chain) error {
	if v.last == nil {
		return nil
	}
	var late []Object
	at, floor := c.before, c.floor
	for {
		if len(c.objects) > 0 && c.objects[0].Start == at || len(c.objects) == 0 && c.logEnd <= at {
			break
		}
		o, ok, err := v.lateObject(ctx, j, c.TopicPartition, at, floor)
		if err != nil {
			return err
		}
		if !ok {
			if len(c.objects) > 0 {
				return v.gap(c, at)
			}
			break
		}
		e, err := v.Extent(ctx, o)
		if err != nil {
			return err
		}
		late, at, floor = append(late, o), e.End, o.Period
	}
	c.objects = append(late, c.objects...)
	c.end = max(c.end, at)
	return nil
}

// lateObject finds the object that starts at an offset, in the sealed folders from floor on.
func (v *view) lateObject(ctx context.Context, j pinflow.JournalReader, tp pinflow.TopicPartition, at int64, floor pinflow.Period) (Object, bool, error) {
	folders := v.folders[:v.firstOpen()]
	from, _ := slices.BinarySearch(folders, floor) // behind them all, if an object was found that came since the folders were listed
	folders = folders[from:]
	if len(folders) > fewFolders {
		records, err := j.Read(ctx, tp, at, 1)
		switch {
		case pinflow.KindOf(err) == pinflow.OutOfRange && err != nil: // the journal has forgotten it
		case err != nil:
			return Object{}, false, err
		case len(records) == 0:
			return Object{}, false, nil
		default:
			folders = []pinflow.Period{v.PeriodLength().Of(records[0].Timestamp, floor)}
		}
	}
	for _, p := range folders {
		for o, err := range v.Topic.list(ctx, Object{TopicPartition: tp, Period: p, Start: at}.Name(v.PeriodLength())) {
			return o, err == nil, err
		}
	}
	return Object{}, false, nil
}
