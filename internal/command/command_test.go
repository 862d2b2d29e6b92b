//go:build linux

package command

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// helperVariable makes the test binary act as an arbiter that runs a program and never ends by itself.
const helperVariable = "COMMAND_TEST_HELPER"

func TestMain(m *testing.M) {
	if file := os.Getenv(helperVariable); file != "" {
		_, err := Run(context.Background(), Command{Path: os.Args[1], Arguments: []string{file}})
		fmt.Println("the program ended:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func script(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// eventually waits for a condition and fails the test if it doesn't come.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !condition(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// pids reads process ids, one per line, and makes sure that none of them outlives the test.
func pids(t *testing.T, file string) []int {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	var ids []int
	for _, field := range strings.Fields(string(content)) {
		id, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	t.Cleanup(func() {
		for _, id := range ids {
			if running(id) {
				_ = syscall.Kill(id, syscall.SIGKILL)
			}
		}
	})
	return ids
}

func running(id int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", id))
	if err != nil {
		return false
	}
	state := strings.Fields(string(stat[strings.LastIndex(string(stat), ")")+1:]))[0]
	return state != "Z" && state != "X"
}

func wantAllEnded(t *testing.T, ids []int, want int) {
	t.Helper()
	if len(ids) != want {
		t.Fatalf("want %d processes, the program wrote %v", want, ids)
	}
	for _, id := range ids {
		if running(id) {
			t.Errorf("process %d still runs", id)
		}
	}
}

func TestRunGivesInputAndReturnsOutputAndExitStatus(t *testing.T) {
	r, err := Run(t.Context(), Command{Path: "/bin/sh", Arguments: []string{"-c", "cat; echo problem >&2; exit 7"}, Input: "a=1\nb=2\n"})
	if err != nil || r.Exit != 7 || r.Stdout.Text != "a=1\nb=2\n" || r.Stderr.Text != "problem\n" || r.Stdout.Cut || r.Took <= 0 {
		t.Fatalf("got %+v, %v", r, err)
	}
}

func TestRunWhenTheProgramDoesNotReadItsInput(t *testing.T) {
	r, err := Run(t.Context(), Command{Path: "/bin/true", Input: strings.Repeat("x", 1<<20)})
	if err != nil || r.Exit != 0 {
		t.Fatalf("got %+v, %v", r, err)
	}
}

func TestRunErrors(t *testing.T) {
	for name, test := range map[string]struct {
		command Command
		want    error
	}{
		"missing":        {Command{Path: "/nowhere/program"}, ErrNotStarted},
		"not executable": {Command{Path: script(t, "not-executable")}, ErrNotStarted},
		"time limit":     {Command{Path: "/bin/sleep", Arguments: []string{"1000"}, Limit: 50 * time.Millisecond}, ErrTimeLimit},
		"signal":         {Command{Path: script(t, "kills-itself")}, ErrKilled},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := Run(t.Context(), test.command)
			if !errors.Is(err, test.want) || r.Exit != -1 || !strings.Contains(err.Error(), test.command.Path) {
				t.Fatalf("got %+v, %v", r, err)
			}
			if errors.Is(err, ErrCanceled) {
				t.Errorf("not canceled by anybody: %v", err)
			}
		})
	}
}

func TestRunDoesNotStartWithAnEndedContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	lost := errors.New("leadership lost")
	cancel(lost)
	file := filepath.Join(t.TempDir(), "started")
	_, err := Run(ctx, Command{Path: "/bin/touch", Arguments: []string{file}})
	if !errors.Is(err, ErrCanceled) || !errors.Is(err, lost) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("the program was started")
	}
}

func TestS15_CancelEndsTheWholeFamily(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pids")
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		for {
			if content, _ := os.ReadFile(file); strings.Count(string(content), "\n") == 3 {
				cancel(errors.New("another fence won"))
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	r, err := Run(ctx, Command{Path: script(t, "family"), Arguments: []string{file}})
	wantAllEnded(t, pids(t, file), 3)
	if !errors.Is(err, ErrCanceled) || !strings.Contains(err.Error(), "another fence won") {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestS15_FrozenProgramEnds(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pids")
	for limit := 300 * time.Millisecond; limit < time.Minute; limit *= 2 { // on a busy machine it may be ended before it has begun
		_, err := Run(t.Context(), Command{Path: script(t, "freezes"), Arguments: []string{file}, Limit: limit})
		if !errors.Is(err, ErrTimeLimit) {
			t.Fatalf("got %v", err)
		}
		if len(pids(t, file)) > 0 {
			break
		}
	}
	wantAllEnded(t, pids(t, file), 1)
}

func TestS15_ChildrenLeftBehindAreEnded(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pids")
	r, err := Run(t.Context(), Command{Path: script(t, "leaves-children"), Arguments: []string{file}})
	wantAllEnded(t, pids(t, file), 1)
	if err != nil || r.Exit != 0 || r.Stdout.Text != "finished\n" {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestRunIsNotHeldUpByAProcessThatLeftTheGroup(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pids")
	r, err := Run(t.Context(), Command{Path: script(t, "escapes"), Arguments: []string{file}, Limit: time.Minute})
	ids := pids(t, file)
	if err != nil || r.Exit != 0 || r.Stdout.Text != "finished\n" || r.Took > 30*time.Second {
		t.Errorf("got %+v, %v", r, err)
	}
	if len(ids) != 1 {
		t.Errorf("got %v", ids)
	}
}

func TestRunSurvivesAProgramThatSignalsItsGroup(t *testing.T) {
	r, err := Run(t.Context(), Command{Path: script(t, "kills-its-group")})
	if err != nil || r.Stdout.Text != "survived\n" {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestRunBoundsOutput(t *testing.T) {
	r, err := Run(t.Context(), Command{Path: script(t, "noisy"), MaxOutput: 1000})
	if err != nil || r.Exit != 3 {
		t.Fatalf("got exit %d, %v", r.Exit, err)
	}
	if !r.Stdout.Cut || !r.Stderr.Cut || r.Stdout.Text != strings.Repeat("x", 1000) || r.Stderr.Text != strings.Repeat("y", 1000) {
		t.Errorf("kept %d and %d bytes", len(r.Stdout.Text), len(r.Stderr.Text))
	}
}

// Scenario 55: a secret in the arbiter's environment is not handed to programs.
func TestScenario55_EnvironmentIsNotInherited(t *testing.T) {
	t.Setenv("ARBITER_PG_PASSWORD", "hunter2")
	t.Setenv("LC_TIME", "C")
	r, err := Run(t.Context(), Command{Path: "/usr/bin/env", Environment: []string{"ARBITER_EPOCH=5"}})
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(r.Stdout.Text, "\n")
	if strings.Contains(r.Stdout.Text, "hunter2") || !slices.Contains(lines, "ARBITER_EPOCH=5") || !slices.Contains(lines, "LC_TIME=C") {
		t.Errorf("the program saw %q", r.Stdout.Text)
	}
	if got := harmless(nil); !slices.ContainsFunc(got, func(v string) bool { return strings.HasPrefix(v, "PATH=/") }) {
		t.Errorf("no PATH in %v", got)
	}
}

func TestS15_FamilyDiesWithItsArbiter(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "pids")
	helper := exec.Command(self, script(t, "family"))
	helper.Env = append(os.Environ(), helperVariable+"="+file)
	helper.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := helper.Start(); err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	end := func() { once.Do(func() { _ = helper.Process.Kill(); _ = helper.Wait() }) }
	t.Cleanup(end)
	eventually(t, "the family runs", func() bool { return len(pids(t, file)) == 3 })
	ids := pids(t, file)
	for _, id := range ids {
		if !running(id) {
			t.Fatalf("process %d of %v ended too early", id, ids)
		}
	}
	end()
	eventually(t, "the family died with the arbiter", func() bool { return !slices.ContainsFunc(ids, running) })
}

func TestRunLeavesNoFilesOpen(t *testing.T) {
	count := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	run := func() {
		_, _ = Run(t.Context(), Command{Path: "/bin/true"})
		_, _ = Run(t.Context(), Command{Path: "/nowhere"})
		_, _ = Run(t.Context(), Command{Path: "/bin/sleep", Arguments: []string{"1000"}, Limit: 5 * time.Millisecond})
	}
	run()
	before := count()
	for range 5 {
		run()
	}
	if after := count(); after > before {
		t.Errorf("%d files were open, now %d", before, after)
	}
}

func TestRunManyAtOnce(t *testing.T) {
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			r, err := Run(t.Context(), Command{Path: "/bin/cat", Input: strconv.Itoa(i)})
			if err != nil || r.Stdout.Text != strconv.Itoa(i) {
				t.Errorf("got %+v, %v", r, err)
			}
		})
	}
	all.Wait()
}

func TestRunsInGroup(t *testing.T) {
	for stat, want := range map[string]bool{
		"12 (sh) S 1 77 77 0":         true,
		"12 (a) b) S 5) R 1 77 77 0":  true,
		"12 (sh) Z 1 77 77 0":         false,
		"12 (sh) S 77 1 77 0":         false,
		"12 (sh) S":                   false,
		"":                            false,
		"12 (x) S 1 77 (fake) Z 1 77": false,
	} {
		if got := runsInGroup(stat, 77); got != want {
			t.Errorf("%q: got %v", stat, got)
		}
	}
}

func BenchmarkRunTrue(b *testing.B) {
	for b.Loop() {
		if _, err := Run(b.Context(), Command{Path: "/bin/true"}); err != nil {
			b.Fatal(err)
		}
	}
}
