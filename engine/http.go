package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/secret"
	"github.com/arbiter-ha/arbiter/internal/serviceapi"
)

// lookAgain is the pause between looks at a service that is on its way to what it was told.
const lookAgain = 3 * time.Millisecond

// HTTP acts on services that offer the contract of docs/http-engine.md, themselves or by an adapter. The service compares epochs: looking at its
// token and acting on it are one step there. HTTP keeps no state.
type HTTP struct {
	secrets *secret.Reader
}

// NewHTTP returns an engine that reads passwords and TLS files with secrets.
func NewHTTP(secrets *secret.Reader) *HTTP { return &HTTP{secrets: secrets} }

// service is one member, to be acted on under one epoch.
type service struct {
	*serviceapi.Client
	epoch failover.Epoch
}

// reach returns the service at an address; it doesn't connect yet. Close it.
func (h *HTTP) reach(ctx context.Context, address string, connect failover.Connect, epoch failover.Epoch) (service, error) {
	client, err := serviceapi.NewClient(ctx, address, connect, h.secrets, nil)
	return service{Client: client, epoch: epoch}, err
}

// order has the service do something under the epoch, if the lease still allows it when the order goes out (S6). sent says that it may have been done.
func (s service) order(ctx context.Context, verb serviceapi.Verb, o serviceapi.Order) (state serviceapi.State, sent bool, err error) {
	o.Epoch = uint64(s.epoch)
	state, err = s.Do(ctx, verb, o)
	if err != nil {
		return state, serviceapi.MayHaveActed(err), s.explain(err)
	}
	return state, true, nil
}

// explain makes a service's refusal one of this package's errors, which callers match.
func (s service) explain(err error) error {
	var refusal *serviceapi.Refusal
	if !errors.As(err, &refusal) {
		return err
	}
	switch refusal.Code {
	case serviceapi.CodeNewerEpoch:
		return fmt.Errorf("%w: its token is %d, this is epoch %d", ErrNewerEpoch, refusal.Epoch, s.epoch)
	case serviceapi.CodeOlderToken:
		return fmt.Errorf("%w: it shows %d instead of %d", ErrTokenNotTaken, refusal.Epoch, s.epoch)
	case serviceapi.CodeWrongSystem:
		return fmt.Errorf("%w: %s", ErrWrongSystem, refusal.Detail)
	case serviceapi.CodeNotStandby:
		return ErrNotStandby
	case serviceapi.CodeOtherRow, serviceapi.CodeNotPrimary:
		return fmt.Errorf("%w: %s", ErrRouteElsewhere, refusal.Code)
	}
	return err
}

// raise makes the epoch the service's token, and looks whether it shows it.
func (s service) raise(ctx context.Context) error {
	state, _, err := s.order(ctx, serviceapi.VerbToken, serviceapi.Order{})
	if err == nil && state.Epoch != uint64(s.epoch) {
		err = fmt.Errorf("%w: it shows %d instead of %d", ErrTokenNotTaken, state.Epoch, s.epoch)
	}
	return err
}

// RaiseToken makes an epoch the token of one service, so that it refuses whoever acts under an older one (S9).
func (h *HTTP) RaiseToken(ctx context.Context, member failover.MemberSpec, spec *failover.Spec, epoch failover.Epoch) failover.Outcome {
	r := startRecorder()
	s, err := h.reach(ctx, member.Address, spec.Connect, epoch)
	if err != nil {
		return r.failed(fmt.Errorf("raise the token of %s: %w", member.Name, err))
	}
	defer s.Close()
	if err := s.raise(ctx); err != nil {
		return r.failedUnless(!errors.Is(err, ErrNewerEpoch), fmt.Errorf("raise the token of %s: %w", member.Name, err))
	}
	return r.outcome(failover.ResultDone, fmt.Sprintf("%s has token %d", member.Name, epoch))
}

// EndSessions ends the connections of clients to a member that is being isolated, as well as the service can. Only the fence proves anything.
func (h *HTTP) EndSessions(ctx context.Context, member failover.MemberSpec, spec *failover.Spec, epoch failover.Epoch) failover.Outcome {
	r := startRecorder()
	s, err := h.reach(ctx, member.Address, spec.Connect, epoch)
	if err != nil {
		return r.failed(fmt.Errorf("end the sessions on %s: %w", member.Name, err))
	}
	defer s.Close()
	state, sent, err := s.order(ctx, serviceapi.VerbEndSessions, serviceapi.Order{})
	if err != nil {
		return r.failedUnless(sent, fmt.Errorf("end the sessions on %s: %w", member.Name, err))
	}
	return r.outcome(failover.ResultDone, fmt.Sprintf("ended %d sessions on %s", state.Ended, member.Name))
}
