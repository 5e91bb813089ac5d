package audit

import (
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"strconv"

	"github.com/pinflow/pinflow"
)

// deep computes everything anew. It keeps a chain of entity state of its own, and never reads the stored Parquet but to compare.
type deep struct {
	*run
	engine pinflow.BatchEngine
	source *source
	dir    string
	state  map[string][]pinflow.Part // of entities, up to where it has come
	held   map[string]bool           // folders with files of the state
	runs   int
}

// recompute is the deep part of a run.
func (r *run) recompute(ctx context.Context) (err error) {
	if !r.Deep {
		return nil
	}
	d := &deep{run: r, state: map[string][]pinflow.Part{}, held: map[string]bool{}, source: &source{RawReader: r.Raw, journal: r.Journal}}
	if err := os.MkdirAll(r.Scratch, 0o700); err != nil {
		return scratchError(r.Scratch, err)
	}
	if d.dir, err = os.MkdirTemp(r.Scratch, "audit-"); err != nil {
		return scratchError(r.Scratch, err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(d.dir)) }()
	if d.engine, err = r.Engine(ctx, d.source); err != nil {
		return err
	}
	if c, ok := d.engine.(io.Closer); ok {
		defer func() { err = errors.Join(err, c.Close()) }()
	}
	r.step("computing anew", len(r.installed))
	whole, err := d.periods(ctx)
	if err != nil || !whole {
		return err
	}
	if err = d.tail(ctx); damaged(err) {
		d.findings.add(pinflow.Finding{Kind: pinflow.FindLake, Where: "records that are not installed", What: "they cannot be read", Found: err.Error(), Do: restoreLake})
		err = nil
	}
	return err
}

func scratchError(dir string, err error) error {
	return &pinflow.Error{Op: "make a folder for the audit", On: dir, Err: err, Hint: "Free some space there, or give another folder."}
}

// periods computes the installed periods, oldest first. It returns false if it had to break off: what comes later cannot be computed then.
func (d *deep) periods(ctx context.Context) (bool, error) {
	for i := range d.installed {
		in := &d.installed[i]
		seals, whole, err := d.sealsOf(ctx, in)
		if err == nil && whole {
			err = d.period(ctx, in, seals)
		}
		if damaged(err) {
			d.findings.add(pinflow.Finding{Kind: pinflow.FindLake, Where: d.name(in.Period), What: "the period cannot be computed anew from the lake", Found: err.Error(), Do: restoreLake})
			err, whole = nil, false
		}
		if err != nil {
			return false, err
		}
		if !whole {
			d.note(d.name(in.Period) + ": neither it nor what comes after it was computed anew, as its records cannot be read whole from the lake; the store was compared with the derived files.")
			return false, d.rest(ctx, d.installed[i:])
		}
		d.done()
	}
	return true, nil
}

// rest compares the store with the derived files, of periods that cannot be computed.
func (d *deep) rest(ctx context.Context, periods []pinflow.Installed) error {
	for i := range periods {
		m := d.derived[periods[i].Period]
		if m == nil {
			continue
		}
		staged, release, err := d.stageQuietly(ctx, m.Parts)
		if err == nil && len(staged) == len(m.Parts) {
			err = d.compareStored(ctx, &periods[i], m, staged)
		}
		release()
		if err != nil {
			return err
		}
	}
	return nil
}

// sealsOf returns a period's seals; whole is false if one is not there although records were installed.
func (d *deep) sealsOf(ctx context.Context, in *pinflow.Installed) (seals []pinflow.Seal, whole bool, err error) {
	for _, topic := range d.topics() {
		found := false
		for s, err := range d.Raw.Seals(ctx, topic) {
			if err != nil && !damaged(err) {
				return nil, false, err
			}
			if err != nil || s.Period > in.Period {
				break
			}
			if s.Period == in.Period {
				seals, found = append(seals, s), true
				break
			}
		}
		for _, ir := range in.Ranges {
			if ir.Topic == topic && ir.Start < ir.End && !found {
				return nil, false, nil
			}
		}
	}
	return seals, true, nil
}

// period computes one and compares it with the stored Parquet and with the store.
func (d *deep) period(ctx context.Context, in *pinflow.Installed, seals []pinflow.Seal) error {
	made, err := d.refine(ctx, in.Period, seals)
	if err != nil {
		return err
	}
	if m := d.derived[in.Period]; m != nil {
		if err := d.compareDerived(ctx, in.Period, m, made.Parts); err != nil {
			return err
		}
		d.compareTallies(in.Period, m, made)
	}
	err = d.compareStore(ctx, d.installation(in.Period, in.Ranges, made.Parts, d.state), "the store's rows are not those that follow from the lake's records", d.Record)
	return errors.Join(err, d.sweep())
}

// made is what was computed, and where it lies.
type made struct {
	*pinflow.Refined
	folder string
}

// refine computes records that count as a period's, and moves the state on.
func (d *deep) refine(ctx context.Context, p pinflow.Period, seals []pinflow.Seal) (made, error) {
	d.runs++
	folder := d.dir + string(os.PathSeparator) + strconv.Itoa(d.runs)
	if err := os.Mkdir(folder, 0o700); err != nil {
		return made{}, scratchError(folder, err)
	}
	out, err := d.engine.Refine(ctx, pinflow.Closed{Period: p, Seals: seals, Before: maps.Clone(d.state), Dir: folder, Progress: d.did})
	if err != nil {
		return made{}, err
	}
	m := pinflow.Manifest{Parts: out.Parts, Before: d.state}
	next := map[string][]pinflow.Part{}
	for i := range d.Plan.Tables {
		if t := &d.Plan.Tables[i]; t.Kind == pinflow.Entities {
			next[t.Name] = m.StateOf(t.Name)
		}
	}
	d.state = next
	d.held[folder] = true
	return made{out, folder}, nil
}

// sweep removes what was computed and compared, but for what the state is made of.
func (d *deep) sweep() error {
	needed := map[string]bool{}
	for _, parts := range d.state {
		for _, p := range parts {
			needed[p.File] = true
		}
	}
	var failed error
	for folder := range d.held {
		entries, err := os.ReadDir(folder)
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		left := 0
		for _, e := range entries {
			if file := folder + string(os.PathSeparator) + e.Name(); needed[file] {
				left++
			} else {
				failed = errors.Join(failed, os.RemoveAll(file))
			}
		}
		if left == 0 {
			failed = errors.Join(failed, os.RemoveAll(folder))
			delete(d.held, folder)
		}
	}
	return failed
}
