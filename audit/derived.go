package audit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"

	"github.com/pinflow/pinflow"
)

// readManifests reads the manifest of each installed period and holds it beside what was installed.
func (r *run) readManifests(ctx context.Context) error {
	for _, in := range r.installed {
		m, err := r.Derived.Manifest(ctx, r.Plan.Generation, in.Period)
		switch {
		case err == nil:
			r.derived[in.Period] = &m
			r.compareParts(in, &m)
		case damaged(err):
			r.findings.add(pinflow.Finding{Kind: pinflow.FindDerived, Where: r.name(in.Period), What: "the manifest of an installed period is missing or cannot be read", Found: err.Error(), Do: installAgain})
		default:
			return err
		}
	}
	return nil
}

// compareParts holds the manifest's files beside those from which the period was installed.
func (r *run) compareParts(in pinflow.Installed, m *pinflow.Manifest) {
	there := map[string]pinflow.Part{}
	for _, p := range m.Parts {
		there[p.Name] = p
	}
	for _, p := range in.Parts {
		p.File = ""
		found, ok := there[p.Name]
		if found.File = ""; !ok || found != p {
			r.findings.add(pinflow.Finding{Kind: pinflow.FindDerived, Where: p.Name, What: "the manifest does not name a file from which the period was installed, or names it otherwise",
				Expected: fmt.Sprintf("%d rows, %d bytes, SHA-256 %s", p.Rows, p.Size, p.SHA256), Found: fmt.Sprintf("%d rows, %d bytes, SHA-256 %s", found.Rows, found.Size, found.SHA256), Do: installAgain})
		}
	}
}

// checkInstalled reads the files of all installed periods: that they are as they were written, and that the store has their rows.
func (r *run) checkInstalled(ctx context.Context) error {
	r.step("reading derived files", len(r.installed))
	for i := range r.installed {
		if m := r.derived[r.installed[i].Period]; m != nil {
			if err := r.checkPeriod(ctx, &r.installed[i], m); err != nil {
				return err
			}
		}
		r.done()
	}
	return nil
}

func (r *run) checkPeriod(ctx context.Context, in *pinflow.Installed, m *pinflow.Manifest) error {
	staged, release, whole, err := r.stage(ctx, m.Parts)
	defer release()
	if err != nil {
		return err
	}
	if err := r.checkRows(ctx, m, staged); err != nil {
		return err
	}
	if !whole || r.Deep {
		return nil // the deep part compares the store with what it computes itself
	}
	return r.compareStored(ctx, in, m, staged)
}

// compareStored holds the store's rows of a period beside those of its derived files, which are on this machine.
func (r *run) compareStored(ctx context.Context, in *pinflow.Installed, m *pinflow.Manifest, staged []pinflow.Part) error {
	state, release, whole, err := r.stageState(ctx, m)
	defer release()
	if err != nil || !whole {
		return err
	}
	return r.compareStore(ctx, r.installation(in.Period, in.Ranges, staged, state), "the store's rows are not those of the derived files", false)
}

// stage brings parts to this machine and looks at each one's bytes. whole tells whether all are as they were written.
func (r *run) stage(ctx context.Context, parts []pinflow.Part) (staged []pinflow.Part, release func(), whole bool, err error) {
	var releases []func()
	release = func() {
		for _, f := range releases {
			f()
		}
	}
	whole = true
	for _, p := range parts {
		s, done, err := r.Derived.Stage(ctx, p)
		if err == nil {
			releases = append(releases, done)
			var fault string
			if fault, err = changed(s); fault != "" {
				whole = false
				r.findings.add(pinflow.Finding{Kind: pinflow.FindDerived, Where: p.Name, What: "a derived file is not as it was written", Expected: "SHA-256 " + p.SHA256, Found: fault, Do: installAgain})
				continue
			}
		}
		switch {
		case err == nil:
			staged = append(staged, s)
		case pinflow.KindOf(err) == pinflow.NotFound:
			whole = false
			r.findings.add(pinflow.Finding{Kind: pinflow.FindDerived, Where: p.Name, What: "a derived file is not there", Do: installAgain})
		case damaged(err):
			whole = false
			r.findings.add(pinflow.Finding{Kind: pinflow.FindDerived, Where: p.Name, What: "a derived file is not as it was written", Found: err.Error(), Do: installAgain})
		default:
			return staged, release, false, err
		}
	}
	return staged, release, whole, nil
}

// changed returns how a file differs from what its part says, "" if it does not. A file that is not there is NotFound.
func changed(p pinflow.Part) (string, error) {
	f, err := os.Open(p.File)
	if os.IsNotExist(err) {
		return "", &pinflow.Error{Op: "read", On: p.File, Kind: pinflow.NotFound, Err: err}
	}
	if err != nil {
		return "", &pinflow.Error{Op: "read", On: p.File, Err: err}
	}
	defer f.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, f)
	if err != nil {
		return "", &pinflow.Error{Op: "read", On: p.File, Err: err}
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != p.SHA256 || n != p.Size {
		return fmt.Sprintf("SHA-256 %s, %d bytes instead of %d", got, n, p.Size), nil
	}
	return "", nil
}

// checkRows counts the rows of files, and holds those of models beside the manifest's counts.
func (r *run) checkRows(ctx context.Context, m *pinflow.Manifest, staged []pinflow.Part) error {
	type rows struct {
		kind pinflow.PartKind
		of   string
	}
	found, claimed := map[rows]int64{}, map[rows]int64{}
	for _, p := range staged {
		n, err := r.rowsOf(ctx, p)
		if err != nil {
			r.findings.add(pinflow.Finding{Kind: pinflow.FindDerived, Where: p.Name, What: "a derived file cannot be read", Found: err.Error(), Do: installAgain})
			continue
		}
		if n != p.Rows {
			r.findings.add(pinflow.Finding{Kind: pinflow.FindDerived, Where: p.Name, What: "a derived file does not have as many rows as the manifest says", Expected: fmt.Sprint(p.Rows), Found: fmt.Sprint(n), Do: installAgain})
		}
		found[rows{p.Kind, p.Of}] += n
	}
	if len(staged) < len(m.Parts) {
		return ctx.Err() // what is missing is a finding
	}
	for _, c := range m.Counts {
		claimed[rows{pinflow.CleanPart, c.Model}] += c.Accepted
		claimed[rows{pinflow.RejectPart, c.Model}] += c.Rejected
	}
	for k, n := range claimed {
		if found[k] != n {
			r.findings.add(pinflow.Finding{Kind: pinflow.FindDerived, Where: r.name(m.Period) + " " + string(k.kind) + "/" + k.of, What: "the files do not have a row per record counted",
				Expected: fmt.Sprint(n), Found: fmt.Sprint(found[k]), Do: installAgain})
		}
	}
	return ctx.Err()
}
