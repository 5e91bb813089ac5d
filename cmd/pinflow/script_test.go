package main

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/datalock"
	"github.com/pinflow/pinflow/journal/kafka"
)

// TestScripts runs the scripts of testdata, each a user's session with the real binary in a folder of its own.
// What they start listens on free ports.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"ready": ready, "held": held, "http": request, "produce": produce, "lines": lines, "holds": holds, "says": says, "server": fakeServer, "tried": tried, "until": until, "id": keyID,
		},
		Condition: func(condition string) (bool, error) { return condition == "root" && os.Getuid() == 0, nil },
		Setup: func(e *testscript.Env) error {
			e.Values[requestsKey{}] = &atomic.Int64{}
			e.Setenv("PINFLOW_HTTP", "127.0.0.1:0")
			e.Setenv("PINFLOW_KAFKA_LISTEN", "127.0.0.1:0")
			return nil
		},
	})
}

// TestStoppedWhileStarting stops commands before they have opened anything.
func TestStoppedWhileStarting(t *testing.T) {
	for _, words := range [][]string{{"up"}, {"lake"}} {
		var out, errors bytes.Buffer
		code := run(ended(), append(words, "--data", dataFolder(t), "--http", "127.0.0.1:0", "--kafka-listen", "127.0.0.1:0"), &out, &errors)
		if code != exitDone || out.Len()+errors.Len() > 0 {
			t.Errorf("%s: exit %d, %s%s", words, code, out.String(), errors.String())
		}
	}
}

// patience is how long a script waits for what a process in the background is to do.
const patience = 2 * time.Minute

// ready [DIR] waits until the pinflow that holds DIR is ready, and sets $HTTP and $KAFKA to where it listens.
func ready(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) <= 1, "ready [DIR]")
	dir := ts.MkAbs(cmp.Or(strings.Join(args, ""), "pinflow-data"))
	await(ts, "pinflow is ready", func() bool {
		holder, err := datalock.Holder(dir)
		if err != nil || holder == nil || holder.HTTP == "" {
			return false
		}
		ts.Setenv("HTTP", holder.HTTP)
		ts.Setenv("KAFKA", holder.Kafka)
		answer, err := http.Get(holder.HTTP + "/readyz")
		if err != nil {
			return false
		}
		return answer.Body.Close() == nil && answer.StatusCode == http.StatusOK
	})
}

// held [DIR] waits until a pinflow that may have no HTTP holds DIR, and sets $KAFKA.
func held(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) <= 1, "held [DIR]")
	dir := ts.MkAbs(cmp.Or(strings.Join(args, ""), "pinflow-data"))
	await(ts, "a broker runs on "+dir, func() bool {
		holder, err := datalock.Holder(dir)
		if err != nil || holder == nil || holder.Kafka == "" {
			return false
		}
		ts.Setenv("KAFKA", holder.Kafka)
		return true
	})
}

// http METHOD URL [FILE] [Header:value…] prints status, content type and body. A body is gzipped if its Content-Encoding says so.
func request(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) >= 2, "http METHOD URL [FILE] [Header:value…]")
	var body []byte
	rest := args[2:]
	if len(rest) > 0 && !strings.Contains(rest[0], ":") {
		body, rest = []byte(ts.ReadFile(rest[0])), rest[1:]
	}
	if slices.Contains(rest, "Content-Encoding:gzip") {
		var packed bytes.Buffer
		w := gzip.NewWriter(&packed)
		_, err := w.Write(body)
		ts.Check(err)
		ts.Check(w.Close())
		body = packed.Bytes()
	}
	r, err := http.NewRequest(args[0], args[1], bytes.NewReader(body))
	ts.Check(err)
	for _, header := range rest {
		name, value, _ := strings.Cut(header, ":")
		if r.Header.Set(name, value); name == "Host" {
			r.Host = value
		}
	}
	answer, err := http.DefaultClient.Do(r)
	ts.Check(err)
	defer answer.Body.Close()
	fmt.Fprintln(ts.Stdout(), answer.StatusCode, answer.Header.Get("Content-Type"))
	_, err = io.Copy(ts.Stdout(), answer.Body)
	ts.Check(err)
}

// produce TOPIC FILE appends each line of a file, past the API, to the topic of the broker at $KAFKA and prints where.
func produce(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) == 2, "produce TOPIC FILE")
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	j, err := kafka.Open(ctx, kafka.Options{Brokers: []string{ts.Getenv("KAFKA")}})
	ts.Check(err)
	defer j.Close()
	for line := range strings.Lines(ts.ReadFile(args[1])) {
		receipt := j.Append(ctx, []pinflow.Draft{{Topic: args[0], Partition: pinflow.AnyPartition, Value: []byte(strings.TrimSuffix(line, "\n"))}})[0]
		ts.Check(receipt.Err)
		fmt.Fprintln(ts.Stdout(), receipt.Position)
	}
}

// lines DIR prints the lines of all objects of a lake, sorted.
func lines(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) == 1, "lines DIR")
	all, err := linesBelow(ts.MkAbs(args[0]))
	ts.Check(err)
	slices.Sort(all)
	fmt.Fprintln(ts.Stdout(), strings.Join(all, "\n"))
}

// holds DIR N waits until the objects of a lake have N lines.
func holds(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) == 2, "holds DIR N")
	want, err := strconv.Atoi(args[1])
	ts.Check(err)
	await(ts, "the lake has "+args[1]+" lines", func() bool {
		all, err := linesBelow(ts.MkAbs(args[0]))
		return err == nil && len(all) == want
	})
}

// says FILE PATTERN waits until a line of a file matches.
func says(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) == 2, "says FILE PATTERN")
	pattern, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	await(ts, args[0]+" says "+args[1], func() bool {
		text, err := os.ReadFile(ts.MkAbs(args[0]))
		return err == nil && pattern.Match(text)
	})
}

func linesBelow(dir string) (all []string, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".json.gz") {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		unpacked, err := gzip.NewReader(f)
		if err != nil {
			return err
		}
		scanner := bufio.NewScanner(unpacked)
		for scanner.Scan() {
			all = append(all, scanner.Text())
		}
		return scanner.Err()
	})
	return all, err
}

// requestsKey is where a script counts the requests that its fake server has had.
type requestsKey struct{}

// server STATUS… starts a server at $SERVER that answers posts with these statuses in turn, with the last one for ever; 0 is a
// connection that breaks off.
func fakeServer(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) > 0, "server STATUS…")
	var statuses []int
	for _, arg := range args {
		status, err := strconv.Atoi(arg)
		ts.Check(err)
		statuses = append(statuses, status)
	}
	had := ts.Value(requestsKey{}).(*atomic.Int64)
	had.Store(0)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return
		}
		n := int(had.Add(1))
		status := statuses[min(n, len(statuses))-1]
		if status == 0 {
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"topic":"t","partition":0,"offset":%d,"detail":"try later"}`, n)
	}))
	ts.Defer(s.Close)
	ts.Setenv("SERVER", s.URL)
}

// tried N waits until the fake server has had N requests.
func tried(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) == 1, "tried N")
	want, err := strconv.ParseInt(args[0], 10, 64)
	ts.Check(err)
	had := ts.Value(requestsKey{}).(*atomic.Int64)
	await(ts, "the server has had "+args[0]+" requests", func() bool { return had.Load() >= want })
}

// until CODE WORDS… runs pinflow until it ends with an exit code: for what a running process notices after a moment.
func until(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) > 1, "until CODE WORDS…")
	await(ts, "pinflow "+strings.Join(args[1:], " ")+" ends with "+args[0], func() bool {
		err := ts.Exec("pinflow", args[1:]...)
		code := 0
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
			code = exit.ExitCode()
		}
		return strconv.Itoa(code) == args[0]
	})
}

// id FILE sets $ID to the id of the key in a file.
func keyID(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) == 1, "id FILE")
	parts := strings.Split(ts.ReadFile(args[0]), "_")
	usage(ts, len(parts) == 3, "id FILE, with a key in it")
	ts.Setenv("ID", parts[1])
}

func usage(ts *testscript.TestScript, ok bool, line string) {
	if !ok {
		ts.Fatalf("usage: %s", line)
	}
}

// await waits for what a process in the background brings about.
func await(ts *testscript.TestScript, what string, holds func() bool) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline.C:
			ts.Fatalf("still not after %s: %s", patience, what)
		}
	}
}
