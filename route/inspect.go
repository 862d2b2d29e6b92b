package route

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
)

// Problem is one thing that is wrong with a router: it would not take a failover's changes, or sends clients elsewhere than to the primary.
type Problem struct {
	Member  failover.MemberName // empty if it is about the router
	Message string              // without secrets
	Fix     string              // what to do
	Silent  bool                // the router did not answer
	Stale   bool                // the router has seen a newer epoch than it was asked under
	Warning bool                // a failover would work
}

// Inspect asks a router whether it would send clients where a failover wants them, and changes nothing: its settings are known,
// its secrets can be resolved on this machine, it answers, it has a server for each member, and sends clients to the primary as long as
// there is one (empty: there is none now, or somebody is about to change it).
func (rs *Routers) Inspect(ctx context.Context, route failover.Route, r Request, primary failover.MemberName) []Problem {
	state, unread := rs.look(ctx, route, r)
	if unread != nil && unread.Stale {
		return nil // it answers, and asks even a look for its epoch; a look has none
	}
	if unread != nil {
		unread.Message = fmt.Sprintf("route %s: %s", route.Name, unread.Message)
		return []Problem{*unread}
	}
	var problems []Problem
	for _, m := range r.Members {
		if _, found := state.Server(m.Name); !found {
			problems = append(problems, Problem{
				Member: m.Name, Message: fmt.Sprintf("route %s has no server for it: clients could not be sent there", route.Name),
				Fix: fmt.Sprintf("add a server named %s to the router, or name it in the route: server.%s", m.Name, m.Name),
			})
		}
	}
	for _, name := range state.Strangers {
		problems = append(problems, Problem{
			Message: fmt.Sprintf("route %s sends clients to server %s too, which is no member's", route.Name, name),
			Fix:     "take it out of the router, or name it as a member's in the route (server.MEMBER): Arbiter closes only members",
		})
	}
	for _, name := range state.StandIns {
		problems = append(problems, Problem{
			Warning: true,
			Message: fmt.Sprintf("route %s sends clients to server %s, which is no member's, while no member takes any: in the middle of a failover, say", route.Name, name),
			Fix:     "leave it if it can't take writes (one that says sorry, say); otherwise take it out of the router",
		})
	}
	return slices.Concat(problems, astray(route, state, primary, r.LeftAlone), refused(route, state), rs.foundOtherwise(ctx, route, state, primary))
}

// refused are the members to which the router could not be told to send clients.
func refused(route failover.Route, state State) (problems []Problem) {
	for _, server := range state.Servers {
		if server.Refused == nil {
			continue
		}
		fix := "until then no failover can send clients to it"
		if !errors.Is(server.Refused, ErrSharedAddress) {
			fix = "let the name be found on this arbiter's machine, or give the member an IP address in the spec (address.MEMBER in the route, where the router reaches it by another)"
		}
		problems = append(problems, Problem{
			Member: server.Member, Message: fmt.Sprintf("route %s could not be told to send clients to it: %v", route.Name, server.Refused), Fix: fix,
		})
	}
	return problems
}

// namesLimit bounds how long Inspect looks names up.
const namesLimit = 2 * time.Second

// foundOtherwise are the members whose names stand for other addresses here than those to which the router sends clients. Which of them is right can't be
// known here, so nothing is changed by that, neither in a failover, unless what the router has is another member's.
func (rs *Routers) foundOtherwise(ctx context.Context, route failover.Route, state State, primary failover.MemberName) (problems []Problem) {
	ctx, end := context.WithTimeout(ctx, namesLimit)
	defer end()
	for _, server := range state.Servers {
		there, err := netip.ParseAddrPort(server.Address)
		if told := server.Refused != nil || server.Member == primary && server.Wanted != ""; server.Host == "" || err != nil || told {
			continue
		}
		ips, err := lookUp(ctx, rs.names, server.Host)
		if err != nil || slices.Contains(ips, there.Addr().Unmap()) {
			continue
		}
		at := server.Address
		fix := "see which is right where the router is: no failover changes it. If it is the router's, say so in the route: address.MEMBER, or addresses: keep; " +
			"if not, mend it in the router, or give the member an IP address in the spec"
		if server.Shared != "" {
			at += ", as it has " + string(server.Shared)
		}
		if server.Shared != "" || server.Wanted != "" {
			fix = "mend it in the router, or give the members IP addresses in the spec: a failover to it sends clients where the name leads from the arbiter that does it, which may be wrong where the router is"
		}
		problems = append(problems, Problem{
			Warning: true, Member: server.Member,
			Message: fmt.Sprintf("route %s has it at %s, and from here %s is %s", route.Name, at, server.Host, listed(ips)), Fix: fix,
		})
	}
	return problems
}

// listed names some addresses.
func listed(ips []netip.Addr) string {
	var texts []string
	for _, ip := range ips {
		texts = append(texts, ip.String())
	}
	slices.Sort(texts)
	return strings.Join(texts, ", ")
}

// look asks a router for its state. The problem says why that isn't known.
func (rs *Routers) look(ctx context.Context, route failover.Route, r Request) (State, *Problem) {
	router, err := rs.router(ctx, route)
	if err != nil {
		return State{}, &Problem{Message: err.Error(), Fix: "mend the route in the group's spec, or put its secrets on this arbiter's machine"}
	}
	state, err := router.State(ctx, r)
	if err != nil {
		return State{}, &Problem{Message: err.Error(), Silent: errors.Is(err, ErrUnreachable), Stale: errors.Is(err, ErrStaleEpoch), Fix: fixFor(err)}
	}
	return state, nil
}

// Astray is what of a route leads elsewhere than to the primary and could be led there by a command. unread says why that isn't known; nil if it is.
func (rs *Routers) Astray(ctx context.Context, route failover.Route, r Request, primary failover.MemberName) (found []Problem, unread *Problem) {
	state, unread := rs.look(ctx, route, r)
	if unread != nil {
		if unread.Silent { // which says the sentinel's words
			unread.Message = strings.Replace(unread.Message, ErrUnreachable.Error()+": ", "", 1)
		}
		return nil, unread
	}
	server, _ := state.Server(primary)
	for _, p := range astray(route, state, primary, r.LeftAlone) {
		if p.Member == primary && (server.Told == "" && server.Wanted == "" || server.Refused != nil) {
			continue // the router keeps them away by itself, or finds it dead, which no command mends, or Open would refuse
		}
		found = append(found, p)
	}
	return found, nil
}

// astray are the members at which clients arrive, or don't, against what was committed: somebody changed the router by hand, or it was
// reloaded and has forgotten what it was told. leftAlone says why automation does nothing about it.
func astray(route failover.Route, state State, primary failover.MemberName, leftAlone string) (problems []Problem) {
	server, known := state.Server(primary)
	if primary == "" || !known {
		return nil
	}
	open := state.Open()
	if !slices.Contains(open, primary) {
		problem := Problem{
			Member: primary, Message: fmt.Sprintf("route %s sends no clients to it, and it is the primary", route.Name),
			Fix: byItself(leftAlone, "automation brings them back within seconds", "bring them back by hand") + "; see to it that the router keeps what it was told over a reload (docs/group-spec.md, Routes)",
		}
		switch {
		case server.Told != "":
			problem.Message += fmt.Sprintf(" (%s)", server.Told)
		case server.Kept != "":
			problem.Message += fmt.Sprintf(": the router keeps them away by itself (%s)", server.Kept)
			problem.Fix = "change what keeps them away in the router: automation can't, nor a failover"
		case len(open) == 0 && server.Wanted == "":
			problem.Message += ": the router itself does not find it alive"
			problem.Fix = "see why: the router's own check, its address there, or the way between the two"
		}
		problems = append(problems, problem)
	}
	if server.Wanted != "" {
		problems = append(problems, Problem{
			Member: primary, Message: fmt.Sprintf("route %s has it at %s, and its address is %s", route.Name, server.Address, server.Wanted),
			Fix: byItself(leftAlone, "automation sets it right within seconds", "set it right by hand") +
				"; a failover does it too. Where the router is to have an address of its own, say so in the route: address.MEMBER, or addresses: keep",
		})
	}
	for _, member := range open {
		if member != primary {
			problems = append(problems, Problem{
				Warning: true, Member: member, Message: fmt.Sprintf("route %s may send clients to it, and the primary is %s", route.Name, primary),
				Fix: byItself(leftAlone, "automation takes it out of the router within seconds", "take it out by hand") + "; a failover does it too",
			})
		}
	}
	return problems
}

// byItself says that automation does something, or that somebody has to, and why.
func byItself(leftAlone, automation, hand string) string {
	if leftAlone == "" {
		return automation
	}
	return fmt.Sprintf("%s: automation leaves the routes alone, since %s", hand, leftAlone)
}

func fixFor(err error) string {
	switch {
	case errors.Is(err, ErrUnreachable):
		return "start the router, or open the way to its socket from this arbiter"
	case errors.Is(err, ErrBadSetting):
		return "mend the route in the group's spec"
	case errors.Is(err, ErrRefused):
		return "let the router accept commands from this arbiter (haproxy: level admin), and check the name of the backend"
	case errors.Is(err, ErrStaleEpoch):
		return "see who else uses this router: it has served a newer epoch than this group ever had"
	}
	return "find out what answers there: it is not what the route expects"
}
