package route

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/clock"
	"github.com/arbiter-ha/arbiter/internal/failpoint"
	"github.com/arbiter-ha/arbiter/internal/routesettings"
)

const (
	// The pauses between looks at whether a change has taken effect grow from the first to the last.
	firstLookPause = time.Millisecond
	lastLookPause  = 50 * time.Millisecond
	// haproxyLimit bounds a call whose context has no deadline.
	haproxyLimit = 10 * time.Second
	// sessionPatience is how long Open waits for the ends of sessions on the other members. HAProxy (2.6) does not end one whose
	// client has gone while its server is silent, as that of a machine without power is, until its "timeout server": its way
	// to the server is shut already, so nothing is committed through it, and clients must not wait for it. Who may not write
	// was proven unable to before a route is opened.
	sessionPatience = 500 * time.Millisecond
)

// haproxy moves clients by HAProxy's runtime API. Its settings:
//
//	socket            unix:///path or tcp://host:port of a stats socket with "level admin"
//	backend           the backend whose servers are the group's members
//	server.MEMBER     the name of a member's server, if it isn't the member's name
//	address.MEMBER    host:port of the member as HAProxy should see it (a pooler, for example), if it isn't the member's address
//	addresses         "set" (the default) gives the servers the members' addresses, "keep" leaves them alone
type haproxy struct {
	socket  endpoint
	backend string
	servers map[failover.MemberName]string
	address map[failover.MemberName]string
	keep    bool
	names   resolver
}

func newHAProxy(s settings, common *Routers) (Router, error) {
	socket, err := parseEndpoint(s.values["socket"])
	if err != nil {
		return nil, err
	}
	h := &haproxy{
		socket: socket, backend: s.values["backend"], keep: s.values["addresses"] == "keep", names: common.names,
		servers: map[failover.MemberName]string{}, address: map[failover.MemberName]string{},
	}
	for key, value := range s.values {
		switch prefix, member, _ := routesettings.MemberIn(key); prefix {
		case routesettings.ServerPrefix:
			h.servers[failover.MemberName(member)] = value
		case routesettings.AddressPrefix:
			h.address[failover.MemberName(member)] = value
		}
	}
	return h, nil
}

// serverOf is the name of a member's server.
func (h *haproxy) serverOf(member failover.MemberName) string {
	if name, found := h.servers[member]; found {
		return name
	}
	return string(member)
}

// State asks for the state of the backend's servers.
func (h *haproxy) State(ctx context.Context, r Request) (State, error) {
	ctx, end := bounded(ctx)
	defer end()
	state, present, err := h.apply(ctx, r, nil)
	for i := range state.Servers {
		h.judgeAddress(ctx, r, &state.Servers[i], present)
	}
	return state, h.wrap("look", err)
}

// Close puts servers into maintenance, ends their sessions, and looks until none is left.
func (h *haproxy) Close(ctx context.Context, r Request, members ...failover.MemberName) error {
	ctx, end := bounded(ctx)
	defer end()
	var commands []string
	for _, member := range members {
		if _, err := r.member(member); err != nil {
			return h.wrap("close", err)
		}
		commands = append(commands, h.closing(member)...)
	}
	return h.wrap("close", h.untilProven(ctx, r, commands, commands, func(s State) error { return s.ProvesClosed(members...) }))
}

// closing are the commands that close a member. Maintenance comes first, so that no session begins after the others
// were ended.
func (h *haproxy) closing(member failover.MemberName) []string {
	server := h.backend + "/" + h.serverOf(member)
	return []string{"set server " + server + " state maint", "shutdown sessions server " + server}
}

// Open closes all the other members, sets the member's address, and makes it ready, in one round trip after a look.
func (h *haproxy) Open(ctx context.Context, r Request, member failover.MemberName) error {
	ctx, end := bounded(ctx)
	defer end()
	return h.wrap("open", h.open(ctx, r, member))
}

func (h *haproxy) open(ctx context.Context, r Request, member failover.MemberName) error {
	spec, err := r.member(member)
	if err != nil {
		return err
	}
	state, present, err := h.apply(ctx, r, nil)
	if err != nil {
		return err
	}
	if _, found := state.Server(member); !found {
		return fmt.Errorf("%w: backend %s has no server %s for member %s", ErrNoServer, h.backend, h.serverOf(member), member)
	}
	var commands []string
	for _, server := range state.Servers {
		if server.Member != member {
			commands = append(commands, h.closing(server.Member)...)
		}
	}
	address, err := h.readdress(ctx, r, spec, present)
	if err != nil {
		return err
	}
	first := slices.Concat(commands, address.commands, h.opening(present[h.serverOf(member)]))
	began := time.Now()
	ctx = failpoint.Pass(ctx, "before-change-route")
	return h.untilProven(ctx, r, first, commands, func(s State) error {
		failpoint.Pass(ctx, "after-change-route")
		if time.Since(began) > sessionPatience {
			s = s.withoutSessions()
		}
		return s.ProvesOpen(member)
	})
}

// opening are the commands that make a server take clients. A server of weight 0 gets that of its line in the configuration again, which every way of
// balancing allows (Management Guide, "set weight").
func (h *haproxy) opening(present serverState) []string {
	server := h.backend + "/" + present.name
	ready := []string{"set server " + server + " state ready"}
	if present.weight == 0 {
		ready = append(ready, "set weight "+server+" 100%")
	}
	return ready
}

// untilProven gives commands, and looks until they show their effect. Ending sessions takes HAProxy a moment, and one may have
// begun while maintenance was set, so some commands are given again before each further look.
func (h *haproxy) untilProven(ctx context.Context, r Request, commands, again []string, proven func(State) error) error {
	var missing error // what the last look did not prove
	for wait := firstLookPause; ; wait, commands = min(2*wait, lastLookPause), again {
		state, _, err := h.apply(ctx, r, commands)
		switch {
		case err != nil && missing != nil && clock.Over(ctx):
			return fmt.Errorf("%w; time is up: %w", missing, err)
		case err != nil:
			return err
		}
		missing = proven(state)
		if missing == nil || errors.Is(missing, ErrNoServer) {
			return missing
		}
		if clock.Pause(ctx, wait) != nil {
			return fmt.Errorf("%w; time is up: %w", missing, context.Cause(ctx))
		}
	}
}

// apply gives commands and looks at the state afterwards, in one round trip. It also returns HAProxy's own state by
// server.
func (h *haproxy) apply(ctx context.Context, r Request, commands []string) (State, map[string]serverState, error) {
	looks := []string{"show servers state " + h.backend, "show stat " + h.backend + " 4 -1"}
	answers, err := h.socket.exchange(ctx, append(slices.Clone(commands), looks...), len(commands) > 0)
	if err != nil {
		return State{}, nil, err
	}
	for i, command := range commands {
		if !succeeded(command, answers[i]) {
			return State{}, nil, fmt.Errorf("%w %q: %s", ErrRefused, command, oneLine(answers[i]))
		}
	}
	servers, err := parseServersState(answers[len(commands)], h.backend)
	if err != nil {
		return State{}, nil, err
	}
	statistics, err := parseStatistics(answers[len(commands)+1], h.backend)
	if err != nil {
		return State{}, nil, err
	}
	return h.state(r, servers, statistics), servers, nil
}

// state puts what HAProxy says into the words of this package. HAProxy sends no client to a backup server while another one is usable,
// and of several backup servers only to the first, which is not told: so a stranger that is one beside a member that is one may be it.
func (h *haproxy) state(r Request, servers map[string]serverState, statistics map[string]serverStatistics) State {
	var state State
	active, amongBackups := false, false // a server that is no backup is usable; a member's server is a backup
	for name, s := range servers {
		active = active || s.usable() && !statistics[name].backup
	}
	strangers := maps.Clone(servers)
	for _, member := range r.Members {
		s, found := servers[h.serverOf(member.Name)]
		if !found {
			continue
		}
		of := statistics[s.name]
		state.Servers = append(state.Servers, Server{
			Member: member.Name, Name: s.name, Address: net.JoinHostPort(s.address, s.port),
			Open: s.usable() && !(of.backup && active), Told: s.told(), Kept: s.kept(), Closed: s.inMaintenance(), Sessions: of.sessions,
		})
		amongBackups = amongBackups || of.backup
		delete(strangers, s.name)
	}
	for _, name := range slices.Sorted(maps.Keys(strangers)) {
		switch {
		case !strangers[name].usable():
		case statistics[name].backup && !amongBackups:
			state.StandIns = append(state.StandIns, name)
		default:
			state.Strangers = append(state.Strangers, name)
		}
	}
	return state
}

func (h *haproxy) wrap(verb string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s by haproxy %s, backend %s: %w", verb, h.socket, h.backend, err)
}

func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, found := ctx.Deadline(); found {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, haproxyLimit)
}
