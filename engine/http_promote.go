package engine

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/clock"
	"github.com/arbiter-ha/arbiter/internal/serviceapi"
)

// Promote makes a.Member primary under a.Epoch (S9): it raises the token, orders the promotion, which the service carries out only if the token is
// this epoch and it is in recovery, repeats that until the service has left recovery, and has the epoch row written. A service that is not in
// recovery only gets its token and the row. Failed means that the service was not asked, or refused; anything else that is no success is unknown.
func (h *HTTP) Promote(ctx context.Context, a failover.Action) failover.Outcome {
	r := startRecorder()
	s, err := h.memberOf(ctx, a)
	if err != nil {
		return r.failed(fmt.Errorf("promote %s: %w", a.Member, err))
	}
	defer s.Close()
	if err := s.raise(ctx); err != nil {
		return r.failed(fmt.Errorf("promote %s: %w", a.Member, err))
	}
	r.step("token raised", "epoch "+strconv.FormatUint(uint64(a.Epoch), 10))
	asked, err := s.leaveRecovery(ctx, a, r)
	if err != nil {
		return r.failedUnless(asked, fmt.Errorf("promote %s: %w", a.Member, err))
	}
	state, sent, err := s.order(ctx, serviceapi.VerbRow, serviceapi.Order{SystemID: a.SystemID, Member: string(a.Member), Operation: string(a.Operation)})
	if err != nil {
		return r.failedUnless(asked || sent, fmt.Errorf("promote %s: write the epoch row: %w", a.Member, err))
	}
	r.step("epoch row written", "")
	return judgeRow(r, state, a)
}

func (h *HTTP) memberOf(ctx context.Context, a failover.Action) (service, error) {
	member, known := a.Spec.Member(a.Member)
	if !known {
		return service{}, errors.New("the group has no such member")
	}
	return h.reach(ctx, member.Address, a.Spec.Connect, a.Epoch)
}

// leaveRecovery orders the promotion until the service is primary. asked says that it may have been carried out.
func (s service) leaveRecovery(ctx context.Context, a failover.Action, r *recorder) (asked bool, err error) {
	before, err := s.State(ctx)
	if err != nil {
		return false, err
	}
	if err := checkSystem(before, a.SystemID); err != nil {
		return false, err
	}
	if before.Role == failover.RolePrimary {
		r.step("not in recovery", "nothing to promote")
		return false, nil
	}
	if a.EpochOnly {
		return false, ErrNotPrimary
	}
	requests := 0
	for {
		state, sent, err := s.order(ctx, serviceapi.VerbPromote, serviceapi.Order{SystemID: a.SystemID})
		requests++
		asked = asked || sent
		if err != nil {
			return asked, err
		}
		for last := time.Now(); time.Since(last) < askEvery && state.Role != failover.RolePrimary; {
			if clock.Pause(ctx, lookAgain) != nil {
				return asked, fmt.Errorf("the service has not left recovery, asked %d times: %w", requests, ctx.Err())
			}
			if state, err = s.State(ctx); err != nil {
				return asked, err
			}
		}
		if state.Role == failover.RolePrimary {
			r.step("left recovery", fmt.Sprintf("asked %d times", requests))
			return asked, nil
		}
	}
}

func checkSystem(state serviceapi.State, systemID string) error {
	if systemID != "" && state.SystemID != systemID {
		return fmt.Errorf("%w: its identifier is %s, the group's is %s", ErrWrongSystem, state.SystemID, systemID)
	}
	return nil
}

// Promoted looks, without changing anything, whether Promote has already reached its end. Failed means that the service can't have been asked under
// this epoch; unknown, that it can't be seen, or that a part is missing, so that Promote must be repeated.
func (h *HTTP) Promoted(ctx context.Context, a failover.Action) failover.Outcome {
	r := startRecorder()
	s, err := h.memberOf(ctx, a)
	if err != nil {
		return r.failed(fmt.Errorf("look at %s: %w", a.Member, err))
	}
	defer s.Close()
	state, err := s.State(ctx)
	if err == nil {
		err = checkSystem(state, a.SystemID)
	}
	switch {
	case err != nil:
		return r.failedUnless(!errors.Is(err, ErrWrongSystem), fmt.Errorf("look at %s: %w", a.Member, s.explain(err)))
	case state.Epoch > uint64(a.Epoch):
		return r.failed(fmt.Errorf("look at %s: %w: its token is %d, this is epoch %d", a.Member, ErrNewerEpoch, state.Epoch, a.Epoch))
	case state.Epoch < uint64(a.Epoch) && state.Role == failover.RoleStandby:
		return r.failed(fmt.Errorf("look at %s: %w: it shows %d instead of %d", a.Member, ErrTokenNotTaken, state.Epoch, a.Epoch))
	case state.Role == failover.RoleStandby:
		return r.outcome(failover.ResultUnknown, fmt.Sprintf("%s is still in recovery; it may have been asked", a.Member))
	}
	return judgeRow(r, state, a)
}

// judgeRow says what the epoch row of a primary means for the action.
func judgeRow(r *recorder, state serviceapi.State, a failover.Action) failover.Outcome {
	row := serviceapi.Row{}
	if state.Row != nil {
		row = *state.Row
	}
	switch {
	case row.Epoch > uint64(a.Epoch):
		return r.failed(fmt.Errorf("look at %s: %w: its epoch row says %d, this is epoch %d", a.Member, ErrNewerEpoch, row.Epoch, a.Epoch))
	case row.Epoch < uint64(a.Epoch) || row.Member != string(a.Member) || state.Role != failover.RolePrimary:
		return r.outcome(failover.ResultUnknown,
			fmt.Sprintf("%s is %s, and its epoch row says %q under epoch %d", a.Member, state.Role, row.Member, row.Epoch))
	}
	done := r.outcome(failover.ResultDone, fmt.Sprintf("%s is primary under epoch %d", a.Member, a.Epoch))
	done.Timeline, done.Position = state.Timeline, failover.LSN(row.Position)
	return done
}

// VerifyThroughRoute proves that clients reach the new primary: what this try alone can have written through the routed address, on the condition
// that the epoch row there is that of a.Member under a.Epoch, is read on the member's own address. It repeats this until it succeeds or ctx ends.
func (h *HTTP) VerifyThroughRoute(ctx context.Context, routeAddress string, a failover.Action) failover.Outcome {
	r := startRecorder()
	member, err := h.memberOf(ctx, a)
	if err != nil {
		return r.failed(fmt.Errorf("verify the route %s: %w", routeAddress, err))
	}
	defer member.Close()
	return r.verified(ctx, routeAddress, a, func(ctx context.Context, number int) error {
		if err := h.verifyOnce(ctx, routeAddress, member, a); err != nil {
			return err
		}
		r.writeSeen("seen on "+string(a.Member)+", written through the route", fmt.Sprintf("try %d", number))
		return nil
	})
}

func (h *HTTP) verifyOnce(ctx context.Context, routeAddress string, member service, a failover.Action) error {
	if err := member.continueUnder(ctx, a); err != nil {
		return err
	}
	// A connection of its own for each try: where it leads is what is tried.
	route, err := h.reach(ctx, routeAddress, a.Spec.Connect, a.Epoch)
	if err != nil {
		return err
	}
	defer route.Close()
	proof := rand.Text()
	written := serviceapi.Order{SystemID: a.SystemID, Member: string(a.Member), Route: routeAddress, Proof: proof}
	if _, _, err := route.order(ctx, serviceapi.VerbProof, written); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	seen, err := member.Proof(ctx, routeAddress)
	if err != nil {
		return fmt.Errorf("read on %s what was written: %w", a.Member, err)
	}
	if seen.Proof != proof {
		return fmt.Errorf("%w: what was written through it is not on %s", ErrRouteElsewhere, a.Member)
	}
	return nil
}

// continueUnder takes the epoch row of a member that the same operation promoted under an older epoch to this one; see Postgres.
func (s service) continueUnder(ctx context.Context, a failover.Action) error {
	state, err := s.State(ctx)
	if err != nil {
		return err
	}
	row := state.Row
	if row == nil || row.Member != string(a.Member) || row.Operation != string(a.Operation) || row.Epoch >= uint64(a.Epoch) {
		return nil // what the route leads to decides
	}
	_, _, err = s.order(ctx, serviceapi.VerbRow, serviceapi.Order{SystemID: a.SystemID, Member: string(a.Member), Operation: string(a.Operation)})
	if err != nil {
		return fmt.Errorf("write the epoch row of %s: %w", a.Member, err)
	}
	return nil
}
