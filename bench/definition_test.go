package bench

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// variant writes the shipped definition to a folder, without entities and reports, over another topic. rows is what is kept of posts.
func variant(b *testing.B, topic string, partitions int, rows string) string {
	b.Helper()
	dir := b.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../pipelines/pinterest")); err != nil {
		b.Fatal(err)
	}
	entities, err := filepath.Glob(filepath.Join(dir, "metrics", "pins_*"))
	if err != nil {
		b.Fatal(err)
	}
	for _, name := range append(entities, filepath.Join(dir, "reports")) {
		if err := os.RemoveAll(name); err != nil {
			b.Fatal(err)
		}
	}
	file := filepath.Join(dir, "pipeline.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		b.Fatal(err)
	}
	definition, _, found := strings.Cut(string(text), "  - name: pins\n")
	if !found {
		b.Fatal("the shipped definition has no pins")
	}
	for _, change := range [][2]string{
		{"topic: PinterestPipelineTopic", "topic: " + topic}, {"partitions: 1", "partitions: " + strconv.Itoa(partitions)}, {"rows: all", "rows: " + rows},
	} {
		if !strings.Contains(definition, change[0]) {
			b.Fatalf("the shipped definition has no line %q", change[0])
		}
		definition = strings.Replace(definition, change[0], change[1], 1)
	}
	if err := os.WriteFile(file, []byte(definition), 0o600); err != nil {
		b.Fatal(err)
	}
	return dir
}
