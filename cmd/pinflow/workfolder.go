package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/config"
	"github.com/pinflow/pinflow/internal/datalock"
)

// workFolders is how many processes of a machine can share one --data.
const workFolders = 64

// ownsData tells whether a process with these places owns the data folder: one of its places lies in this process, and so can have no other user.
// Journal and store of servers are shared, by any number of processes.
func ownsData(p config.Places) (bool, error) {
	place, err := config.ParseJournalURL(p.Journal)
	if err != nil {
		return false, err
	}
	file, _, err := config.ParseStore(p.StoreURL())
	return place.Embedded || file != "", err
}

// takeFolder takes the folder in which the process keeps what is its own: the data folder, if it owns that, else the first free one of those
// within that are there for processes that share all places.
func takeFolder(p config.Places, c *closers) (dir string, lock *datalock.Lock, err error) {
	owns, err := ownsData(p)
	if err != nil {
		return "", nil, err
	}
	if owns {
		lock, err = datalock.Acquire(p.Data, datalock.Info{})
		if err != nil {
			return "", nil, err
		}
		c.add(lock.Release)
		return p.Data, lock, nil
	}
	for n := range workFolders {
		dir = filepath.Join(p.Data, "process-"+strconv.Itoa(n+1))
		lock, err = datalock.Acquire(dir, datalock.Info{})
		if err == nil {
			c.add(lock.Release)
			return dir, lock, nil
		}
		if pinflow.KindOf(err) != pinflow.Exists {
			return "", nil, err
		}
	}
	return "", nil, &pinflow.Error{Op: "take a work folder", On: p.Data, Kind: pinflow.Exists, Err: fmt.Errorf("%d processes work there: %w", workFolders, errors.Unwrap(err)),
		Hint: "Give this one another folder with --data."}
}
