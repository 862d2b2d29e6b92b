// Package postgrestest starts throw-away PostgreSQL servers for tests: real ones, from the binaries that are installed.
//
// Guarantees: every server listens on loopback at a port of its own, keeps its files in a temporary folder, is killed with all its processes
// when the test ends, however that happens, and dies with the test process. Data folders are copied from a template that is made once per
// process.
//
// Limits: Linux; as root the servers run as user postgres, which must exist. Durability is not tested: fsync stays on
// unless a setting says otherwise.
package postgrestest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/freeport"
	"github.com/arbiter-ha/arbiter/internal/postgres"
	"github.com/arbiter-ha/arbiter/internal/secret"
)

// patience is how long a server may take to start, stop, or turn up, on a machine that is busy.
const patience = 60 * time.Second

// Superuser owns each server; Role and Password are what arbiters log in with, with the least privileges of the schema.
const (
	Superuser = "postgres"
	Role      = "arbiter"
	Password  = "test-password"
	Database  = "postgres"
)

// Server is one PostgreSQL server of a test. Its methods fail the test on error.
type Server struct {
	Address string // host:port
	Dir     string // data folder

	t    testing.TB
	port int
	user *account
	run  *running
}

// running is one run of a server's processes; killed servers leave it behind.
type running struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when the postmaster is gone
	log  *lockedBuffer
}

// Setting is one line of postgresql.conf.
type Setting struct{ Key, Value string }

// Start makes a new primary with the schema installed, and starts it.
func Start(t testing.TB, settings ...Setting) *Server {
	t.Helper()
	s := New(t, settings...)
	s.Start()
	s.WaitReady()
	return s
}

// New makes the data folder of a new primary without starting it.
func New(t testing.TB, settings ...Setting) *Server {
	t.Helper()
	s := prepare(t)
	if err := s.copyTemplate(); err != nil {
		t.Fatalf("make a data folder: %v", err)
	}
	s.Configure(settings...)
	return s
}

// Standby copies this running server into a new standby that follows it under an application name, and starts it.
func (s *Server) Standby(name string, settings ...Setting) *Server {
	s.t.Helper()
	standby := s.NewStandby(name, settings...)
	standby.Start()
	standby.WaitReady()
	s.Eventually("standby "+name+" streams", func() bool {
		return s.Query("SELECT count(*) FROM pg_stat_replication WHERE application_name = $1 AND state = 'streaming'", name) == "1"
	})
	return standby
}

// NewStandby copies this running server into a standby that is not started.
func (s *Server) NewStandby(name string, settings ...Setting) *Server {
	s.t.Helper()
	standby := prepare(s.t)
	info := postgres.ConnInfo{
		{Key: "host", Value: "127.0.0.1"},
		{Key: "port", Value: strconv.Itoa(s.port)},
		{Key: "user", Value: Superuser},
		{Key: "application_name", Value: name},
	}
	s.command(binary("pg_basebackup"), "--pgdata="+standby.Dir, "--dbname="+info.String(), "--checkpoint=fast",
		"--wal-method=stream", "--no-sync", "--no-manifest", "--no-password")
	standby.Configure(append(settings, Setting{"primary_conninfo", info.String()})...)
	standby.Touch("standby.signal")
	return standby
}

func prepare(t testing.TB) *Server {
	t.Helper()
	user, err := serverAccount()
	if err != nil {
		t.Fatalf("find an account to run PostgreSQL under: %v", err)
	}
	root, err := os.MkdirTemp("", "arbiter-pg-")
	if err != nil {
		t.Fatalf("make a folder: %v", err)
	}
	if err := user.own(root); err != nil {
		t.Fatalf("hand the folder over: %v", err)
	}
	port := freeport.Port(t)
	s := &Server{
		Address: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), Dir: filepath.Join(root, "data"), t: t, port: port, user: user,
	}
	t.Cleanup(func() {
		s.Kill()
		if t.Failed() && s.run != nil {
			t.Logf("log of the server at %s:\n%s", s.Address, tail(s.run.log.String(), 4000))
		}
		if err := s.removeSharedMemory(); err != nil {
			t.Errorf("remove the server's shared memory: %v", err)
		}
		if err := os.RemoveAll(root); err != nil {
			t.Errorf("remove the server's folder: %v", err)
		}
	})
	return s
}

// Configure adds lines to postgresql.conf; they count from the next start or Reload.
func (s *Server) Configure(settings ...Setting) {
	s.t.Helper()
	var lines strings.Builder
	for _, setting := range settings {
		fmt.Fprintf(&lines, "%s = '%s'\n", setting.Key, strings.NewReplacer("'", "''", `\`, `\\`).Replace(setting.Value))
	}
	if err := appendTo(filepath.Join(s.Dir, "postgresql.conf"), lines.String()); err != nil {
		s.t.Fatalf("write postgresql.conf: %v", err)
	}
}

// Touch makes an empty file in the data folder.
func (s *Server) Touch(name string) {
	s.t.Helper()
	s.WriteFile(name, nil)
}

// WriteFile writes a file into the data folder that only the server may read.
func (s *Server) WriteFile(name string, content []byte) {
	s.t.Helper()
	path := filepath.Join(s.Dir, name)
	err := os.WriteFile(path, content, 0o600)
	if err == nil {
		err = s.user.own(path)
	}
	if err != nil {
		s.t.Fatalf("write %s: %v", name, err)
	}
}

// MakeFolder makes a folder outside the data folder that the server's account owns, as CREATE TABLESPACE wants it.
func (s *Server) MakeFolder(path string) {
	s.t.Helper()
	err := os.Mkdir(path, 0o700)
	if err == nil {
		err = s.user.own(path)
	}
	if err != nil {
		s.t.Fatalf("make a folder of the server at %s: %v", s.Address, err)
	}
}

// Start starts the postmaster in a process group of its own; it doesn't wait until the server accepts connections.
func (s *Server) Start() {
	s.t.Helper()
	if s.run != nil && !s.run.ended() {
		s.t.Fatalf("start the server at %s: it runs", s.Address)
	}
	log := &lockedBuffer{}
	cmd := exec.Command(binary("postgres"), "-D", s.Dir, "-p", strconv.Itoa(s.port), "-h", "127.0.0.1,::1", "-k", "")
	cmd.Stdout, cmd.Stderr = log, log
	cmd.WaitDelay = time.Second // orphaned children may hold the log open
	cmd.Env = []string{"LC_ALL=C", "PATH=" + os.Getenv("PATH"), "TZ=UTC"}
	cmd.SysProcAttr = s.user.attributes()
	cmd.SysProcAttr.Setpgid = true
	cmd.SysProcAttr.Pdeathsig = syscall.SIGQUIT // an immediate shutdown, with all children
	done := make(chan struct{})
	if err := startOnLastingThread(cmd, done); err != nil {
		s.t.Fatalf("start postgres: %v", err)
	}
	s.run = &running{cmd: cmd, done: done, log: log}
}

func (r *running) ended() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

// Stop ends the server in an orderly way ("fast" shutdown) and waits for it.
func (s *Server) Stop() {
	s.t.Helper()
	s.signalMain(syscall.SIGINT)
	s.waitEnded()
}

// StopAtOnce ends the server without a checkpoint ("immediate" shutdown) and waits for it.
func (s *Server) StopAtOnce() {
	s.t.Helper()
	s.signalMain(syscall.SIGQUIT)
	s.waitEnded()
}

// Kill kills all of the server's processes, also frozen ones, and waits until they are gone. A server that doesn't run is left as it is.
func (s *Server) Kill() {
	if s.run == nil {
		return
	}
	for _, pid := range s.processes() {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	if !s.run.ended() {
		_ = s.run.cmd.Process.Kill()
	}
	s.waitEnded()
	s.Eventually("all processes are gone", func() bool { return len(s.processes()) == 0 })
}

// KillMain kills only the postmaster, and leaves its children to notice.
func (s *Server) KillMain() {
	s.t.Helper()
	s.signalMain(syscall.SIGKILL)
	s.waitEnded()
}

// Freeze stops all of the server's processes where they are; Thaw lets them go on.
func (s *Server) Freeze() { s.signalAll(syscall.SIGSTOP) }

// Thaw wakes a frozen server.
func (s *Server) Thaw() { s.signalAll(syscall.SIGCONT) }

// Reload makes the server read its configuration again.
func (s *Server) Reload() { s.t.Helper(); s.signalMain(syscall.SIGHUP) }

// Log returns what the server has logged since it was started last.
func (s *Server) Log() string { return s.run.log.String() }

// ProcessID is the postmaster's.
func (s *Server) ProcessID() int { return s.run.cmd.Process.Pid }

func (s *Server) signalMain(signal syscall.Signal) {
	s.t.Helper()
	if err := syscall.Kill(s.run.cmd.Process.Pid, signal); err != nil {
		s.t.Fatalf("signal the server at %s: %v", s.Address, err)
	}
}

func (s *Server) signalAll(signal syscall.Signal) {
	s.t.Helper()
	for _, pid := range s.processes() {
		// One that ended in the meantime is no fault.
		if err := syscall.Kill(pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			s.t.Fatalf("signal process %d of the server at %s: %v", pid, s.Address, err)
		}
	}
}

func (s *Server) waitEnded() {
	select {
	case <-s.run.done:
	case <-time.After(patience):
		s.t.Errorf("the server at %s did not end", s.Address)
	}
}

// Connect is how arbiters log in.
func Connect() failover.Connect {
	return failover.Connect{User: Role, Password: failover.Setting{Value: Password}, Database: Database, SSLMode: "disable"}
}

// Dial connects as the superuser; the test's end closes the connection.
func (s *Server) Dial() *postgres.Conn {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return s.keep(s.dial(ctx, Superuser))
}

// DialAs connects as a role that the test has made; the test's end closes the connection.
func (s *Server) DialAs(role string) *postgres.Conn {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return s.keep(s.dial(ctx, role))
}

func (s *Server) keep(conn *postgres.Conn, err error) *postgres.Conn {
	s.t.Helper()
	if err != nil {
		s.t.Fatalf("connect: %v", err)
	}
	s.t.Cleanup(conn.Close)
	return conn
}

func (s *Server) dial(ctx context.Context, role string) (*postgres.Conn, error) {
	connect := failover.Connect{User: role, Database: Database, SSLMode: "disable"}
	return postgres.NewConnector(connect, new(secret.Reader)).Dial(ctx, s.Address, postgres.Options{ApplicationName: "test"})
}

// Exec runs a statement as the superuser on a new connection.
func (s *Server) Exec(sql string, arguments ...any) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := s.dial(ctx, Superuser)
	if err != nil {
		s.t.Fatalf("connect: %v", err)
	}
	defer conn.Close()
	if _, err := conn.Exec(ctx, sql, arguments...); err != nil {
		s.t.Fatalf("run %q: %v", sql, err)
	}
}

// Query returns the one value that a statement answers, as text; "" for NULL.
func (s *Server) Query(sql string, arguments ...any) string {
	s.t.Helper()
	value, err := s.TryQuery(sql, arguments...)
	if err != nil {
		s.t.Fatalf("ask %q: %v", sql, err)
	}
	return value
}

// TryQuery is Query for a server that may not answer.
func (s *Server) TryQuery(sql string, arguments ...any) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := s.dial(ctx, Superuser)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	var value any
	if err := conn.QueryRow(ctx, sql, arguments...).Scan(&value); err != nil {
		return "", err
	}
	if value == nil {
		return "", nil
	}
	return fmt.Sprint(value), nil
}

// WaitReady waits until the server accepts connections.
func (s *Server) WaitReady() {
	s.t.Helper()
	s.Eventually("the server accepts connections", func() bool {
		if s.run.ended() {
			s.t.Fatalf("the server at %s ended instead of starting:\n%s", s.Address, s.run.log)
		}
		_, err := s.TryQuery("SELECT 1")
		return err == nil
	})
}

// Eventually waits for a condition, and fails the test if it doesn't come true.
func (s *Server) Eventually(what string, condition func() bool) {
	s.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(2 * time.Millisecond) {
		if condition() {
			return
		}
		if time.Now().After(end) {
			s.t.Fatalf("waited %v in vain, server at %s: %s", patience, s.Address, what)
		}
	}
}

// command runs a program as the servers' account.
func (s *Server) command(name string, arguments ...string) {
	s.t.Helper()
	if out, err := s.user.output(name, arguments...); err != nil {
		s.t.Fatalf("run %s: %v\n%s", name, err, bytes.TrimSpace(out))
	}
}

func tail(text string, n int) string {
	if len(text) <= n {
		return text
	}
	return "..." + text[len(text)-n:]
}

// SignalProcess signals one of the server's processes, whose id a query gave; the name is "STOP", "CONT" or "KILL".
func (s *Server) SignalProcess(pid, name string) {
	s.t.Helper()
	id, err := strconv.Atoi(pid)
	signal, known := map[string]syscall.Signal{"STOP": syscall.SIGSTOP, "CONT": syscall.SIGCONT, "KILL": syscall.SIGKILL}[name]
	if err != nil || !known {
		s.t.Fatalf("signal %q to process %q: no such thing", name, pid)
	}
	if err := syscall.Kill(id, signal); err != nil {
		s.t.Fatalf("signal process %d: %v", id, err)
	}
}
