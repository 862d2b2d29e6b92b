package route

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/command"
	"github.com/arbiter-ha/arbiter/internal/routesettings"
	"github.com/arbiter-ha/arbiter/internal/secret"
)

var (
	// ErrBadSetting: the route can't be used as it is configured. Nothing was done.
	ErrBadSetting = errors.New("setting refused")
	// ErrUnreachable: the router did not answer, or not to the end. What it was told may have been done.
	ErrUnreachable = errors.New("router did not answer")
	// ErrRefused: the router refused what it was told.
	ErrRefused = errors.New("router refused")
	// ErrBadAnswer: the router's answer can't be understood, so it proves nothing.
	ErrBadAnswer = errors.New("router's answer can't be read")
	// ErrNoServer: the router has no server for a member.
	ErrNoServer = errors.New("router has no server for the member")
	// ErrSharedAddress: the router has a member and another one at the same address, which is wrong for at least one of them. Nothing was done.
	ErrSharedAddress = errors.New("two members at one address")
	// ErrNotProven: the router took the change, but reading back doesn't show it.
	ErrNotProven = errors.New("not proven by reading back")
	// ErrStaleEpoch: the router has already served a newer epoch (S9).
	ErrStaleEpoch = errors.New("router has seen a newer epoch")
)

// Request says for whom a router is asked.
type Request struct {
	Group     failover.GroupName
	Operation failover.OperationID // empty for a look
	Epoch     failover.Epoch
	Members   []failover.MemberSpec // all of the group's
	// LeftAlone says why automation leads nobody's clients back to the primary; empty: it does. It changes nothing but the advice of Inspect.
	LeftAlone string
}

func (r Request) member(name failover.MemberName) (failover.MemberSpec, error) {
	i := slices.IndexFunc(r.Members, func(m failover.MemberSpec) bool { return m.Name == name })
	if i < 0 {
		return failover.MemberSpec{}, fmt.Errorf("group %s has no member %s", r.Group, name)
	}
	return r.Members[i], nil
}

// Server is what a router says of one member's server.
type Server struct {
	Member   failover.MemberName
	Name     string              // the router's own name for it
	Address  string              // host:port to which it sends clients; empty if it doesn't say
	Wanted   string              // host:port to which Open would have them sent, if that is another one, and the router is to be told
	Host     string              // the name by which the member's address was given, if that is one: its IP address there is the router's to know
	Shared   failover.MemberName // another member to whose address the router sends its clients, if there is one: that is wrong for one of the two
	Refused  error               // why Open would refuse to send clients to it, asked from here; nil if nothing is known against it
	Open     bool                // it takes new clients
	Told     string              // what it was told that keeps new clients away ("maintenance", say), which Open takes back; empty for a server that the router only finds dead
	Kept     string              // what else keeps them away, if the router says so, which Open does not take back
	Closed   bool                // it takes no new clients because it was told so for good
	Sessions int                 // sessions that are there now; 0 if the router doesn't say
}

// State is what a router says of a group's members. Members that it doesn't know are missing.
type State struct {
	Servers   []Server // in the order of the group's members
	Strangers []string // further servers that take new clients, by the router's own names: those of members that left the group, say
	StandIns  []string // further servers that take clients only where no member does, by the router's own names
}

// Server returns the server of a member.
func (s State) Server(member failover.MemberName) (Server, bool) {
	for _, server := range s.Servers {
		if server.Member == member {
			return server, true
		}
	}
	return Server{}, false
}

// Open lists the members that take new clients.
func (s State) Open() []failover.MemberName {
	var names []failover.MemberName
	for _, server := range s.Servers {
		if server.Open {
			names = append(names, server.Member)
		}
	}
	return names
}

// ProvesOpen says whether clients go to this member and to no other one of the group; the error says what else is the case. Strangers are
// nobody's to close: Inspect tells of them.
func (s State) ProvesOpen(member failover.MemberName) error {
	for _, server := range s.Servers {
		if server.Member == member && !server.Open {
			why := cmp.Or(server.Told, server.Kept, "the router does not find it alive, or others go before it")
			return fmt.Errorf("%w: %s takes no clients (%s)", ErrNotProven, member, why)
		}
		if server.Member != member {
			if err := server.provesClosed(); err != nil {
				return err
			}
		}
	}
	if _, found := s.Server(member); !found {
		return fmt.Errorf("%w: %s", ErrNoServer, member)
	}
	return nil
}

// withoutSessions is the state as it were if all sessions on closed servers had ended.
func (s State) withoutSessions() State {
	s.Servers = slices.Clone(s.Servers)
	for i := range s.Servers {
		if s.Servers[i].Closed {
			s.Servers[i].Sessions = 0
		}
	}
	return s
}

// ProvesClosed says whether no client reaches these members and no session is left on them.
func (s State) ProvesClosed(members ...failover.MemberName) error {
	for _, member := range members {
		server, found := s.Server(member)
		if !found {
			return fmt.Errorf("%w: %s", ErrNoServer, member)
		}
		if err := server.provesClosed(); err != nil {
			return err
		}
	}
	return nil
}

func (s Server) provesClosed() error {
	switch {
	case !s.Closed:
		return fmt.Errorf("%w: %s is not closed", ErrNotProven, s.Member)
	case s.Sessions > 0:
		return fmt.Errorf("%w: %s still has %d sessions", ErrNotProven, s.Member, s.Sessions)
	}
	return nil
}

// Router is one thing that sends clients to a primary.
type Router interface {
	// Close takes members out and ends their sessions.
	Close(ctx context.Context, r Request, members ...failover.MemberName) error
	// Open sends clients to a member, at its present address, and to no other member of the group.
	Open(ctx context.Context, r Request, member failover.MemberName) error
	// State looks, and changes nothing.
	State(ctx context.Context, r Request) (State, error)
}

// driver makes the routers of one kind, of settings that nothing was found wrong with.
type driver func(settings, *Routers) (Router, error)

func driverOf(route failover.Route) (driver, error) {
	drivers := map[string]driver{routesettings.HAProxy: newHAProxy, routesettings.Command: newCommand}
	d, found := drivers[route.Router]
	if !found {
		return nil, fmt.Errorf("%w: router %q is unknown; use haproxy or command", ErrBadSetting, route.Router)
	}
	return d, nil
}

// RunsProgram says whether the driver of a route runs a program on this machine, for a look too.
func RunsProgram(route failover.Route) bool { return route.Router == routesettings.Command }

// Routers makes the drivers of routes, and keeps what they have in common. It may be used by several goroutines.
type Routers struct {
	secrets  *secret.Reader
	programs command.Runner
	names    resolver
}

// NewRouters returns Routers that read what settings refer to with secrets.
func NewRouters(secrets *secret.Reader) *Routers {
	return &Routers{secrets: secrets, names: net.DefaultResolver}
}

// Of returns the driver of a route. It resolves the route's settings, within ctx, but doesn't talk to the router.
func (rs *Routers) Of(ctx context.Context, route failover.Route) (Router, error) {
	router, err := rs.router(ctx, route)
	if err != nil {
		return nil, fmt.Errorf("route %s: %w", route.Name, err)
	}
	return router, nil
}

func (rs *Routers) router(ctx context.Context, route failover.Route) (Router, error) {
	d, err := driverOf(route)
	if err != nil {
		return nil, err
	}
	s, err := resolve(ctx, rs.secrets, route)
	if err != nil {
		return nil, err
	}
	if err := s.check(route.Router); err != nil {
		return nil, err
	}
	return d(s, rs)
}
