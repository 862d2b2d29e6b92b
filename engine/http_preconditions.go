package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/serviceapi"
)

// Preconditions looks at one member, without changing anything, for what Arbiter needs of it. Whether it keeps its part of the contract can't be seen
// from outside. A member that can't be asked is a problem too.
func (h *HTTP) Preconditions(ctx context.Context, member failover.MemberSpec, spec *failover.Spec) []Problem {
	found := &findings{member: member, spec: spec}
	s, err := h.reach(ctx, member.Address, spec.Connect, 0)
	if err != nil {
		found.halts("can't be asked: "+err.Error(), "put the secrets and certificates of the spec's connect on this arbiter's machine, or mend the spec")
		return found.problems
	}
	defer s.Close()
	state, err := s.State(ctx)
	switch {
	case err != nil:
		found.cannotAskService(err)
	case state.Role == failover.RolePrimary && spec.Policy.MaxLossBytes == 0 && (state.Sync == nil || state.Sync.Need == 0):
		found.blocks("no standby is synchronous, but the policy allows no loss (max_loss: none): a failover would be held",
			"have the service wait for a standby before it acknowledges, or allow a loss")
	case state.Role == failover.RoleStandby && !state.Streaming:
		found.advises(fmt.Sprintf("it does not stream (%s)", state.Trouble), "look at the group's status, and at the service's log")
	}
	if err == nil && state.SystemID == "" {
		found.halts("it has no system_id, so that it can't be told from another system", "have it follow its primary once")
	}
	return found.problems
}

// cannotAskService says what to do by what the failure means.
func (f *findings) cannotAskService(err error) {
	what, fix := "can't be asked: "+err.Error(), "start it, or open the way to it from this arbiter"
	var refusal *serviceapi.Refusal
	switch {
	case errors.As(err, &refusal) && (refusal.Status == 401 || refusal.Status == 403):
		fix = "mend connect.user and connect.password, or what the service knows of them"
	case errors.As(err, &refusal):
		fix = "look at the service's log"
	case errors.Is(err, serviceapi.ErrNotTheContract):
		fix = "put the address of the service's contract into the spec (docs/http-engine.md), or mend the adapter"
	default:
		f.problems = append(f.problems, Problem{Member: f.member.Name, Blocks: true, Halts: true, What: what, Fix: fix, Unreachable: true})
		return
	}
	f.halts(what, fix)
}
