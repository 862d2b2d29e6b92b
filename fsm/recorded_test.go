package fsm

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/raft"
	"github.com/rogpeppe/go-internal/diff"

	"github.com/arbiter-ha/arbiter/failover"
)

// TestRecordedLogs: a log that was recorded leads, entry by entry, to the states that it led to. A build in which it doesn't applies other
// rules than the one before, and must not do so in one cluster with it: docs/design.md, "The language of the log", says how rules change.
func TestRecordedLogs(t *testing.T) {
	if *update {
		write(t, filepath.Join(versionFolder(failover.CurrentVersion), "logs.gz"), compressed(t, recordLogs(t)))
	}
	paths, err := filepath.Glob("testdata/v*/logs.gz")
	if err != nil || len(paths) != int(failover.CurrentVersion) {
		t.Fatal("each version of the log language has a recorded log", paths, err)
	}
	for _, path := range paths {
		t.Run(path, func(t *testing.T) {
			for _, lines := range recordedLogs(t, path) {
				replay(t, lines)
			}
		})
	}
}

func replay(t *testing.T, lines string) {
	machine := New(Hooks{Halt: func(err error) { t.Fatal(err) }})
	for line := range strings.Lines(lines) {
		entry, hash := readLine(t, line)
		before := indented(t, machine)
		if err, failed := entry.applyTo(machine).(error); failed {
			t.Fatal(err)
		}
		if hashOf(t, machine) != hash {
			t.Fatalf("entry %d leads to another state than when it was recorded. If that is meant: from the first release on a change of the rules takes a "+
				"new version of the log language (docs/design.md); before it, record anew with -update.\nThe entry: %s\nWhat it changes now:\n%s",
				entry.log.Index, entry.text(t), diff.Diff("before", before, "after", indented(t, machine)))
		}
	}
}

// text is an entry as a person reads it.
func (c committed) text(t *testing.T) string {
	if c.configuration != nil {
		return fmt.Sprintf("voters %v", votersOf(*c.configuration))
	}
	body, _, err := Decode(c.log.Data)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%T %+v", body, body)
}

// indented is a state of which each value has a line of its own.
func indented(t *testing.T, machine *FSM) []byte {
	var text bytes.Buffer
	if err := json.Indent(&text, canonical(t, machine.State()), "", " "); err != nil {
		t.Fatal(err)
	}
	return text.Bytes()
}

func recordedLogs(t *testing.T, path string) []string {
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	unpacked, err := gzip.NewReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(unpacked)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n\n"), "\n\n")
}

func compressed(t *testing.T, data []byte) []byte {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}

// hashOf is the beginning of the hash of a state: enough to see a difference.
func hashOf(t *testing.T, machine *FSM) string {
	hash := sha256.Sum256(canonical(t, machine.State()))
	return hex.EncodeToString(hash[:8])
}

// recordLogs makes up logs that go through whole operations, each from an empty state, and keeps those that reach what the ones before
// didn't. One line is an index, a term, a command's bytes or a configuration's voters, and the hash of the state that it leads to; an empty
// line ends a log.
func recordLogs(t *testing.T) []byte {
	var recorded bytes.Buffer
	missing := []failover.EventKind{
		failover.GroupAdopted, failover.QuorumConfirmed, failover.LeaseGranted, failover.IsolationProven, failover.CatchUpDone,
		failover.PromoteDone, failover.OperationHeld, failover.OperationReleased, failover.OperationEnded, failover.RogueSeen, failover.Rejected,
		failover.GroupUnadopted, failover.MemberRestarts, failover.MemberAttested, failover.ReinstateAsked, failover.OperationAborted,
		failover.StateRestored, failover.GroupDeleted,
	}
	for seed := uint64(1); len(missing) > 0; seed++ {
		if seed > 2000 {
			t.Fatalf("no log ever gives %v", missing)
		}
		lines, reached := recordLog(t, seed)
		still := slices.DeleteFunc(slices.Clone(missing), func(kind failover.EventKind) bool { return reached[kind] })
		if len(still) < len(missing) {
			missing = still
			recorded.Write(lines)
			recorded.WriteByte('\n')
		}
	}
	return recorded.Bytes()
}

func recordLog(t *testing.T, seed uint64) (lines []byte, reached map[failover.EventKind]bool) {
	reached = map[failover.EventKind]bool{}
	machine := New(Hooks{
		Halt: func(err error) { t.Fatal(err) },
		OnApplied: func(_ failover.Index, _ *failover.State, events []failover.Event) {
			for _, e := range events {
				reached[e.Kind] = true
			}
		},
	})
	w := newWorkload(t, seed)
	add := func(entry committed) {
		entry.applyTo(machine)
		w.state = machine.State()
		what := hex.EncodeToString(entry.log.Data)
		if entry.configuration != nil {
			what = "voters:" + strings.Join(votersOf(*entry.configuration), ",")
		}
		lines = fmt.Appendf(lines, "%d %d %s %s\n", entry.log.Index, entry.log.Term, what, hashOf(t, machine))
	}
	w.beginning(add)
	for range 120 {
		if entry := w.next(); decodes(entry) { // a later version may give a meaning to what this one passes over
			add(entry)
		}
	}
	return lines, reached
}

func decodes(entry committed) bool {
	if entry.configuration != nil {
		return true
	}
	_, _, err := Decode(entry.log.Data)
	return err == nil
}

func votersOf(configuration raft.Configuration) []string {
	var ids []string
	for _, server := range configuration.Servers {
		ids = append(ids, string(server.ID))
	}
	return ids
}

func readLine(t *testing.T, line string) (entry committed, hash string) {
	var what string
	entry.log = &raft.Log{}
	if _, err := fmt.Sscan(line, &entry.log.Index, &entry.log.Term, &what, &hash); err != nil {
		t.Fatal(line, err)
	}
	if ids, ok := strings.CutPrefix(what, "voters:"); ok {
		var nodes []failover.NodeID
		for id := range strings.SplitSeq(ids, ",") {
			nodes = append(nodes, failover.NodeID(id))
		}
		configuration := voters(nodes...)
		entry.configuration = &configuration
		return entry, hash
	}
	data, err := hex.DecodeString(what)
	if err != nil {
		t.Fatal(err)
	}
	entry.log.Data = data
	return entry, hash
}
