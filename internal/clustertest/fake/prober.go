package fake

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/arbiter-ha/arbiter/arbiter"
	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/clock"
)

// ErrKilled is how a killed arbiter ends.
var ErrKilled = errors.New("killed by the test")

// Look is what a look at a member came to.
type Look struct {
	Facts    failover.Facts // what the member said
	Evidence failover.Evidence
	Except   map[string]failover.Evidence // by name, of checks that find something else
	Dead     bool                         // this look alone, before thresholds
	Reached  bool                         // over a new connection
	Good     bool                         // it found nothing wrong
}

// Prober looks at members that exist in memory. Its error ends its arbiter at once, without any order: that is how one is killed.
type Prober struct {
	every   time.Duration
	clock   clock.Clock
	killed  <-chan struct{}
	round   func() func(failover.MemberName) Look
	applied func() failover.Index
	report  func(arbiter.Report)
	again   chan struct{} // has room for one

	mu      sync.Mutex
	targets []arbiter.Target
}

// NewProber makes probers that look at all members every so often, until killed is closed. round is called when a round begins, and what it
// returns looks at each member.
func NewProber(every time.Duration, c clock.Clock, killed <-chan struct{}, round func() func(failover.MemberName) Look,
) func(failover.NodeID, func() failover.Index, func(arbiter.Report)) arbiter.Prober {
	return func(_ failover.NodeID, applied func() failover.Index, report func(arbiter.Report)) arbiter.Prober {
		return &Prober{every: every, clock: c, killed: killed, round: round, applied: applied, report: report, again: make(chan struct{}, 1)}
	}
}

// Run implements arbiter.Prober.
func (p *Prober) Run(ctx context.Context) error {
	ticker := time.NewTicker(p.every)
	defer ticker.Stop()
	for {
		p.look()
		select {
		case <-ticker.C:
		case <-p.again:
		case <-p.killed:
			return ErrKilled
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (p *Prober) look() {
	p.mu.Lock()
	targets := p.targets
	p.mu.Unlock()
	look := p.round()
	for _, t := range targets {
		began, asOf := p.clock.Boot(), p.applied()
		saw := look(t.Member.Name)
		o := failover.Observation{Group: t.Group, Member: t.Member.Name, AsOf: asOf, Since: failover.WallTimeOf(p.clock.Wall()), Facts: saw.Facts}
		for _, c := range t.Spec.Health.Checks {
			evidence := saw.Evidence
			if other, found := saw.Except[c.Name]; found {
				evidence = other
			}
			o.Checks = append(o.Checks, failover.CheckState{Name: c.Name, Evidence: evidence})
		}
		r := arbiter.Report{Observation: o, Address: t.Member.Address, SpecSince: t.SpecSince, Began: began, Ended: p.clock.Boot(), Check: checkName, Dead: saw.Dead}
		if saw.Facts.Role != failover.RoleUnknown {
			r.Told = arbiter.Told{Began: began, Ended: r.Ended}
		}
		if saw.Reached {
			r.Reached = began
		}
		if saw.Good {
			r.Good = max(r.Ended-began, 1)
		}
		p.report(r)
	}
}

// SetTargets implements arbiter.Prober.
func (p *Prober) SetTargets(targets []arbiter.Target) {
	p.mu.Lock()
	p.targets = targets
	p.mu.Unlock()
	p.LookAgain("")
}

// LookAgain implements arbiter.Prober.
func (p *Prober) LookAgain(failover.GroupName) {
	select {
	case p.again <- struct{}{}:
	default:
	}
}

// Lateness implements arbiter.Prober: nobody is late.
func (p *Prober) Lateness(time.Duration) arbiter.Lateness { return arbiter.Lateness{} }
