package standin

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/arbiter-ha/arbiter/internal/serviceapi"
)

// Options describe one service.
type Options struct {
	// Name is the member's.
	Name string
	// Dir holds its log and its control file; it is made if it isn't there.
	Dir string
	// Listen is the address, host:port, for clients, standbys and arbiters alike.
	Listen string
	// Members is how many members the service is, each at a port of its own, beginning with that of Listen; 0 stands for 1. They share
	// its log and its role, and what an arbiter does at one of them is nothing to the others. It is for measuring what many groups cost.
	Members int
	// Follow makes it a standby of this primary, whatever it was before; nil leaves it what its control file says. A
	// service without a control file and without Follow begins as the primary of a new system.
	Follow *serviceapi.Peer
	// Sync are the standbys that every order waits for while this service is primary: Need of Names.
	Sync serviceapi.SyncRule
}

// SocketFile is where a service in dir can be reached whatever happens to its network.
func SocketFile(dir string) string { return filepath.Join(dir, "socket") }

// service is one member.
type service struct {
	options Options
	journal *journal
	fatal   context.CancelCauseFunc // ends the process

	// acting orders what is done under an epoch: looking at the token and acting on it are one step.
	acting sync.Mutex

	mu       sync.Mutex // guards what follows, never held while the disk is written
	control  control
	follower *follower // nil while it follows nobody
	standbys map[*downstream]bool
	acks     chan struct{} // closed and replaced at every acknowledgement of a standby
	sessions map[net.Conn]bool
	beats    map[prober]beat
}

// Run serves until ctx ends or the disk fails.
func Run(ctx context.Context, options Options) error {
	ctx, fatal := context.WithCancelCause(ctx)
	defer fatal(nil)
	s, err := open(options, fatal)
	if err != nil {
		return fmt.Errorf("start service %s: %w", options.Name, err)
	}
	listeners, err := s.listen()
	if err != nil {
		return fmt.Errorf("start service %s: %w", options.Name, err)
	}
	server := &http.Server{Handler: s.handler(), ConnContext: rememberConn, ConnState: s.connState}
	ended := make(chan error, len(listeners))
	for _, l := range listeners {
		go func() { ended <- server.Serve(l) }()
	}
	s.mu.Lock()
	s.startFollowing(s.control)
	s.mu.Unlock()
	select {
	case err = <-ended:
		fatal(err)
	case <-ctx.Done():
		if err = context.Cause(ctx); errors.Is(err, context.Canceled) {
			err = nil // it was asked to end
		}
	}
	s.stopFollowing()
	return errors.Join(err, server.Close(), s.journal.file.Close())
}

// listen listens for the network, and on a socket file.
func (s *service) listen() ([]net.Listener, error) {
	var all []net.Listener
	for _, address := range s.options.addresses() {
		tcp, err := net.Listen("tcp", address)
		if err != nil {
			closeAll(all)
			return nil, err
		}
		all = append(all, tcp)
	}
	socket := SocketFile(s.options.Dir)
	_ = os.Remove(socket) // that of a killed process
	unix, err := net.Listen("unix", socket)
	if err != nil {
		closeAll(all)
		return nil, err
	}
	return append(all, unix), nil
}

func closeAll(listeners []net.Listener) {
	for _, l := range listeners {
		_ = l.Close() // nobody has been accepted
	}
}

// addresses are where the members are.
func (o Options) addresses() []string {
	all := []string{o.Listen}
	for number := 1; number < o.Members; number++ {
		all = append(all, MemberAddress(o.Listen, number))
	}
	return all
}

// MemberAddress is the address of the member of that number of a service that listens at an address; the first has the number 0.
func MemberAddress(listen string, number int) string {
	host, port, err := net.SplitHostPort(listen)
	first, notNumber := strconv.Atoi(port)
	if err != nil || notNumber != nil {
		return listen // listening there fails, and says why
	}
	return net.JoinHostPort(host, strconv.Itoa(first+number))
}

func open(options Options, fatal context.CancelCauseFunc) (*service, error) {
	if err := os.MkdirAll(options.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make directory: %w", err)
	}
	c, err := readControl(options.Dir)
	if err != nil {
		return nil, err
	}
	j, err := openJournal(filepath.Join(options.Dir, "log"))
	if err != nil {
		return nil, err
	}
	s := &service{
		options: options, journal: j, fatal: fatal, control: c, standbys: map[*downstream]bool{}, acks: make(chan struct{}),
		sessions: map[net.Conn]bool{}, beats: map[prober]beat{},
	}
	if err := s.begin(); err != nil {
		return nil, errors.Join(err, j.file.Close())
	}
	return s, nil
}

// begin makes the service what its options and files say, and ends what a crash has interrupted.
func (s *service) begin() error {
	c := s.control
	switch {
	case s.options.Follow != nil:
		c.Role, c.Timeline, c.Primary, c.As = serviceapi.RoleStandby, 0, s.options.Follow, s.options.Name
	case c.Role == "":
		c.Role, c.Timeline = serviceapi.RolePrimary, 1
	}
	if c != s.control {
		if err := c.write(s.options.Dir); err != nil {
			return err
		}
		s.control = c
	}
	if c.Role != serviceapi.RolePrimary {
		return nil
	}
	if s.journal.end() == 0 {
		if _, err := s.journal.write(record{System: rand.Text()}); err != nil {
			return err
		}
	}
	return s.beginTimeline(c.Timeline)
}

// beginTimeline writes the record with which a primary begins, unless it is there.
func (s *service) beginTimeline(timeline uint32) error {
	held := s.journal.summary()
	if held.timeline().timeline >= timeline {
		return nil
	}
	_, err := s.journal.write(record{Timeline: timeline})
	return err
}

// state is what the service says of itself.
func (s *service) state() serviceapi.State {
	log := s.journal.summary()
	s.mu.Lock()
	defer s.mu.Unlock()
	st := serviceapi.State{
		Role: s.control.Role, SystemID: log.system, Timeline: log.timeline().timeline, Epoch: s.control.Epoch, Row: log.row,
	}
	if st.Role == serviceapi.RolePrimary {
		st.Written, st.Sync, st.Standbys = log.end, s.syncRule(), s.listStandbys()
		return st
	}
	st.Received, st.Replayed, st.Settled = log.end, log.end, s.follower == nil
	if s.follower != nil {
		st.Following, st.Streaming, st.Trouble = s.follower.from, s.follower.streaming, s.follower.trouble
	}
	return st
}

func (s *service) syncRule() *serviceapi.SyncRule {
	if s.options.Sync.Need == 0 {
		return nil
	}
	return &s.options.Sync
}

// role is what the service is at this moment. A primary stays one until its process ends.
func (s *service) role() serviceapi.Role {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.control.Role
}

// write appends a record, and ends the process if the disk has failed.
func (s *service) write(r record) (uint64, error) {
	end, err := s.journal.write(r)
	if errors.Is(err, errDisk) {
		s.fatal(err)
	}
	return end, err
}
