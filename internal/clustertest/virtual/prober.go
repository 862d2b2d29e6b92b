package virtual

import (
	"context"
	"sync"
	"time"

	"github.com/arbiter-ha/arbiter/arbiter"
	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/clock"
)

// prober looks at the members. Its error ends the arbiter without any order: that is how one is killed.
type prober struct {
	hands   hands
	clock   clock.Clock
	applied func() failover.Index
	report  func(arbiter.Report)
	again   chan struct{}

	mu      sync.Mutex
	targets []arbiter.Target
}

// Run implements arbiter.Prober.
func (p *prober) Run(ctx context.Context) error {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		p.look()
		select {
		case <-ticker.C:
		case <-p.again:
		case <-p.hands.run.dead:
			return errKilled
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// lookTakes is how long a look takes.
const lookTakes = 3 * time.Millisecond

func (p *prober) look() {
	p.mu.Lock()
	targets := p.targets
	p.mu.Unlock()
	for _, t := range targets {
		began, asOf := p.clock.Boot(), p.applied()
		time.Sleep(lookTakes)
		o := failover.Observation{Group: t.Group, Member: t.Member.Name, AsOf: asOf, Since: failover.WallTimeOf(p.clock.Wall())}
		evidence, reached := failover.Evidence{Reason: failover.ReasonAnswered}, began
		facts, ok := p.hands.look(t.Member.Name)
		switch {
		case ok:
			o.Facts = facts
		case p.hands.net.Passes(p.hands.run.host(), string(t.Member.Name)):
			evidence, reached = failover.Evidence{Reason: failover.ReasonRefused, Detail: "nobody listens"}, 0
		default:
			evidence, reached = failover.Evidence{Reason: failover.ReasonTimeout, Detail: "no answer"}, 0
		}
		for _, c := range t.Spec.Health.Checks {
			o.Checks = append(o.Checks, failover.CheckState{Name: c.Name, Evidence: evidence})
		}
		p.report(arbiter.Report{
			Observation: o, Address: t.Member.Address, Began: began, Ended: p.clock.Boot(), Check: "postgres", Dead: !ok, Reached: reached,
		})
	}
}

// SetTargets implements arbiter.Prober.
func (p *prober) SetTargets(targets []arbiter.Target) {
	p.mu.Lock()
	p.targets = targets
	p.mu.Unlock()
	p.LookAgain("")
}

// LookAgain implements arbiter.Prober.
func (p *prober) LookAgain(failover.GroupName) {
	select {
	case p.again <- struct{}{}:
	default:
	}
}

// Lateness implements arbiter.Prober: in virtual time nobody is late.
func (p *prober) Lateness(time.Duration) arbiter.Lateness { return arbiter.Lateness{} }
