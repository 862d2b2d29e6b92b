package route

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/freeport"
	"github.com/arbiter-ha/arbiter/internal/routesettings"
)

// The example of deploy/ keeps over a reload what the arbiters have said. It runs as it stands there, at other addresses.
func TestExample_KeepsItsStateOverAReload(t *testing.T) {
	l := &lab{t: t, frontend: freeport.Address(t), left: make(chan string, 1000)}
	dir, api := t.TempDir(), freeport.Address(t)
	here, file := l.example(dir, api)
	atStart(t, here)
	l.process = exec.Command("haproxy", "-W", "-S", filepath.Join(dir, "master"), "-db", "-f", file)
	l.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := l.process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(-l.process.Process.Pid, syscall.SIGKILL); _ = l.process.Wait() })
	router, err := routers().Of(t.Context(), haproxyRoute("socket", "tcp://"+api, "backend", "orders"))
	if err != nil {
		t.Fatal(err)
	}
	l.eventually("HAProxy answers", func() bool { _, err := router.State(t.Context(), l.request()); return err == nil })
	if err := router.Open(t.Context(), l.request(), "pg-b"); err != nil {
		t.Fatal(err)
	}
	l.eventually("its master process, which takes the signal, is at work", func() bool { return answers(filepath.Join(dir, "master")) })
	before := l.worker(api)
	reload(t, here, l.process.Process.Pid)
	l.eventually("another worker answers", func() bool { return l.worker(api) != before })
	state, err := router.State(t.Context(), l.request())
	if err != nil || state.ProvesOpen("pg-b") != nil {
		t.Errorf("after the reload: %+v, %v", state, err)
	}
	l.wantServer("pg-b")
}

// Nor does the very first start of the example print a warning, when there is no state to keep yet.
func TestExample_StartsWithoutAWarning(t *testing.T) {
	l := &lab{t: t, frontend: freeport.Address(t), left: make(chan string, 1000)}
	here, file := l.example(t.TempDir(), freeport.Address(t))
	atStart(t, here)
	said, err := exec.Command("haproxy", "-c", "-f", file).CombinedOutput()
	if err != nil || strings.Contains(strings.ToUpper(string(said)), "WARNING") {
		t.Errorf("%v:\n%s", err, said)
	}
}

// example writes the example's configuration into a folder, with its members, its API and its frontend at addresses of this test, and returns what
// moves other texts of the example there too.
func (l *lab) example(dir, api string) (here *strings.Replacer, file string) {
	moved := []string{"/run/haproxy/admin.sock", filepath.Join(dir, "s"), "/var/lib/haproxy", dir, "ipv4@:9999", "ipv4@" + api, "bind :5432", "bind " + l.frontend}
	for _, name := range []string{"pg-a", "pg-b", "pg-c"} {
		m := failover.MemberSpec{Name: failover.MemberName(name), Address: namedServer(l.t, name, l.left)}
		l.members = append(l.members, m)
		moved = append(moved, name+".internal:5432", m.Address)
	}
	here, file = strings.NewReplacer(moved...), filepath.Join(dir, "haproxy.cfg")
	if err := os.WriteFile(file, []byte(here.Replace(read(l.t, "haproxy.cfg"))), 0o600); err != nil {
		l.t.Fatal(err)
	}
	return here, file
}

// answers says whether a master process answers at its socket, which it leaves open afterwards.
func answers(socket string) bool {
	conn, err := net.DialTimeout("unix", socket, time.Second)
	if err != nil {
		return false
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	if _, err := conn.Write([]byte("show proc\n")); err != nil {
		return false
	}
	n, _ := conn.Read(make([]byte, 1))
	return n == 1
}

// worker is the process that answers now; empty while none does.
func (l *lab) worker(api string) string {
	answers, err := endpoint{Endpoint: routesettings.Endpoint{Network: "tcp", Address: api}}.exchange(l.t.Context(), []string{"show info"}, false)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(answers[0]) {
		if pid, found := strings.CutPrefix(line, "Pid: "); found {
			return strings.TrimSpace(pid)
		}
	}
	return ""
}

// reload does what systemd does by the example's drop-in, but for the check of a configuration that is known to be good.
func reload(t *testing.T, here *strings.Replacer, pid int) {
	t.Helper()
	main := strings.NewReplacer("$MAINPID", fmt.Sprint(pid))
	for _, command := range commands(t, "ExecReload=") {
		shell(t, main.Replace(here.Replace(command)))
	}
}

// atStart does what systemd does by the example's drop-in before it starts HAProxy.
func atStart(t *testing.T, here *strings.Replacer) {
	t.Helper()
	for _, command := range commands(t, "ExecStartPre=") {
		shell(t, here.Replace(command))
	}
}

// commands are those of the example's drop-in under one key.
func commands(t *testing.T, key string) (list []string) {
	t.Helper()
	for line := range strings.Lines(read(t, "haproxy-keep-state.conf")) {
		command, found := strings.CutPrefix(strings.TrimSpace(line), key)
		if found && command != "" && !(strings.Contains(command, " -c ") && strings.Contains(command, "$CONFIG")) {
			list = append(list, command)
		}
	}
	return list
}

func shell(t *testing.T, command string) {
	t.Helper()
	if out, err := exec.Command("sh", "-c", command).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", command, err, out)
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../deploy/three-zones", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
