package hosts

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/internal/lab/disk"
)

// openSite opens a site that is closed, and found clean, when the test ends.
func openSite(t *testing.T, options Options) *Site {
	t.Helper()
	s, err := Open(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		remains := s.record
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		for _, path := range append([]string{remains.Dir, remains.path}, namespacePaths(remains)...) {
			if _, err := os.Stat(path); err == nil {
				t.Errorf("%s is left behind", path)
			}
		}
		if _, err := os.Stat(remains.Cgroup); remains.Cgroup != "" && err == nil {
			t.Errorf("%s is left behind", remains.Cgroup)
		}
	})
	return s
}

func namespacePaths(r record) []string {
	var paths []string
	for _, name := range r.Namespaces {
		paths = append(paths, namespacePath(name))
	}
	return paths
}

// eventually waits for a condition of the outside world.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("never came true: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// variants are all the ways in which a site can be made on this machine.
func variants(names ...string) map[string]Options {
	all := map[string]Options{
		"loopback, control groups":   {Kind: Loopback, Names: names},
		"loopback, process scan":     {Kind: Loopback, Names: names, WithoutCgroups: true},
		"namespaces, control groups": {Kind: Namespaces, Names: names},
		"namespaces, process scan":   {Kind: Namespaces, Names: names, WithoutCgroups: true},
	}
	if os.Geteuid() != 0 {
		delete(all, "namespaces, control groups")
		delete(all, "namespaces, process scan")
	}
	return all
}

// orphanMaker leaves a process behind that has left its group, its session and its parent.
const orphanMaker = `setsid sh -c 'sleep 1000 & sleep 1001 & wait' </dev/null >/dev/null 2>&1 & sleep 1002`

func TestPowerOffLeavesNoProcess(t *testing.T) {
	for name, options := range variants("a", "b") {
		t.Run(name, func(t *testing.T) {
			s := openSite(t, options)
			a, b := s.Host("a"), s.Host("b")
			p := startOrphans(t, a)
			other, err := b.Start(Command{Path: "sleep", Args: []string{"1000"}})
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Kill(); err != nil {
				t.Fatal(err)
			}
			if pids, err := a.PIDs(); err != nil || len(pids) < 3 {
				t.Fatalf("orphans of a killed process: %v, %v", pids, err)
			}
			begin := time.Now()
			if err := a.PowerOff(t.Context()); err != nil {
				t.Fatal(err)
			}
			t.Logf("power off took %v", time.Since(begin))
			if pids, err := a.PIDs(); err != nil || len(pids) > 0 {
				t.Errorf("processes after power off: %v, %v", pids, err)
			}
			if !other.Running() {
				t.Error("the neighbour's process died too")
			}
			if _, err := a.Start(Command{Path: "true"}); !errors.Is(err, ErrOff) {
				t.Errorf("start on a host without power: %v", err)
			}
			if err := a.PowerOff(t.Context()); err != nil {
				t.Errorf("off twice: %v", err)
			}
		})
	}
}

func startOrphans(t *testing.T, h *Host) *Process {
	t.Helper()
	p, err := h.Start(Command{Path: "sh", Args: []string{"-c", orphanMaker}})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "five processes run", func() bool {
		pids, err := h.PIDs()
		return err == nil && len(pids) == 5
	})
	return p
}

func TestPowerOnBoots(t *testing.T) {
	s := openSite(t, Options{Names: []string{"a"}})
	a := s.Host("a")
	boots := 0
	a.OnBoot(func(context.Context) error { boots++; return nil })
	for range 2 {
		if err := a.PowerOff(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := a.PowerOn(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if boots != 2 || !a.On() {
		t.Errorf("%d boots, on %v", boots, a.On())
	}
	if out, err := a.Run(t.Context(), Command{Path: "echo", Args: []string{"back"}}); err != nil || string(out) != "back\n" {
		t.Errorf("run after power on: %q, %v", out, err)
	}
}

func TestFreezeStopsEverythingAndThawGoesOn(t *testing.T) {
	for name, options := range variants("a") {
		t.Run(name, func(t *testing.T) {
			s := openSite(t, options)
			a := s.Host("a")
			counter := filepath.Join(a.Dir(), "ticks")
			if _, err := a.Start(Command{Path: "sh", Args: []string{"-c", "while :; do echo >> ticks; done"}}); err != nil {
				t.Fatal(err)
			}
			size := func() int64 {
				info, err := os.Stat(counter)
				if err != nil {
					return 0
				}
				return info.Size()
			}
			eventually(t, "it counts", func() bool { return size() > 0 })
			if err := a.Freeze(t.Context()); err != nil {
				t.Fatal(err)
			}
			frozen := size()
			time.Sleep(50 * time.Millisecond)
			if now := size(); now != frozen {
				t.Errorf("counted from %d to %d while frozen", frozen, now)
			}
			if _, err := a.Start(Command{Path: "true"}); !errors.Is(err, ErrFrozen) {
				t.Errorf("start on a frozen host: %v", err)
			}
			if err := a.Thaw(); err != nil {
				t.Fatal(err)
			}
			eventually(t, "it counts again", func() bool { return size() > frozen })
			if err := a.Freeze(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := a.PowerOff(t.Context()); err != nil {
				t.Fatalf("power off a frozen host: %v", err)
			}
		})
	}
}

func TestRunReportsFailureAndEndsWithItsContext(t *testing.T) {
	s := openSite(t, Options{Names: []string{"a"}})
	a := s.Host("a")
	var exit *exec.ExitError
	_, err := a.Run(t.Context(), Command{Path: "sh", Args: []string{"-c", "echo because >&2; exit 3"}})
	if !errors.As(err, &exit) || exit.ExitCode() != 3 || !strings.Contains(err.Error(), "because") {
		t.Errorf("failed program: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := a.Run(ctx, Command{Path: "sleep", Args: []string{"1000"}}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("program that takes too long: %v", err)
	}
	if _, err := a.Run(t.Context(), Command{Path: "cat", Stdin: "given"}); err != nil {
		t.Error(err)
	}
	if _, err := a.Start(Command{Path: "no-such-program"}); err == nil {
		t.Error("a program that isn't there was started")
	}
}

func TestProcessKeepsItsLog(t *testing.T) {
	s := openSite(t, Options{Names: []string{"a"}})
	p, err := s.Host("a").Start(Command{Name: "talker", Path: "sh", Args: []string{"-c", "echo hello; exit 1"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Err(); err == nil || !strings.Contains(err.Error(), "hello") {
		t.Errorf("error without the log: %v", err)
	}
	if p.Running() {
		t.Error("an ended process runs")
	}
}

// echo answers each line on every address of the host.
func echo(t *testing.T, h *Host, port int) {
	t.Helper()
	for _, addr := range []netip.Addr{h.Addr(), h.Addr6()} {
		listener, err := h.Listen("tcp", net.JoinHostPort(addr.String(), strconv.Itoa(port)))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { listener.Close() })
		go func() {
			for {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				go func() {
					defer conn.Close()
					_, _ = io.Copy(conn, conn)
				}()
			}
		}()
	}
}

// ask sends a line and waits for it to come back.
func ask(conn net.Conn, patience time.Duration) error {
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := fmt.Fprintln(conn, "hello"); err != nil {
		return err
	}
	_, err := bufio.NewReader(conn).ReadString('\n')
	return err
}

func dial(t *testing.T, from *Host, to netip.Addr, port int, patience time.Duration) (net.Conn, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, err := from.Dial(ctx, "tcp", net.JoinHostPort(to.String(), strconv.Itoa(port)))
	if err == nil {
		t.Cleanup(func() { conn.Close() })
	}
	return conn, err
}

func TestServersGetToTheirFoldersWhateverTheUmask(t *testing.T) {
	before := syscall.Umask(0o077)
	defer syscall.Umask(before)
	s := openSite(t, Options{Names: []string{"a"}})
	for _, dir := range []string{s.Dir(), s.Host("a").Dir(), s.Host("a").LogDir()} {
		info, err := os.Stat(dir)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o755 {
			t.Errorf("%s: %v", dir, info.Mode())
		}
	}
}

func TestHostsReachEachOther(t *testing.T) {
	for name, options := range variants("a", "b") {
		t.Run(name, func(t *testing.T) {
			s := openSite(t, options)
			a, b := s.Host("a"), s.Host("b")
			port, err := b.FreePort(7000)
			if err != nil {
				t.Fatal(err)
			}
			echo(t, b, port)
			for _, addr := range []netip.Addr{b.Addr(), b.Addr6()} {
				conn, err := dial(t, a, addr, port, time.Minute)
				if err != nil {
					t.Fatal(err)
				}
				if err := ask(conn, time.Minute); err != nil {
					t.Errorf("ask %s: %v", addr, err)
				}
			}
		})
	}
}

func TestTwoSitesDoNotCollide(t *testing.T) {
	first := openSite(t, Options{Names: []string{"a", "b"}})
	second := openSite(t, Options{Names: []string{"a", "b"}})
	if first.ID() == second.ID() || first.Host("a").Addr() == second.Host("a").Addr() {
		t.Fatalf("sites share an id or address: %s %s", first.ID(), second.ID())
	}
	echo(t, first.Host("b"), 7000)
	echo(t, second.Host("b"), 7000)
}

func TestLoopbackHasNoNetworkFaults(t *testing.T) {
	s := openSite(t, Options{Kind: Loopback, Names: []string{"a", "b"}})
	if err := s.Drop(t.Context(), s.Host("a"), s.Host("b")); !errors.Is(err, ErrNeedsRoot) {
		t.Errorf("drop: %v", err)
	}
	if err := s.Host("a").Unplug(t.Context()); !errors.Is(err, ErrNeedsRoot) {
		t.Errorf("unplug: %v", err)
	}
	if err := s.Heal(t.Context()); err != nil {
		t.Errorf("heal: %v", err)
	}
}

func TestSweepRemovesWhatACrashedLabLeft(t *testing.T) {
	for name, options := range variants("a") {
		t.Run(name, func(t *testing.T) {
			s, err := Open(t.Context(), options)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Host("a").thread.end() })
			startOrphans(t, s.Host("a"))
			pids, err := s.Host("a").PIDs()
			if err != nil {
				t.Fatal(err)
			}
			if swept, err := Sweep(t.Context()); err != nil || contains(swept, s.ID()) {
				t.Fatalf("swept a lab in use: %v, %v", swept, err)
			}
			// The lock goes with its owner; dropping it is all that a crash does here.
			if err := syscall.Flock(int(s.record.file.Fd()), syscall.LOCK_UN); err != nil {
				t.Fatal(err)
			}
			if swept, err := Sweep(t.Context()); err != nil || !contains(swept, s.ID()) {
				t.Fatalf("swept %v, %v", swept, err)
			}
			for _, pid := range pids {
				if alive(pid) {
					t.Errorf("process %d survived", pid)
				}
			}
			if _, err := os.Stat(s.Dir()); err == nil {
				t.Error("the directory is still there")
			}
		})
	}
}

func contains(all []string, one string) bool {
	for _, each := range all {
		if each == one {
			return true
		}
	}
	return false
}

func BenchmarkOpenNineHosts(b *testing.B) {
	for b.Loop() {
		s, err := Open(b.Context(), Options{Names: strings.Split("az-a az-b az-c pg-a pg-b pg-c lb client power", " ")})
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func TestUsage(t *testing.T) {
	s := openSite(t, Options{Names: []string{"a"}})
	p, err := s.Host("a").Start(Command{Path: "sh", Args: []string{"-c", "while :; do :; done"}})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "it has used the processor", func() bool {
		u, err := p.Usage()
		if err != nil {
			t.Fatal(err)
		}
		return u.CPU > 0 && u.RSS > 0
	})
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Usage(); err == nil {
		t.Error("a process that has ended uses something")
	}
	u, err := parseUsage([]byte("7 (a) b (c)) S 1 7 7 0 -1 4194560 1 0 0 0 150 50 0 0 20 0 1 0 5 100 25 0"), 4096)
	if err != nil || u != (Usage{CPU: 2 * time.Second, RSS: 25 * 4096}) {
		t.Errorf("%+v, %v", u, err)
	}
	if _, err := parseUsage([]byte("7 (a) S 1"), 4096); err == nil {
		t.Error("a short line was read")
	}
	if written, err := parseWritten("rchar: 1\nwrite_bytes: 4096\ncancelled_write_bytes: 5\n"); err != nil || written != 4096 {
		t.Errorf("%d, %v", written, err)
	}
	if _, err := parseWritten("rchar: 1\n"); err == nil {
		t.Error("a table without the line was read")
	}
}

// A disk that hangs when its site is closed is thawed, and nothing stays mounted.
func TestCloseUnmountsDisks(t *testing.T) {
	s, err := Open(t.Context(), Options{Names: []string{"one"}})
	if err != nil {
		t.Fatal(err)
	}
	d, err := disk.New(t.Context(), s.Host("one").Dir(), 64<<20)
	if errors.Is(err, disk.ErrNeedsRoot) {
		_ = s.Close()
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(d.Folder(), "file"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := d.Freeze(); err != nil {
		t.Fatal(err)
	}
	// Whoever writes to it can't be killed before it thaws.
	stuck, err := s.Host("one").Start(Command{Path: "/bin/sh", Args: []string{"-c", "echo text > " + filepath.Join(d.Folder(), "file")}})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the process to wait for the disk", func() bool {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", stuck.PID()))
		return err == nil && strings.Contains(string(text), ") D ")
	})
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if left, err := disk.Below(s.Dir()); err != nil || len(left) > 0 {
		t.Errorf("still mounted: %v, %v", left, err)
	}
	if _, err := os.Stat(s.Dir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there: %v", s.Dir(), err)
	}
}
