package route

import (
	"context"
	"errors"
	"fmt"

	"github.com/arbiter-ha/arbiter/failover"
)

// Problem is one thing that would keep a router from taking a failover's changes.
type Problem struct {
	Member  failover.MemberName // empty if it is about the router
	Message string              // without secrets
	Fix     string              // what to do
	Silent  bool                // the router did not answer
}

// Inspect asks a router whether it would send clients where a failover wants them, and changes nothing: its settings are known,
// its secrets can be resolved on this machine, it answers, and it has a server for each member.
func Inspect(ctx context.Context, route failover.Route, r Request) []Problem {
	router, err := New(route)
	if err != nil {
		return []Problem{{Message: err.Error(), Fix: "mend the route in the group's spec, or put its secrets on this arbiter's machine"}}
	}
	state, err := router.State(ctx, r)
	if errors.Is(err, ErrStaleEpoch) {
		return nil // it answers, and asks even a look for its epoch; a look has none
	}
	if err != nil {
		return []Problem{{
			Message: fmt.Sprintf("route %s: %v", route.Name, err), Silent: errors.Is(err, ErrUnreachable), Fix: fixFor(err),
		}}
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
	return problems
}

func fixFor(err error) string {
	switch {
	case errors.Is(err, ErrUnreachable):
		return "start the router, or open the way to its socket from this arbiter"
	case errors.Is(err, ErrBadSetting):
		return "mend the route in the group's spec"
	case errors.Is(err, ErrRefused):
		return "let the router accept commands from this arbiter (haproxy: level admin), and check the name of the backend"
	}
	return "find out what answers there: it is not what the route expects"
}
