//go:build linux

package route

import (
	"context"
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
	look := func(ctx context.Context) Problem {
		_, unread := all.Astray(ctx, route, switchRequest(5), "pg-a")
		return *unread
	}
	if unread := look(fs.UntilHangs(t)); !unread.Silent || !strings.Contains(unread.Message, "killed but still not ended") {
		t.Errorf("the first look: %+v", unread)
	}
	for range 2 {
		if unread := look(t.Context()); !unread.Silent || !strings.Contains(unread.Message, "not started again") {
			t.Errorf("another look: %+v", unread)
		}
	}
	if requests, err := os.ReadFile(filepath.Join(dir, "requests")); err != nil || strings.Count(string(requests), "\n") != 1 {
		t.Errorf("it was asked %q, %v", requests, err)
	}
}
