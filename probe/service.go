package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/postgres"
	"github.com/arbiter-ha/arbiter/internal/secret"
	"github.com/arbiter-ha/arbiter/internal/serviceapi"
)

// Service checks a service that offers the contract of docs/http-engine.md: that it takes a new connection, says what it is, and, as a primary, commits
// a write to its own disk. As with Postgres, a standby is asked through the connection that is held to it, but for one look in asksThroughHeld
// and after a bad one.
//
// That two writes of one arbiter are never under way on one member is the service's part of the contract: it refuses the second one, and says how
// old the first is.
type Service struct {
	node    failover.NodeID
	secrets *secret.Reader

	mu   sync.Mutex
	held map[memberKey]*heldService
}

// NewService returns a check for any number of members.
func NewService(node failover.NodeID, secrets *secret.Reader) *Service {
	return &Service{node: node, secrets: secrets, held: map[memberKey]*heldService{}}
}

// heldService is a connection that is kept open to a member.
type heldService struct {
	client *serviceapi.Client
	// through counts the looks in a row that asked a standby through it; -1 if the last look didn't find a healthy standby.
	through int
}

// Look asks the member what it is, and has it write if it may.
func (s *Service) Look(ctx context.Context, t Target, c failover.Check) Look {
	key := memberKey{t.Group, t.Member.Name}
	if h := s.throughHeld(key); h != nil {
		if state, err := h.client.State(ctx); err == nil && state.Role == failover.RoleStandby {
			return Look{Evidence: failover.Evidence{Reason: failover.ReasonAnswered}, Facts: serviceFacts(state), Held: true}
		}
	}
	look := s.lookAnew(ctx, t, c)
	s.noteStandby(key, look)
	return look
}

// lookAnew looks over a connection of its own.
func (s *Service) lookAnew(ctx context.Context, t Target, c failover.Check) Look {
	var (
		client    *serviceapi.Client
		connected atomic.Bool
	)
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dialAny(ctx, network, address)
		connected.Store(err == nil)
		return conn, err
	}
	err := readInTime(ctx, func() (err error) {
		client, err = serviceapi.NewSingle(ctx, t.Address(c), t.Spec.Connect, s.secrets, dial, nil)
		return err
	})
	if err != nil {
		return Look{Evidence: serviceEvidence(err)}
	}
	defer client.Close()
	state, err := client.State(ctx)
	if err != nil {
		return Look{Evidence: acceptedIf(connected.Load(), serviceEvidence(err))}
	}
	look := Look{Evidence: failover.Evidence{Reason: failover.ReasonAnswered}, Facts: serviceFacts(state)}
	if state.Role == failover.RolePrimary {
		return s.tryWrite(ctx, client, c, look)
	}
	return look
}

// tryWrite completes a look at a primary by a write.
func (s *Service) tryWrite(ctx context.Context, client *serviceapi.Client, c failover.Check, look Look) Look {
	state, err := client.Do(ctx, serviceapi.VerbProbe, serviceapi.Order{Arbiter: string(s.node)})
	var refusal *serviceapi.Refusal
	switch {
	case err == nil && state.AcceptsWrites:
		look.Facts.AcceptsWrites = true
	case err == nil:
		look.Evidence = failover.Evidence{Reason: failover.ReasonReadOnly, Detail: "it does not say that it committed the write"}
	case errors.As(err, &refusal) && refusal.Code == serviceapi.CodeWriteUnderWay:
		if age := time.Duration(refusal.AgeMS) * time.Millisecond; age < c.Timeout {
			look.Partial = true
			look.Evidence.Detail = "not written: an earlier write is under way"
		} else {
			look.Evidence = failover.Evidence{Reason: failover.ReasonWriteStalled, Detail: fmt.Sprintf("a write has not ended for %v", age)}
		}
	case ctx.Err() != nil && errors.Is(ctx.Err(), context.DeadlineExceeded):
		look.Evidence = failover.Evidence{
			Reason: failover.ReasonWriteStalled, Detail: "the write was not committed in time, though the service had answered",
		}
	default:
		look.Evidence = serviceEvidence(fmt.Errorf("write: %w", err))
	}
	return look
}

// Hold keeps a connection open, which both sides see when the other one ends.
func (s *Service) Hold(ctx context.Context, t Target, c failover.Check) (bool, error) {
	lost := make(chan error, 1)
	dial := func(ctx context.Context, _, address string) (net.Conn, error) { return dialTCP(ctx, address) }
	opening, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	client, err := serviceapi.NewSingle(opening, t.Address(c), t.Spec.Connect, s.secrets, dial, func(err error) { lost <- err })
	if err != nil {
		return false, err
	}
	defer client.Close()
	if _, err := client.State(opening); err != nil {
		return false, err
	}
	key, h := memberKey{t.Group, t.Member.Name}, &heldService{client: client, through: -1}
	s.setHeld(key, h)
	defer s.dropHeld(key, h)
	select {
	case err := <-lost:
		return true, fmt.Errorf("connection lost: %w", err)
	case <-ctx.Done():
		return true, context.Cause(ctx)
	}
}

// dialAny makes a connection that lasts for one look.
func dialAny(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := net.Dialer{KeepAlive: -1}
	return dialer.DialContext(ctx, network, address)
}

func (s *Service) setHeld(key memberKey, h *heldService) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held[key] = h
}

func (s *Service) dropHeld(key memberKey, h *heldService) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held[key] == h {
		delete(s.held, key)
	}
}

// throughHeld returns the connection to ask through, nil if this look is to open one of its own.
func (s *Service) throughHeld(key memberKey) *heldService {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.held[key]
	if h == nil || h.through < 0 || h.through >= asksThroughHeld {
		return nil
	}
	h.through++
	return h
}

// noteStandby remembers whether a look found a healthy standby, which may be asked through the held connection next time.
func (s *Service) noteStandby(key memberKey, look Look) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h := s.held[key]; h != nil {
		h.through = -1
		if look.Evidence.Reason == failover.ReasonAnswered && look.Facts.Role == failover.RoleStandby {
			h.through = 0
		}
	}
}

// serviceFacts translates what a service says of itself.
func serviceFacts(s serviceapi.State) failover.Facts {
	f := failover.Facts{Role: s.Role, SystemID: s.SystemID, Timeline: s.Timeline, Epoch: failover.Epoch(s.Epoch)}
	if s.Role == failover.RoleStandby {
		f.Received, f.Replayed, f.Streaming = failover.LSN(s.Received), failover.LSN(s.Replayed), s.Streaming
		return f
	}
	f.Written = failover.LSN(s.Written)
	if s.Sync != nil {
		f.SyncRule = failover.SyncRule{Need: s.Sync.Need, Names: s.Sync.Names}
	}
	for _, standby := range s.Standbys {
		f.Replicas = append(f.Replicas, failover.Replica{Name: standby.Name, Streaming: standby.Streaming, Sync: standby.Sync})
	}
	slices.SortFunc(f.Replicas, func(a, b failover.Replica) int { return strings.Compare(a.Name, b.Name) })
	return f
}

// serviceEvidence sorts an error of the contract's client.
func serviceEvidence(err error) failover.Evidence {
	e := postgres.Classify(err) // what it knows of networks and TLS holds for every service
	var refusal *serviceapi.Refusal
	switch {
	case errors.As(err, &refusal):
		e.Reason = refusalReason(refusal)
	case errors.Is(err, serviceapi.ErrUnusableSettings):
		e.Reason = failover.ReasonBadConfiguration
	case errors.Is(err, serviceapi.ErrNotTheContract):
		e.Reason = failover.ReasonWrongAnswer
	case e.Reason == failover.ReasonArbiterTrouble && !errors.Is(err, context.Canceled) && strings.Contains(err.Error(), "malformed HTTP"):
		e.Reason = failover.ReasonWrongAnswer // net/http has no type for it
	}
	return e
}

func refusalReason(r *serviceapi.Refusal) failover.Reason {
	if r.Status == 401 || r.Status == 403 {
		return failover.ReasonBadCredentials
	}
	if reason := failover.Reason(r.Code); failover.ClassOf(reason) == failover.EvidenceFailing {
		return reason
	}
	return failover.ReasonWrongAnswer
}
