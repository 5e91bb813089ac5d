package pipelines

import (
	"cmp"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/pinflow/pinflow"
)

// maxFile is how many bytes of a file are read: definitions are written by people.
const maxFile = 4 << 20

// loader reads one definition.
type loader struct {
	fsys   fs.FS
	at     string // the folder as people know it, before each file's name
	faults []pinflow.Fault
	def    *pinflow.Definition
	// sources are the names and cleaning the files that pipeline.yaml has, also those at fault: what refers to them is not
	// at fault too. They are nil if it could not be read.
	sources, cleaning map[string]bool
}

// Load reads the definition in fsys. at is what its folder is called where files are shown; the pipeline's
// name, unless pipeline.yaml gives one, is its last part. Every fault of the files is returned, ordered by file and line, and with
// them what could be read, so that a compiler can find the faults of the rest.
func Load(fsys fs.FS, at string) (*pinflow.Definition, []pinflow.Fault) {
	l := &loader{fsys: fsys, at: at, def: &pinflow.Definition{Name: path.Base(path.Clean(strings.ReplaceAll(at, `\`, "/")))}}
	l.pipeline()
	l.def.Metrics = l.scripts("metrics", ".sql")
	l.def.Reports = l.scripts("reports", ".sql")
	l.def.Tests = l.scripts("tests", ".yaml")
	l.strayModels()
	if len(l.def.Metrics) == 0 {
		l.fault("metrics", 0, "the pipeline has no metrics", "Write one SELECT … GROUP BY over a model into metrics/NAME.sql.")
	}
	slices.SortStableFunc(l.faults, func(a, b pinflow.Fault) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	return l.def, l.faults
}

func (l *loader) fault(file string, line int, message, hint string) {
	l.faults = append(l.faults, pinflow.Fault{File: l.shown(file), Line: line, Message: message, Hint: hint})
}

// shown is a file's name as people know it.
func (l *loader) shown(file string) string {
	if l.at == "" {
		return file
	}
	return path.Join(l.at, file)
}

// read returns a file's text; false with a fault noted at the line of pipeline.yaml that wants it, or at the file itself.
func (l *loader) read(file, wantedBy string, line int) (string, bool) {
	if !fs.ValidPath(file) {
		l.fault(wantedBy, line, file+" is not a path inside the pipeline's folder", "Name a file below the folder, without .. and a leading slash.")
		return "", false
	}
	info, err := fs.Stat(l.fsys, file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		l.fault(wantedBy, line, "there is no file "+file, "Write it, or name another.")
		return "", false
	case err == nil && info.Size() > maxFile:
		l.fault(file, 0, "the file is larger than 4 MiB", "A definition is text that people wrote: is it the right file?")
		return "", false
	}
	content, err := fs.ReadFile(l.fsys, file)
	if err != nil {
		l.fault(file, 0, "the file cannot be read: "+err.Error(), "")
		return "", false
	}
	return strings.TrimPrefix(string(content), "\ufeff"), true
}

// scripts reads the files of a folder with that ending, in order of name. A folder that is not there has none.
func (l *loader) scripts(folder, ending string) (all []pinflow.Script) {
	entries, err := fs.ReadDir(l.fsys, folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		l.fault(folder, 0, "the folder cannot be read: "+err.Error(), "")
	}
	for _, entry := range entries {
		file := path.Join(folder, entry.Name())
		name, ok := strings.CutSuffix(entry.Name(), ending)
		switch {
		case strings.HasPrefix(entry.Name(), "."):
			continue
		case !ok || entry.IsDir():
			l.fault(file, 0, "the folder "+folder+" holds *"+ending+" files only", "Move the file elsewhere, or name it *"+ending+".")
			continue
		}
		if text, ok := l.read(file, file, 0); ok {
			all = append(all, pinflow.Script{Name: name, File: l.shown(file), SQL: text, Description: firstComment(text)})
		}
	}
	return all
}

// strayModels notes cleaning that no model uses.
func (l *loader) strayModels() {
	if l.cleaning == nil {
		return
	}
	for _, s := range l.scripts("models", ".sql") {
		if !l.cleaning["models/"+s.Name+".sql"] {
			l.faults = append(l.faults, pinflow.Fault{File: s.File, Message: "no model of pipeline.yaml is named " + s.Name, Hint: "Add the model to pipeline.yaml, name the file in a model's sql, or remove it."})
		}
	}
}

// firstComment returns the comment that a script starts with, on one line.
func firstComment(sql string) string {
	sql = strings.TrimSpace(sql)
	if inner, ok := strings.CutPrefix(sql, "/*"); ok {
		inner, _, _ = strings.Cut(inner, "*/")
		return strings.Join(strings.Fields(strings.ReplaceAll(inner, "*", " ")), " ")
	}
	var words []string
	for line := range strings.Lines(sql) {
		text, ok := strings.CutPrefix(strings.TrimSpace(line), "--")
		if !ok {
			break
		}
		words = append(words, strings.Fields(text)...)
	}
	return strings.Join(words, " ")
}
