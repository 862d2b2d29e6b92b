package chaos

import (
	"context"
	"fmt"
	"time"

	"github.com/arbiter-ha/arbiter/internal/lab"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

const (
	// releaseAfter is how long an operator watches a held operation before a word that costs nothing, reinstateAfter
	// before the former primary is taken back, abortAfter before what they asked for themselves is given up.
	releaseAfter, reinstateAfter, abortAfter = 4 * time.Second, 40 * time.Second, 20 * time.Second
	// betweenCommands keeps the same advice from being followed twice a second.
	betweenCommands = 3 * time.Second
)

// Word is one command that an operator gave.
type Word struct {
	At      time.Time
	Command string
	// Answer is the error, empty if it was accepted.
	Answer string
}

// command does what the runbooks say about the group's state, once at a time.
func (s *storm) command(ctx context.Context, g *arbiterv1.GroupStatus) {
	if g.GetPause() != nil && s.pauseOver() {
		s.order(ctx, "resume", func(ctx context.Context) error {
			_, err := s.api.Resume(ctx, &arbiterv1.ResumeRequest{Change: change("the reason is gone"), Group: lab.Group})
			return err
		})
	}
	if !g.GetAdopted() {
		s.order(ctx, "adopt", func(ctx context.Context) error {
			_, err := s.api.Adopt(ctx, &arbiterv1.AdoptRequest{Change: change("one member writes"), Group: lab.Group})
			return err
		})
		return
	}
	if g.GetStage() == stageHeld {
		s.unhold(ctx, g)
	}
}

func (s *storm) pauseOver() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pauses == 0
}

// order gives one command, unless it was given a moment ago.
func (s *storm) order(ctx context.Context, command string, give func(context.Context) error) {
	s.mu.Lock()
	last := s.ordered[command]
	s.mu.Unlock()
	if time.Since(last) < betweenCommands {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	word := Word{At: time.Now(), Command: command}
	if err := give(ctx); err != nil {
		word.Answer = err.Error()
	}
	s.note(func() { s.ordered[command] = time.Now(); s.words = append(s.words, word) })
	answer := word.Answer
	if answer == "" {
		answer = "accepted"
	}
	s.say("operator        %s: %s", command, answer[:min(len(answer), 160)])
}

// unhold answers what the operation is held for.
func (s *storm) unhold(ctx context.Context, g *arbiterv1.GroupStatus) {
	op := g.GetOperation()
	id := fmt.Sprintf("%s/%d", op.GetId(), op.GetTurn())
	s.mu.Lock()
	if s.held != id {
		s.held, s.heldSince = id, time.Now()
		s.heldFirst[op.GetId()] = earlierOr(s.heldFirst[op.GetId()], time.Now())
	}
	now, ever := time.Since(s.heldSince), time.Since(s.heldFirst[op.GetId()])
	s.mu.Unlock()
	switch reason := op.GetHeldReason(); {
	case now < releaseAfter:
	case ever > abortAfter && !automatic(op) && memberOf(g, op.GetFrom()).GetAuthority() == authorityWriter:
		s.order(ctx, "abort", func(ctx context.Context) error {
			_, err := s.api.Abort(ctx, &arbiterv1.AbortRequest{
				Change: change("another time"), Group: lab.Group, Operation: op.GetId(),
			})
			return err
		})
	case reason == "fence-unproven":
		s.attest(ctx, g)
	case (reason == "no-candidate" || reason == "loss-bound" || reason == "catch-up") && ever > reinstateAfter:
		s.reinstate(ctx, g)
	case reason == "no-candidate" || reason == "loss-bound":
		// The crew is bringing members back; a sensible operator waits for them.
	default:
		s.order(ctx, "release ("+reason+")", func(ctx context.Context) error {
			_, err := s.api.Release(ctx, &arbiterv1.ReleaseRequest{
				Change: change("the cause is known"), Group: lab.Group, Operation: op.GetId(), Seen: op.GetTurn(),
			})
			return err
		})
	}
}

func earlierOr(known, now time.Time) time.Time {
	if known.IsZero() {
		return now
	}
	return known
}

// attest vouches for members that are told to stop and whose machine is off, and keeps them off meanwhile.
func (s *storm) attest(ctx context.Context, g *arbiterv1.GroupStatus) {
	op := g.GetOperation()
	for _, p := range s.patients {
		if p.database == nil || memberOf(g, p.name()).GetAuthority() != authorityRevoked || !p.hands.TryLock() {
			continue
		}
		if !p.host.On() {
			s.order(ctx, "attest "+p.name(), func(ctx context.Context) error {
				_, err := s.api.Attest(ctx, &arbiterv1.AttestRequest{
					Change: change("I stand beside it: it is off"), Group: lab.Group, Operation: op.GetId(), Member: p.name(), Seen: op.GetTurn(),
				})
				return err
			})
		}
		p.hands.Unlock()
	}
}

// reinstate takes the former primary back when nobody else can be promoted: its data is whole, and nothing is lost.
func (s *storm) reinstate(ctx context.Context, g *arbiterv1.GroupStatus) {
	op := g.GetOperation()
	if memberOf(g, op.GetFrom()).GetAuthority() == authorityWriter {
		return // it was not fenced: the crew starts it
	}
	s.order(ctx, "reinstate "+op.GetFrom(), func(ctx context.Context) error {
		_, err := s.api.Reinstate(ctx, &arbiterv1.ReinstateRequest{
			Change: change("nobody else can be promoted"), Group: lab.Group, Operation: op.GetId(), Seen: op.GetTurn(),
		})
		return err
	})
}
