package database

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/arbiter-ha/arbiter/internal/lab/hosts"
)

// segmentsOf lists the System V segments that a process made, as this process sees them: the fifth column of the
// kernel's table is who made it.
func segmentsOf(t *testing.T, pid int) []string {
	t.Helper()
	text, err := os.ReadFile("/proc/sysvipc/shm")
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 4 && fields[4] == strconv.Itoa(pid) {
			ids = append(ids, fields[1])
		}
	}
	return ids
}

// TestKilledServersLeaveNoSharedMemory ends servers in every violent way and looks at the whole system's memory.
func TestKilledServersLeaveNoSharedMemory(t *testing.T) {
	ends := map[string]func(context.Context, *Server, *hosts.Site) error{
		"crash":    func(ctx context.Context, s *Server, _ *hosts.Site) error { return s.Crash(ctx) },
		"poweroff": func(ctx context.Context, s *Server, _ *hosts.Site) error { return s.Host().PowerOff(ctx) },
		"close":    func(_ context.Context, _ *Server, site *hosts.Site) error { return site.Close() },
	}
	for _, kind := range []hosts.Kind{hosts.Loopback, hosts.Automatic} {
		for name, end := range ends {
			t.Run(string(kind)+name, func(t *testing.T) {
				ctx := patient(t)
				site, err := hosts.Open(ctx, hosts.Options{Names: []string{"pg-a"}, Kind: kind})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = site.Close() })
				s, err := New(ctx, Options{Template: shared, Host: site.Host("pg-a")}, nil)
				if err != nil {
					t.Fatal(err)
				}
				if err := s.Start(ctx); err != nil {
					t.Fatal(err)
				}
				made := segmentsOf(t, s.process.PID())
				if site.Kind() == hosts.Loopback && len(made) != 1 || site.Kind() == hosts.Namespaces && len(made) != 0 {
					t.Errorf("a server on a %s host has segments %v out here", site.Kind(), made)
				}
				maps, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(s.process.PID()), "maps"))
				if err != nil {
					t.Fatal(err)
				}
				if strings.Contains(string(maps), "/dev/shm/") {
					t.Error("the server uses shared memory that a kill leaves behind")
				}
				if err := end(ctx, s, site); err != nil {
					t.Fatal(err)
				}
				if left := segmentsOf(t, s.process.PID()); len(left) != 0 {
					t.Errorf("segments %v were left", left)
				}
			})
		}
	}
}

// TestServerStartsAgainAfterPowerLoss proves that a new life gets along with what the old one left on its host.
func TestServerStartsAgainAfterPowerLoss(t *testing.T) {
	ctx := patient(t)
	h := site(t, "pg-a").Host("pg-a")
	s, err := New(ctx, Options{Template: shared, Host: h}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Start(ctx); err != nil {
			t.Fatal(err)
		}
		if err := h.PowerOff(ctx); err != nil {
			t.Fatal(err)
		}
		if err := h.PowerOn(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSegmentOfReadsLockFiles(t *testing.T) {
	full := []string{"4711", "/data", "1700000000", "5432", "/run", "127.0.0.1", "  16908290        98306", "ready   ", ""}
	for _, test := range []struct {
		lines []string
		id    int
		found bool
	}{
		{lines: full, id: 98306, found: true},
		{lines: full[:6]},
		{lines: slices.Concat(full[:6], []string{"what"})},
		{lines: nil},
	} {
		if id, found := segmentOf(strings.Join(test.lines, "\n")); id != test.id || found != test.found {
			t.Errorf("%q: %d, %v", test.lines, id, found)
		}
	}
}
