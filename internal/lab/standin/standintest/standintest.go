// Package standintest runs the laboratory's service as real processes in tests, which can be killed and frozen. A test's
// own binary is the program: its TestMain hands over to Main.
//
// Goroutines: one per process, which waits for its end; t.Cleanup ends them all.
package standintest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/arbiter-ha/arbiter/internal/freeport"
	"github.com/arbiter-ha/arbiter/internal/lab/standin"
	"github.com/arbiter-ha/arbiter/internal/secret"
	"github.com/arbiter-ha/arbiter/internal/serviceapi"
)

// variable in the environment makes a test's binary a service.
const variable = "ARBITER_TEST_STANDIN"

// Main runs the tests, or the service in a process that Start has made of the same binary.
func Main(tests func() int) int {
	if os.Getenv(variable) == "" {
		return tests()
	}
	ctx, end := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // it ends with the test's process, however that ends
		end()
	}()
	if err := standin.Main(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// Server is one service.
type Server struct {
	Name    string
	Address string

	t       testing.TB
	options standin.Options
	cmd     *exec.Cmd
	stdin   io.Closer
	stderr  *strings.Builder
	ended   chan struct{}
}

// patience is for what takes milliseconds.
const patience = 20 * time.Second

// Start starts a primary of a new system; sync names the standbys of which one has to have every order.
func Start(t testing.TB, name string, sync ...string) *Server {
	t.Helper()
	s := newServer(t, name)
	if len(sync) > 0 {
		s.options.Sync = serviceapi.SyncRule{Need: 1, Names: sync}
	}
	s.Start()
	return s
}

// Standby starts a standby of s and waits until it streams.
func (s *Server) Standby(name string) *Server {
	s.t.Helper()
	standby := newServer(s.t, name)
	standby.options.Follow = s.Peer()
	standby.Start()
	standby.Await("streaming", func(st serviceapi.State) bool { return st.Streaming && st.SystemID != "" && st.Timeline != 0 })
	return standby
}

// Dir is the directory of its log.
func (s *Server) Dir() string { return s.options.Dir }

// Follow starts a service that doesn't run as a standby of primary.
func (s *Server) Follow(primary *Server) {
	s.t.Helper()
	s.options.Follow = primary.Peer()
	s.Start()
}

// Peer is what other services follow.
func (s *Server) Peer() *serviceapi.Peer { return &serviceapi.Peer{Name: s.Name, Address: s.Address} }

func newServer(t testing.TB, name string) *Server {
	t.Helper()
	address := freeport.Address(t)
	// Not t.TempDir(): a test's name may make the path of the socket too long.
	dir, err := os.MkdirTemp("", "standin-")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Name: name, Address: address, t: t, options: standin.Options{Name: name, Dir: dir, Listen: address}}
	t.Cleanup(func() {
		s.Kill()
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Start starts the process and waits until it answers. After the first time it is what it was.
func (s *Server) Start() {
	s.t.Helper()
	self, err := os.Executable()
	if err != nil {
		s.t.Fatal(err)
	}
	s.cmd, s.stderr, s.ended = exec.Command(self, s.options.Args()...), &strings.Builder{}, make(chan struct{})
	s.cmd.Env = append(os.Environ(), variable+"=1")
	s.cmd.Stderr = s.stderr
	if s.stdin, err = s.cmd.StdinPipe(); err != nil {
		s.t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func(cmd *exec.Cmd, ended chan struct{}) {
		_ = cmd.Wait() // how it ended is asked of cmd
		close(ended)
	}(s.cmd, s.ended)
	s.options.Follow = nil
	s.Await("ready", func(serviceapi.State) bool { return true })
}

// Kill ends the process with SIGKILL, frozen or not.
func (s *Server) Kill() {
	if s.cmd == nil || s.cmd.Process == nil {
		return
	}
	_ = s.cmd.Process.Kill() // it may have ended
	<-s.ended
	_ = s.stdin.Close()
}

// Freeze stops the process, and waits until all its threads stand; Thaw lets it go on. A test that ends before Thaw kills it.
func (s *Server) Freeze() {
	s.t.Helper()
	s.signal(syscall.SIGSTOP)
	if err := unix.Waitid(unix.P_PID, s.cmd.Process.Pid, nil, unix.WSTOPPED, nil); err != nil {
		s.t.Fatalf("wait until the process stands: %v", err)
	}
}

// Thaw ends Freeze.
func (s *Server) Thaw() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(signal syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(signal); err != nil {
		s.t.Fatal(err)
	}
}

// Client is a client of the contract, closed with the test.
func (s *Server) Client() *serviceapi.Client {
	s.t.Helper()
	client, err := serviceapi.NewClient(s.t.Context(), s.Address, serviceapi.Plain(), new(secret.Reader), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(client.Close)
	return client
}

// State is what the service says of itself.
func (s *Server) State() serviceapi.State {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	state, err := s.Client().State(ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	return state
}

// Await waits until the service says what is wanted.
func (s *Server) Await(what string, wanted func(serviceapi.State) bool) serviceapi.State {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	client := s.Client()
	for {
		state, err := client.State(ctx)
		if err == nil && wanted(state) {
			return state
		}
		select {
		case <-s.ended:
			s.t.Fatalf("%s ended before it was %s: %s", s.Name, what, s.stderr)
		case <-ctx.Done():
			s.t.Fatalf("%s is not %s: %+v", s.Name, what, errors.Join(fmt.Errorf("%+v", state), err))
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// Append commits orders of a writer, counted from 1, and returns how many were acknowledged.
func (s *Server) Append(ctx context.Context, writer string, orders int) int {
	s.t.Helper()
	client := standin.NewClient(s.Address, nil)
	defer client.Drop()
	for n := range orders {
		if _, err := client.Append(ctx, writer, int64(n+1)); err != nil {
			return n
		}
	}
	return orders
}

// Orders are the numbers of a writer's orders that the service has.
func (s *Server) Orders(writer string) []int64 {
	s.t.Helper()
	client := standin.NewClient(s.Address, nil)
	defer client.Drop()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	numbers, err := client.Orders(ctx, writer)
	if err != nil {
		s.t.Fatal(err)
	}
	return numbers
}

// Do gives an order of the contract and returns how the service refused, nil if it did not.
func (s *Server) Do(verb serviceapi.Verb, order serviceapi.Order) *serviceapi.Refusal {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, err := s.Client().Do(ctx, verb, order)
	var refusal *serviceapi.Refusal
	if err != nil && !errors.As(err, &refusal) {
		s.t.Fatal(err)
	}
	return refusal
}
