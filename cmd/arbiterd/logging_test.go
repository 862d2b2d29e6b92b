package main

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
)

func TestRepeats_OncePerPeerAndMinute(t *testing.T) {
	now := time.Unix(1000, 0)
	var out bytes.Buffer
	log := hclog.New(&hclog.LoggerOptions{Output: &out, Exclude: newRepeats(func() time.Time { return now }).exclude}).Named("raft")
	count := func(text string) int {
		defer out.Reset()
		return strings.Count(out.String(), text)
	}
	for range 10 {
		log.Error("failed to heartbeat to", "peer", "az-b:7400", "backoff time", time.Second)
		log.Error("failed to heartbeat to", "peer", "az-c:7400", "backoff time", time.Second)
		log.Info("entering leader state")
	}
	text := out.String()
	if strings.Count(text, "az-b") != 1 || strings.Count(text, "az-c") != 1 || strings.Count(text, "entering leader") != 10 {
		t.Errorf("written:\n%s", text)
	}
	out.Reset()
	now = now.Add(repeatAfter)
	log.Error("failed to heartbeat to", "peer", "az-b:7400")
	if count("az-b") != 1 {
		t.Error("a peer that stays away is not heard of any more")
	}
}

// While no majority is there an arbiter tries to be elected several times a second; that stands in the log once a minute.
func TestRepeats_OfAnArbiterAlone(t *testing.T) {
	now := time.Unix(1000, 0)
	var out bytes.Buffer
	log := hclog.New(&hclog.LoggerOptions{Output: &out, Exclude: newRepeats(func() time.Time { return now }).exclude}).Named("raft")
	round := func(i int) {
		log.Info("entering candidate state", "node", "Node at az-a:7400 [Candidate]", "term", i)
		log.Info("pre-vote campaign failed, waiting for election timeout", "term", i, "tally", 1)
		log.Warn("Election timeout reached, restarting election")
	}
	for i := range 100 {
		round(i)
		now = now.Add(repeatAfter / 200)
	}
	if lines := strings.Count(out.String(), "\n"); lines != 3 {
		t.Errorf("%d lines in half a minute:\n%s", lines, out.String())
	}
	out.Reset()
	now = now.Add(repeatAfter)
	round(101)
	if lines := strings.Count(out.String(), "\n"); lines != 3 {
		t.Errorf("%d lines in the next minute:\n%s", lines, out.String())
	}
}

// A caller that is not let in comes from another port each time.
func TestRepeats_OncePerHostThatIsNotLetIn(t *testing.T) {
	var out bytes.Buffer
	log := hclog.New(&hclog.LoggerOptions{Output: &out, Exclude: newRepeats(time.Now).exclude})
	for port := range 10 {
		for _, host := range []string{"10.0.0.1", "2001:db8::1"} {
			from := &net.TCPAddr{IP: net.ParseIP(host), Port: 40000 + port}
			log.Named("raft-net").Error("failed to decode incoming command", "error", &net.OpError{Op: "accept", Net: "tcp", Addr: from, Err: io.ErrUnexpectedEOF})
			log.Warn("connection refused at the gRPC port", "from", from.String(), "error", "certificate of another cluster")
		}
	}
	log.Error("failed to decode incoming command", "error", io.ErrUnexpectedEOF)
	for text, want := range map[string]int{"10.0.0.1:40000": 2, "[2001:db8::1]:40000": 2, "\n": 5} {
		if got := strings.Count(out.String(), text); got != want {
			t.Errorf("%q is there %d times, want %d:\n%s", text, got, want, out.String())
		}
	}
}

// Whoever has a network of addresses comes from another host each time too. That hides nothing else, and there is an end to it.
func TestRepeats_OfStrangersFromEverywhereAreBounded(t *testing.T) {
	now := time.Unix(1000, 0)
	var out bytes.Buffer
	log := hclog.New(&hclog.LoggerOptions{Output: &out, Exclude: newRepeats(func() time.Time { return now }).exclude})
	const minutes = 3
	for i := range 100 * 60 * minutes { // a hundred times a second
		from := &net.TCPAddr{IP: net.IPv4(10, 1, byte(i>>8), byte(i)), Port: 40000}
		log.Warn("connection refused at the gRPC port", "from", from.String(), "error", "certificate of another cluster")
		now = now.Add(10 * time.Millisecond)
	}
	log.Error("failed to heartbeat to", "peer", "az-b:7400")
	for text, most := range map[string]int{"connection refused": (minutes + 1) * mostSubjects, "az-b:7400": 1} {
		if got := strings.Count(out.String(), text); got == 0 || got > most {
			t.Errorf("%q is there %d times, want at most %d", text, got, most)
		}
	}
}

// What comes of a connection that this arbiter has closed itself is no error; what comes of others is.
func TestRepeats_NoErrorOfAnOrderlyStop(t *testing.T) {
	var out bytes.Buffer
	log := hclog.New(&hclog.LoggerOptions{Output: &out, Exclude: newRepeats(time.Now).exclude}).Named("raft-net")
	own, others := &net.OpError{Op: "read", Err: net.ErrClosed}, &net.OpError{Op: "read", Err: io.ErrUnexpectedEOF}
	for _, message := range []string{"failed to decode incoming command", "failed to flush response", "failed to accept connection"} {
		log.Error(message, "error", own)
	}
	log.Error("peer has newer term, stopping replication", "peer", "az-b")
	if out.Len() > 0 {
		t.Errorf("of an orderly stop there is:\n%s", out.String())
	}
	log.Error("failed to flush response", "error", others)
	log.Error("failed to appendEntries to", "peer", "az-b", "error", io.EOF)
	if got := strings.Count(out.String(), "[ERROR]"); got != 2 {
		t.Errorf("of two errors there is:\n%s", out.String())
	}
}

// Messages are kept away by their exact words and keys, which are Raft's: a release of it that says them otherwise fails here.
func TestRepeats_AreWordsThatRaftSays(t *testing.T) {
	said := saidBy(t, "github.com/hashicorp/raft")
	for message, subject := range repeating {
		if message == "connection refused at the gRPC port" { // our own
			continue
		}
		if len(said[message]) == 0 {
			t.Errorf("Raft does not say %q", message)
		}
		ofNobody := reflect.ValueOf(subject).Pointer() == reflect.ValueOf(nothing).Pointer()
		for _, keys := range said[message] {
			if !ofNobody && subject(pairsOf(keys)) == "" {
				t.Errorf("%q is said with %v, which doesn't tell of whom", message, keys)
			}
		}
	}
}

// pairsOf gives each key a value, of which a subject can be told.
func pairsOf(keys []string) []any {
	var pairs []any
	for _, key := range keys {
		value := any(&net.OpError{Op: "accept", Addr: &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 4000}, Err: io.EOF})
		if key != "error" {
			value = "10.0.0.1:4000"
		}
		pairs = append(pairs, key, value)
	}
	return pairs
}

// saidBy are the messages that the source of a module logs, and the keys beside each, wherever it is said.
func saidBy(t *testing.T, module string) map[string][][]string {
	t.Helper()
	folder, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(folder)), "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	said := map[string][][]string{}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if message, keys, ok := logCall(n); ok {
				said[message] = append(said[message], keys)
			}
			return true
		})
	}
	return said
}

// logCall reads a call like logger.Warn("message", "key", value).
func logCall(n ast.Node) (message string, keys []string, ok bool) {
	call, ok := n.(*ast.CallExpr)
	if !ok || len(call.Args) == 0 {
		return "", nil, false
	}
	method, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || !slices.Contains([]string{"Debug", "Info", "Warn", "Error"}, method.Sel.Name) {
		return "", nil, false
	}
	if message, ok = literal(call.Args[0]); !ok {
		return "", nil, false
	}
	for i := 1; i < len(call.Args); i += 2 {
		if key, ok := literal(call.Args[i]); ok {
			keys = append(keys, key)
		}
	}
	return message, keys, true
}

func literal(e ast.Expr) (string, bool) {
	basic, ok := e.(*ast.BasicLit)
	if !ok {
		return "", false
	}
	text, err := strconv.Unquote(basic.Value)
	return text, err == nil
}
