package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pinflow/pinflow"
)

// check checks what a parser made of a text: want, or an error that says so.
func check(t *testing.T, text, got string, err error, want string) {
	t.Helper()
	if err == nil {
		if got != want {
			t.Errorf("%q is read as %q, want %q", text, got, want)
		}
		return
	}
	if !strings.Contains(err.Error(), want) || pinflow.KindOf(err) != pinflow.Invalid || pinflow.HintOf(err) == "" || got != "" {
		t.Errorf("%q: %q, %v, want %q", text, got, err, want)
	}
	if strings.Contains(err.Error(), "hush") {
		t.Errorf("%q: the error shows the password: %v", text, err)
	}
}

func TestParseLakeAndStore(t *testing.T) {
	for text, want := range map[string]string{
		"file:///var/lake":                           "/var/lake",
		"file:///var/lake/":                          "/var/lake",
		"file:///a%20b/%23c/ü":                       "/a b/#c/ü",
		"s3://bucket":                                "s3://bucket",
		"s3://bucket/a/b?endpoint=http://x&region=y": "s3://bucket/a/b?endpoint=http://x&region=y",
		"":                    "does not begin with file:// or s3://",
		"lake":                "does not begin with",
		"/var/lake":           "does not begin with",
		"gs://bucket":         "does not begin with",
		"file:lake":           "three slashes",
		"file://lake/x":       "three slashes",
		"file://./lake":       "three slashes",
		"file://":             "three slashes",
		"file:///":            "no path",
		"file:///a?b":         "behind the path",
		"file:///a#b":         "behind the path",
		"file:///a%zz":        "invalid URL escape",
		"s3://":               "nothing behind the slashes",
		"s3:///prefix":        "nothing behind the slashes",
		"s3://b?x=%zz":        "invalid URL escape",
		"s3://user:hush@b:x/": "it is no URL",
		"duckdb:///x":         "does not begin with",
	} {
		folder, s3, err := ParseLake(text)
		if s3 != nil {
			folder = s3.String()
		}
		check(t, "lake "+text, folder, err, want)
	}
	for text, want := range map[string]string{
		"duckdb:///var/store.duckdb":                   "/var/store.duckdb",
		"postgres://u@h/d":                             "postgres://u@h/d",
		"postgresql://u:hush@h:5432/d?sslmode=require": "postgresql://u:hush@h:5432/d?sslmode=require",
		"duckdb:store":                                 "three slashes",
		"duckdb://store/x":                             "three slashes",
		"postgres:///d":                                "nothing behind the slashes",
		"postgres://u:hush@h:port/d":                   "it is no URL",
		"postgres://u:hu%zzsh@h/d":                     "",
		"mysql://u:hush@h/d":                           "does not begin with duckdb:// or postgres://",
		"mysql://h/d?password=hush":                    "does not begin with",
	} {
		file, postgres, err := ParseStore(text)
		if postgres != nil {
			file = postgres.String()
		}
		check(t, "store "+text, file, err, want)
	}
}

func TestHasPassword(t *testing.T) {
	for text, want := range map[string]bool{
		"postgres://u@h/d": false, "postgres://h/d": false, "file:///a@b": false, "embedded:": false, "kafka://a:1,b:2": false, "": false,
		"postgres://u:p@h/d": true, "postgres://u:@h/d": true, "postgres://h/d?password=p": true, "postgres://h/d?user=u&sslpassword=p": true,
		"kafka://u:p@a:1,b:2": true, "postgres://u:p%zz@h/d": true,
	} {
		if got := hasPassword(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// TestDefaultPlacesAreInTheDataFolder, whatever it is called.
func TestDefaultPlacesAreInTheDataFolder(t *testing.T) {
	t.Chdir(t.TempDir())
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, data := range []string{"./pinflow-data", "/var/x", "a b", "50%", "what?#", "ü:@"} {
		p := Places{Journal: "embedded:", Data: data}
		full := data
		if !filepath.IsAbs(data) {
			full = filepath.Join(here, data)
		}
		lake, _, lakeErr := ParseLake(p.LakeURL())
		store, _, storeErr := ParseStore(p.StoreURL())
		if lakeErr != nil || storeErr != nil || lake != filepath.Join(full, "lake") || store != filepath.Join(full, "store.duckdb") || p.JournalDir() != filepath.Join(data, "journal") {
			t.Errorf("%q: %q %v, %q %v", data, lake, lakeErr, store, storeErr)
		}
	}
	p := Places{Lake: "s3://b", Store: "postgres://h/d"}
	if !slices.Equal([]string{p.LakeURL(), p.StoreURL()}, []string{p.Lake, p.Store}) {
		t.Error("places that are set are not kept")
	}
}
