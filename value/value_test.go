package value

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pinflow/pinflow/internal/realtest"
)

const pinSchema = `{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "title": "A pin",
  "type": "object",
  "required": ["index", "unique_id", "title", "description", "follower_count", "tag_list", "is_image_or_video", "image_src", "downloaded", "save_location", "category"],
  "properties": {
    "index": {"type": "integer"},
    "unique_id": {"type": "string", "minLength": 1},
    "title": {"type": "string"},
    "description": {"type": "string"},
    "poster_name": {"type": "string"},
    "follower_count": {"type": "string"},
    "tag_list": {"type": "string"},
    "is_image_or_video": {"type": "string"},
    "image_src": {"type": "string"},
    "downloaded": {"type": "integer", "enum": [0, 1]},
    "save_location": {"type": "string"},
    "category": {"type": "string"}
  }
}`

const pin = `{"index": 7528, "unique_id": "fbe53c66-3442-4773-b19e-d3ec6f54dddf", "title": "No Title Data Available", "description": "A long description of something that somebody made at home, with paper and some glue; also with \"quotes\", twice.", "poster_name": "Somebody Or Other", "follower_count": "10k", "tag_list": "Paper,Glue,Home Decoration,Things To Make,Winter Evenings,Crafts For Grown Ups", "is_image_or_video": "image", "image_src": "https://i.example.com/originals/0c/37/fa/0c37fab39da6ded220c3f9ccac8d117c.jpg", "downloaded": 1, "save_location": "Local save in /data/diy-and-crafts", "category": "diy-and-crafts"}`

func compiled(t testing.TB, schema string) *Schema {
	t.Helper()
	s, faults := CompileSchema("schema.json", []byte(schema))
	if len(faults) > 0 {
		t.Fatalf("schema refused: %v", faults)
	}
	return s
}

func TestAcceptedRecordAllocatesNothing(t *testing.T) {
	s := compiled(t, pinSchema)
	if faults := s.Check([]byte(pin)); faults != nil {
		t.Fatal(faults)
	}
	if s.full != nil {
		t.Error("the schema of pins needs the library")
	}
	v := []byte(pin)
	if n := testing.AllocsPerRun(100, func() { s.Check(v) }); n > 0 {
		t.Errorf("Check allocates %v times", n)
	}
	if n := testing.AllocsPerRun(100, func() { IsPlain(v) }); n > 0 {
		t.Errorf("IsPlain allocates %v times", n)
	}
}

func TestRealPinsAreAccepted(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(realtest.Data(t), "pins.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	s := compiled(t, pinSchema)
	for line := range bytes.Lines(data) {
		if faults := s.Check(line); faults != nil {
			t.Errorf("%v: %s", faults, line)
		}
		var want bytes.Buffer
		if err := json.Compact(&want, line); err != nil {
			t.Fatal(err)
		}
		if got := Compact(nil, line); string(got) != want.String() {
			t.Errorf("compacted %s\nwant      %s", got, want.String())
		}
	}
}

func BenchmarkCheckPin(b *testing.B) {
	s, v := compiled(b, pinSchema), []byte(pin)
	b.SetBytes(int64(len(v)))
	b.ReportAllocs()
	for b.Loop() {
		s.Check(v)
	}
}

func BenchmarkPlainPin(b *testing.B) {
	v := []byte(pin)
	b.SetBytes(int64(len(v)))
	b.ReportAllocs()
	for b.Loop() {
		IsPlain(v)
	}
}

func BenchmarkCompactPin(b *testing.B) {
	v := []byte(pin)
	dst := make([]byte, 0, len(v))
	b.SetBytes(int64(len(v)))
	for b.Loop() {
		dst = Compact(dst[:0], v)
	}
}

func BenchmarkValidPin(b *testing.B) {
	v := []byte(pin)
	b.SetBytes(int64(len(v)))
	for b.Loop() {
		json.Valid(v)
	}
}

func BenchmarkCheckAccents(b *testing.B) {
	s, v := compiled(b, pinSchema), []byte(strings.ReplaceAll(pin, "o", "ö"))
	b.SetBytes(int64(len(v)))
	for b.Loop() {
		s.Check(v)
	}
}
