//go:build linux

package route

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/hungfs"
)

// A program that nobody can end is started once, however often the route is looked at.
func TestACommandThatCannotBeEndedIsStartedOnce(t *testing.T) {
	router, dir := newSwitch(t, "sticks")
	fs, all := hungfs.Mount(t), routers()
	settings := literals("command", router.(*commandRouter).path, "dir", dir, "mode", "sticks", "sticks_on", filepath.Join(fs.Folder, "any"))
	route := failover.Route{Router: "command", Name: "switch", Settings: settings}
	look := func(ctx context.Context) error {
		_, err := all.Astray(ctx, route, switchRequest(5), "pg-a")
		return err
	}
	if err := look(fs.UntilHangs(t)); !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "killed but still not ended") {
		t.Errorf("the first look: %v", err)
	}
	for range 2 {
		if err := look(t.Context()); !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "not started again") {
			t.Errorf("another look: %v", err)
		}
	}
	if requests, err := os.ReadFile(filepath.Join(dir, "requests")); err != nil || strings.Count(string(requests), "\n") != 1 {
		t.Errorf("it was asked %q, %v", requests, err)
	}
}
