package ingest

import "context"

// HoldRoom takes all the memory that posts may hold, when they have given back theirs, until release is called.
func (in *Ingest) HoldRoom(ctx context.Context) (release func(), err error) {
	if err := in.room.Acquire(ctx, in.Memory); err != nil {
		return nil, err
	}
	return func() { in.room.Release(in.Memory) }, nil
}
