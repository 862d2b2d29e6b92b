package failover

import (
	"fmt"
	"slices"
	"strings"
)

// Names of parts of an isolate: a route's name comes before those about routes.
const (
	RouteClosed   = "closed"
	SessionsEnded = "sessions ended"
)

// UndonePart is the name of a part that did not come about.
func UndonePart(name, what string) string { return name + " not " + what }

// MayWrite names the member that MayBeWriting is, and says whether clients were cut off from it; empty if there is none.
func MayWrite(g *Group) string {
	member := MayBeWriting(g)
	if member == "" {
		return ""
	}
	return fmt.Sprintf("%s MAY STILL BE WRITING, since nothing proves that it has stopped; %s", member, g.cutOff(member))
}

// MayBeWriting is the member that an operation has told to stop without a proof that it has; empty if there is none, or if the first try to isolate it still
// goes on. A rogue whose fence waits for a person was not told anything yet.
func MayBeWriting(g *Group) MemberName {
	op := g.Operation
	if op == nil || op.Kind != KindFailover && op.Kind != KindRefence {
		return ""
	}
	m := g.Member(g.revoked())
	waited := g.Stage == Held && op.Kind == KindFailover
	if m == nil || m.Authority != AuthorityRevoked || !waited && !op.tried(ActionIsolate, m.Name) {
		return ""
	}
	return m.Name
}

// cutOff says what the newest try to isolate a member did about its clients. That it keeps clients away is no proof: whoever knows the member's own
// address needs no route.
func (g *Group) cutOff(member MemberName) string {
	steps := g.Operation.Steps
	for _, step := range slices.Backward(steps) {
		if step.Name != string(ActionIsolate) || step.Member != member || len(step.Parts) == 0 {
			continue
		}
		has := func(name string) bool {
			return slices.ContainsFunc(step.Parts, func(p StepTime) bool { return p.Name == name })
		}
		var closed, open []string
		for _, r := range g.Spec.Routes {
			switch {
			case has(r.Name + " " + RouteClosed):
				closed = append(closed, r.Name)
			case has(UndonePart(r.Name, RouteClosed)):
				open = append(open, r.Name)
			}
		}
		return clientsOf(closed, open, has(SessionsEnded))
	}
	return "whether clients still reach it is not known"
}

func clientsOf(closed, open []string, ended bool) string {
	sessions := "its open sessions could not be ended"
	if ended {
		sessions = "its open sessions were ended"
	}
	switch {
	case len(open) > 0:
		return fmt.Sprintf("CLIENTS MAY STILL REACH IT: not closed: %s; %s", strings.Join(open, ", "), sessions)
	case len(closed) > 0 && ended:
		return fmt.Sprintf("clients were cut off from it (closed: %s; %s), but for those that know its own address", strings.Join(closed, ", "), sessions)
	case len(closed) > 0:
		return fmt.Sprintf("clients that come by routes were cut off from it (closed: %s); %s", strings.Join(closed, ", "), sessions)
	}
	return "no route was closed to it; " + sessions
}
