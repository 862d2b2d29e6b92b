package builtin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/arbiter-ha/arbiter/internal/lab/hosts"
	"github.com/arbiter-ha/arbiter/internal/lab/standin"
	"github.com/arbiter-ha/arbiter/internal/secret"
	"github.com/arbiter-ha/arbiter/internal/serviceapi"
)

// ErrEnded says that the service's process ended while something was awaited of it.
var ErrEnded = errors.New("service ended")

// Program is the name of the service's program.
const Program = "standin"

// Options describe a service.
type Options struct {
	// Host is where it runs. Its name is the member's name.
	Host *hosts.Host
	// Program is the path of the program.
	Program string
	// Members is how many members it is; 0 stands for 1. See standin.Options.
	Members int
	// Sync is the rule for synchronous standbys while it is primary.
	Sync serviceapi.SyncRule
}

// Server is one service on one host.
type Server struct {
	host    *hosts.Host
	program string
	run     standin.Options
	process *hosts.Process // the last one started; nil before
}

// New describes a service without starting it: a primary, or a standby of primary when that is not nil.
func New(options Options, primary *Server) (*Server, error) {
	port, err := options.Host.FreePort(5432)
	if err != nil {
		return nil, err
	}
	s := &Server{host: options.Host, program: options.Program, run: standin.Options{
		Name: options.Host.Name(), Dir: filepath.Join(options.Host.Dir(), "data"),
		Listen: net.JoinHostPort(options.Host.Addr().String(), strconv.Itoa(port)), Sync: options.Sync, Members: options.Members,
	}}
	if primary != nil {
		s.run.Follow = primary.peer()
	}
	return s, nil
}

// Name is the member's name.
func (s *Server) Name() string { return s.run.Name }

// Host is where it runs.
func (s *Server) Host() *hosts.Host { return s.host }

// Address is where clients and arbiters reach it, host:port.
func (s *Server) Address() string { return s.run.Listen }

// MemberAddress is where the member of that number is reached; the first has the number 0.
func (s *Server) MemberAddress(number int) string { return standin.MemberAddress(s.run.Listen, number) }

func (s *Server) peer() *serviceapi.Peer {
	return &serviceapi.Peer{Name: s.Name(), Address: s.Address()}
}

// Start starts the service and waits until it answers. Only the first start makes it what New was told; later it is what
// it became.
func (s *Server) Start(ctx context.Context) error {
	process, err := s.host.Start(hosts.Command{Name: Program, Path: s.program, Args: s.run.Args()})
	if err != nil {
		return fmt.Errorf("start service %s: %w", s.Name(), err)
	}
	s.process, s.run.Follow = process, nil
	return s.await(ctx, "ready", func(context.Context, serviceapi.State) bool { return true })
}

// Rejoin starts a service that doesn't run as a standby of primary, which gives it everything anew: what it had is kept
// aside. Its token stays.
func (s *Server) Rejoin(ctx context.Context, primary *Server) error {
	log := filepath.Join(s.run.Dir, "log")
	if err := os.Rename(log, log+".before"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("keep the log of %s aside: %w", s.Name(), err)
	}
	s.run.Follow = primary.peer()
	if err := s.Start(ctx); err != nil {
		return err
	}
	return s.AwaitStreaming(ctx, primary)
}

// Process is its last life; nil before the first.
func (s *Server) Process() *hosts.Process { return s.process }

// Crash kills the service with SIGKILL. The host lives on, and so does its network.
func (s *Server) Crash(ctx context.Context) error { return s.host.KillAll(ctx) }

// Client is a client of the contract that reaches the service through its socket file. The caller closes it.
func (s *Server) Client(ctx context.Context) (*serviceapi.Client, error) {
	return serviceapi.NewClient(ctx, "socket", serviceapi.Plain(), new(secret.Reader), s.dialSocket)
}

func (s *Server) dialSocket(ctx context.Context, _, _ string) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, "unix", standin.SocketFile(s.run.Dir))
}

// State asks the service what it is.
func (s *Server) State(ctx context.Context) (serviceapi.State, error) {
	client, err := s.Client(ctx)
	if err != nil {
		return serviceapi.State{}, err
	}
	defer client.Close()
	return client.State(ctx)
}

// AwaitStreaming waits until a standby streams, and has all that primary had at the time of the call.
func (s *Server) AwaitStreaming(ctx context.Context, primary *Server) error {
	target, err := primary.State(ctx)
	if err != nil {
		return err
	}
	return s.await(ctx, "streaming from "+primary.Name(), func(_ context.Context, now serviceapi.State) bool {
		return now.Streaming && now.Received >= target.Written
	})
}

// AwaitPrimary waits until the service is a primary.
func (s *Server) AwaitPrimary(ctx context.Context) error {
	return s.await(ctx, "a primary", func(_ context.Context, now serviceapi.State) bool { return now.Role == serviceapi.RolePrimary })
}

// pollEvery is how often a service is asked whether it has come as far as is awaited.
const pollEvery = 3 * time.Millisecond

// await asks until holds says yes, or ctx or the service's process ends.
func (s *Server) await(ctx context.Context, what string, holds func(context.Context, serviceapi.State) bool) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var last error
	for {
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("wait for %s to be %s: %w", s.Name(), what, context.Cause(ctx)), last)
		case <-s.process.Done():
			return fmt.Errorf("wait for %s to be %s: %w: %w", s.Name(), what, ErrEnded, s.process.Err())
		case <-timer.C:
		}
		state, err := s.State(ctx)
		if err == nil && holds(ctx, state) {
			return nil
		}
		if err != nil && ctx.Err() == nil {
			last = err
		}
		timer.Reset(pollEvery)
	}
}

// Missing returns which of the numbers of a writer's orders the service does not have.
func (s *Server) Missing(ctx context.Context, writer string, numbers []int64) ([]int64, error) {
	c := standin.NewClient("socket", s.dialSocket)
	defer c.Drop()
	have, err := c.Orders(ctx, writer)
	if err != nil {
		return nil, fmt.Errorf("look for orders on %s: %w", s.Name(), err)
	}
	there := make(map[int64]bool, len(have))
	for _, number := range have {
		there[number] = true
	}
	missing := slices.DeleteFunc(slices.Clone(numbers), func(n int64) bool { return there[n] })
	slices.Sort(missing)
	return missing, nil
}
