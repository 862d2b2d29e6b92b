package fsm

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/fsm/wire/wiretest"
)

// update rewrites the files of the present version. Bytes of a released version must never change.
var update = flag.Bool("update", false, "rewrite testdata of the present version of the log language")

func versionFolder(version failover.EntryVersion) string {
	return filepath.Join("testdata", fmt.Sprintf("v%d", version))
}

func write(t *testing.T, path string, data []byte) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestGoldenEntries: the bytes of every sample are as they were, and give the body that they gave.
func TestGoldenEntries(t *testing.T) {
	path := filepath.Join(versionFolder(1), "entries.txt")
	if *update {
		var lines strings.Builder
		for _, s := range wiretest.Samples(t) {
			fmt.Fprintf(&lines, "%s %x\n", s.Name, encodeSample(t, s))
		}
		write(t, path, []byte(lines.String()))
	}
	golden := goldenEntries(t, path)
	for _, s := range wiretest.Samples(t) {
		t.Run(s.Name, func(t *testing.T) {
			data, ok := golden[s.Name]
			if !ok {
				t.Fatal("no golden bytes: run the test with -update")
			}
			body, _, err := Decode(data)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(body, s.Body) {
				t.Errorf("got  %+v\nwant %+v", body, s.Body)
			}
			if now := encodeSample(t, s); !bytes.Equal(now, data) {
				t.Errorf("encoded today:\n%x\ngolden:\n%x", now, data)
			}
		})
	}
	if len(golden) != len(wiretest.Samples(t)) {
		t.Errorf("%d golden entries, %d samples", len(golden), len(wiretest.Samples(t)))
	}
}

func goldenEntries(t tester, path string) map[string][]byte {
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	golden := map[string][]byte{}
	for line := range strings.Lines(string(text)) {
		name, digits, _ := strings.Cut(strings.TrimSpace(line), " ")
		data, err := hex.DecodeString(digits)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		golden[name] = data
	}
	return golden
}

// TestGoldenSnapshot: a snapshot of every version is restored, and nothing that it holds is lost. Fields that a later
// version adds may appear; none may vanish.
func TestGoldenSnapshot(t *testing.T) {
	path := filepath.Join(versionFolder(failover.CurrentVersion), "snapshot.bin")
	if *update {
		write(t, path, snapshotOf(t, fullState()))
	}
	snapshots, err := filepath.Glob("testdata/v*/snapshot.bin")
	if err != nil || len(snapshots) != int(failover.CurrentVersion) {
		t.Fatal(snapshots, err)
	}
	for _, path := range snapshots {
		t.Run(path, func(t *testing.T) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			machine := New(Hooks{})
			if err := machine.Restore(readCloser(data)); err != nil {
				t.Fatal(err)
			}
			var before, after any
			if err := json.Unmarshal(stateBytes(t, data), &before); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(canonical(t, machine.State()), &after); err != nil {
				t.Fatal(err)
			}
			contains(t, "state", after, before)
		})
	}
}

// contains reports everything in part that whole does not have.
func contains(t *testing.T, path string, whole, part any) {
	switch part := part.(type) {
	case map[string]any:
		fields, _ := whole.(map[string]any)
		for name, value := range part {
			contains(t, path+"."+name, fields[name], value)
		}
	case []any:
		elements, _ := whole.([]any)
		if len(elements) != len(part) {
			t.Errorf("%s: %d elements, want %d", path, len(elements), len(part))
			return
		}
		for i, value := range part {
			contains(t, fmt.Sprintf("%s[%d]", path, i), elements[i], value)
		}
	default:
		if !reflect.DeepEqual(whole, part) {
			t.Errorf("%s: %v, want %v", path, whole, part)
		}
	}
}
