//go:build linux

package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/internal/hungfs"
)

// A program that hangs inside the kernel is started once, and again when it has ended.
func TestRunnerDoesNotStartAgainWhatIsStuck(t *testing.T) {
	fs, started := hungfs.Mount(t), filepath.Join(t.TempDir(), "started")
	script := fmt.Sprintf("echo >>%s; exec cat %s", started, filepath.Join(fs.Folder, "any"))
	hangs := Command{Path: "/bin/sh", Arguments: []string{"-c", script}, Limit: 50 * time.Millisecond}
	var r Runner
	for ; ; hangs.Limit *= 2 { // on a busy machine it may be killed before it hangs
		_, err := r.Run(t.Context(), hangs)
		if !errors.Is(err, ErrTimeLimit) || hangs.Limit > time.Minute {
			t.Fatalf("the first: %v", err)
		}
		if errors.Is(err, ErrStuck) {
			break
		}
		_ = os.Remove(started)
	}
	began := time.Now()
	for range 3 {
		if result, err := r.Run(t.Context(), hangs); !errors.Is(err, ErrStuck) || errors.Is(err, ErrTimeLimit) || result.Exit != -1 {
			t.Fatalf("while it is stuck: %+v, %v", result, err)
		}
	}
	if took := time.Since(began); took > stuckAfter {
		t.Errorf("three refusals took %v", took)
	}
	if _, err := r.Run(t.Context(), Command{Path: "/bin/sh", Arguments: []string{"-c", "exit 0"}}); err != nil {
		t.Errorf("another one: %v", err)
	}
	if content, err := os.ReadFile(started); err != nil || string(content) != "\n" {
		t.Errorf("the starts: %q, %v", content, err)
	}
	fs.LetGo()
	eventually(t, "it may be started again", func() bool {
		_, err := r.Run(t.Context(), hangs)
		return err == nil // cat fails at once now
	})
}

// A program that has ended, but left a child that hangs inside the kernel, counts as stuck until that child has ended.
func TestRunnerDoesNotStartAgainWhatLeftAStuckChild(t *testing.T) {
	for name, end := range map[string]string{"ends by itself": "exit 0", "is ended": "exec sleep 1000"} {
		t.Run(name, func(t *testing.T) {
			fs, dir := hungfs.Mount(t), t.TempDir()
			started, hangs := filepath.Join(dir, "started"), filepath.Join(dir, "hangs")
			script := fmt.Sprintf("echo >>%s; cat %s & until [ -e %s ]; do sleep 0.01; done; %s", started, filepath.Join(fs.Folder, "any"), hangs, end)
			leaves := Command{Path: "/bin/sh", Arguments: []string{"-c", script}}
			ctx, cancel := context.WithCancel(t.Context())
			var sure sync.WaitGroup
			sure.Go(func() {
				<-fs.Hangs()
				if err := os.WriteFile(hangs, nil, 0o600); err != nil {
					t.Error(err)
				}
				if end != "exit 0" {
					cancel()
				}
			})
			var r Runner
			if _, err := r.Run(ctx, leaves); !errors.Is(err, ErrStuck) || errors.Is(err, ErrCanceled) != (end != "exit 0") {
				t.Fatalf("the first: %v", err)
			}
			cancel()
			sure.Wait()
			for began := time.Now(); time.Since(began) < leftInterval; {
				if _, err := r.Run(t.Context(), leaves); !errors.Is(err, ErrStuck) || !strings.Contains(err.Error(), "not started again") {
					t.Fatalf("while its child is stuck: %v", err)
				}
			}
			if content, err := os.ReadFile(started); err != nil || string(content) != "\n" {
				t.Errorf("the starts: %q, %v", content, err)
			}
			fs.LetGo()
			leaves.Limit = time.Second // now it leaves nothing, and "is ended" by this
			eventually(t, "it may be started again", func() bool {
				_, err := r.Run(t.Context(), leaves)
				return !errors.Is(err, ErrStuck)
			})
		})
	}
}
