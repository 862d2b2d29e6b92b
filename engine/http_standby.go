package engine

import (
	"context"
	"fmt"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/clock"
	"github.com/arbiter-ha/arbiter/internal/serviceapi"
)

// StopFollowing makes one standby stop following its primary, under the token of this epoch, and reads how far it got. Answered says that the
// standby acknowledges nothing to its former primary any more and that its position is certain; Detail says why not.
func (h *HTTP) StopFollowing(
	ctx context.Context, member failover.MemberSpec, spec *failover.Spec, epoch failover.Epoch, systemID string,
) failover.MemberPosition {
	return readPosition(member, func(position *failover.MemberPosition) error {
		s, err := h.reach(ctx, member.Address, spec.Connect, epoch)
		if err != nil {
			return err
		}
		defer s.Close()
		state, _, err := s.order(ctx, serviceapi.VerbStop, serviceapi.Order{SystemID: systemID})
		if err != nil {
			return err
		}
		return s.waitStopped(ctx, state, epoch, position)
	})
}

// waitStopped looks, beginning with the answer to the order to stop, until the standby has settled.
func (s service) waitStopped(
	ctx context.Context, state serviceapi.State, epoch failover.Epoch, position *failover.MemberPosition,
) (err error) {
	for err == nil {
		position.SystemID, position.Timeline, position.Epoch = state.SystemID, state.Timeline, failover.Epoch(state.Epoch)
		position.Received, position.Replayed = failover.LSN(state.Received), failover.LSN(state.Replayed)
		switch {
		case state.Role != failover.RoleStandby:
			return ErrNotStandby
		case position.Epoch != epoch:
			return fmt.Errorf("%w: it shows %d instead of %d", ErrTokenNotTaken, position.Epoch, epoch)
		case state.Settled && state.Following == "":
			position.Answered = true
			return nil
		}
		if clock.Pause(ctx, lookAgain) != nil {
			return fmt.Errorf("it has not settled; it may still acknowledge to the former primary: %w", ctx.Err())
		}
		state, err = s.State(ctx)
	}
	return err
}

// Point points a standby at a primary, under the token of this epoch. A standby that points there already is left as it is.
func (h *HTTP) Point(
	ctx context.Context, standby, primary failover.MemberSpec, spec *failover.Spec, epoch failover.Epoch, systemID string,
) failover.Outcome {
	r := startRecorder()
	s, err := h.reach(ctx, standby.Address, spec.Connect, epoch)
	if err != nil {
		return r.failed(fmt.Errorf("point %s at %s: %w", standby.Name, primary.Name, err))
	}
	defer s.Close()
	_, sent, err := s.order(ctx, serviceapi.VerbFollow, serviceapi.Order{
		SystemID: systemID, As: standby.ApplicationName,
		Primary: &serviceapi.Peer{Name: string(primary.Name), Address: primary.Address},
	})
	if err != nil {
		return r.failedUnless(sent, fmt.Errorf("point %s at %s: %w", standby.Name, primary.Name, err))
	}
	r.step("token raised, pointed", "")
	return r.outcome(failover.ResultDone, fmt.Sprintf("%s points at %s", standby.Name, primary.Name))
}

// AwaitFollowing waits until both sides say that the standby streams from the primary. Unknown means that they haven't in time.
func (h *HTTP) AwaitFollowing(
	ctx context.Context, standby, primary failover.MemberSpec, spec *failover.Spec, epoch failover.Epoch,
) failover.Outcome {
	r := startRecorder()
	if err := h.awaitFollowing(ctx, standby, primary, spec, epoch); err != nil {
		return r.unknown(fmt.Errorf("wait for %s to follow %s: %w", standby.Name, primary.Name, err))
	}
	r.step("streams", "")
	return r.outcome(failover.ResultDone, fmt.Sprintf("%s follows %s", standby.Name, primary.Name))
}

func (h *HTTP) awaitFollowing(
	ctx context.Context, standby, primary failover.MemberSpec, spec *failover.Spec, epoch failover.Epoch,
) error {
	from, err := h.reach(ctx, primary.Address, spec.Connect, epoch)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := h.reach(ctx, standby.Address, spec.Connect, epoch)
	if err != nil {
		return err
	}
	defer to.Close()
	for {
		here, err := to.State(ctx)
		if err != nil {
			return err
		}
		there, err := from.State(ctx)
		if err != nil {
			return err
		}
		if here.Streaming && here.Following == primary.Address && serves(there, standby) {
			return nil
		}
		if clock.Pause(ctx, lookAgain) != nil {
			return fmt.Errorf("it does not stream (%s): %w", here.Trouble, ctx.Err())
		}
	}
}

// serves says whether a primary counts a standby among those that stream from it.
func serves(primary serviceapi.State, standby failover.MemberSpec) bool {
	for _, s := range primary.Standbys {
		if s.Streaming && (s.Name == standby.ApplicationName || standby.ApplicationName == "" && s.Name == string(standby.Name)) {
			return true
		}
	}
	return false
}
