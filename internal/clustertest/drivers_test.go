package clustertest

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/arbiter-ha/arbiter/arbiter"
	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/clustertest/fake"
	"github.com/arbiter-ha/arbiter/internal/permit"
)

const (
	minute    = time.Minute
	lease     = fake.Lease
	lookEvery = 40 * time.Millisecond
)

// hands are the drivers of one arbiter, all acting on the same world.
type hands struct {
	node  failover.NodeID
	world *world
}

func (h hands) drivers() arbiter.Drivers {
	return arbiter.Drivers{
		Fencer: h,
		Engine: func(failover.Engine) (arbiter.Engine, error) { return h, nil },
		Router: func(_ context.Context, r failover.Route) (arbiter.Router, error) {
			return router{hands: h, name: r.Name}, nil
		},
		Answers: func(m failover.MemberSpec, _ time.Duration) arbiter.Answers {
			return func(context.Context, failover.ProofGrade) (bool, string) {
				_, answers := h.world.facts(m.Name)
				return answers, "looked at the fake world"
			}
		},
		Inspect: h.inspectors(),
	}
}

// inspectors find what the test put into the world.
func (h hands) inspectors() arbiter.Inspectors {
	find := func(about string) []arbiter.Finding {
		h.world.mu.Lock()
		defer h.world.mu.Unlock()
		if f, found := h.world.flaws[flaw{h.node, about}]; found {
			return []arbiter.Finding{f}
		}
		return nil
	}
	return arbiter.Inspectors{
		Member: func(ctx context.Context, m failover.MemberSpec, _ *failover.Spec) []arbiter.Finding {
			h.world.noteAsked(ctx)
			if _, answers := h.world.facts(m.Name); !answers {
				return []arbiter.Finding{{Blocks: true, Halts: true, Unreachable: true, What: "can't be asked: refused", Next: "start it"}}
			}
			return find(string(m.Name))
		},
		Fence: func(_ context.Context, m failover.MemberSpec) []arbiter.Finding {
			h.world.mu.Lock()
			hang := h.world.hang
			h.world.mu.Unlock()
			if hang != nil && h.node == "az-b" && m.Name == "db1" {
				<-hang
			}
			return find("fence of " + string(m.Name))
		},
		Arrival: func(_ context.Context, r failover.Route, _ *failover.Spec, settled arbiter.Settled) []arbiter.Finding {
			if _, answers := h.world.facts(settled.Primary); settled.Primary != "" && !answers {
				return []arbiter.Finding{{Blocks: true, Unreachable: true, Member: settled.Primary, What: "through " + r.VerifyAddress + " clients reach nobody"}}
			}
			return find(r.VerifyAddress)
		},
		Route: func(_ context.Context, r failover.Route, _ failover.GroupName, _ *failover.Spec, settled arbiter.Settled) []arbiter.Finding {
			h.world.mu.Lock()
			at := h.world.routes[r.Name]
			h.world.mu.Unlock()
			if settled.Primary != "" && at != settled.Primary {
				return []arbiter.Finding{{Blocks: true, Member: settled.Primary, What: "clients are sent to " + string(at), Next: settled.LeftAlone}}
			}
			return find(r.Name)
		},
		Astray: func(_ context.Context, r failover.Route, _ *failover.Group, primary failover.MemberName) (look arbiter.RouteLook) {
			h.world.mu.Lock()
			defer h.world.mu.Unlock()
			if h.world.deaf != nil {
				look.Unread = &arbiter.Finding{Unreachable: true, What: h.world.deaf.Error()}
			} else if at := h.world.routes[r.Name]; at != primary {
				look.Astray = []arbiter.Finding{{Member: at, What: "clients arrive at it"}}
			}
			return look
		},
	}
}

// Isolate switches a machine off, after the gate.
func (h hands) Isolate(ctx context.Context, m failover.MemberSpec, _ failover.Policy, _ arbiter.Answers) (failover.Proof, []failover.StepTime) {
	h.world.mu.Lock()
	gate := h.world.gate
	h.world.mu.Unlock()
	if gate != nil {
		h.world.fencing <- h.node
		select {
		case <-gate:
		case <-ctx.Done():
			return failover.Proof{Grade: failover.ProofUnknown, By: "fence_fake", Detail: context.Cause(ctx).Error()}, nil
		}
	}
	if err := permit.Check(ctx); err != nil {
		return failover.Proof{Grade: failover.ProofUnknown, By: "fence_fake", Detail: err.Error()}, nil
	}
	if h.world.isLiedTo(h.node) {
		return failover.Proof{Grade: failover.ProofConfirmedOff, By: "fence_fake"}, nil
	}
	h.world.mu.Lock()
	defer h.world.mu.Unlock()
	h.world.databases[m.Name].powered = false
	h.world.note("isolate %s by %s", m.Name, h.node)
	return failover.Proof{Grade: failover.ProofConfirmedOff, By: "fence_fake"}, nil
}

// ReadBack says whether a machine is off.
func (h hands) ReadBack(_ context.Context, m failover.MemberSpec, _ failover.Policy, _ arbiter.Answers) (failover.Proof, []failover.StepTime) {
	h.world.mu.Lock()
	defer h.world.mu.Unlock()
	if h.world.databases[m.Name].powered && !h.world.lies[h.node] {
		return failover.Proof{Grade: failover.ProofUnknown, By: "fence_fake", Detail: "it is on"}, nil
	}
	return failover.Proof{Grade: failover.ProofConfirmedOff, By: "fence_fake"}, nil
}

// PathStatus answers unless the test says otherwise.
func (h hands) PathStatus(ctx context.Context, _ failover.MemberSpec) failover.FencePath {
	unarmed, out := h.world.noteAsked(ctx)
	if out != nil {
		out <- nil
		<-ctx.Done()
		out <- ctx.Err()
		unarmed = "it keeps still"
	}
	if h.world.isLiedTo(h.node) {
		return failover.FencePath{Armed: true, Off: true, Detail: "fence_fake says that it is off"}
	}
	if unarmed != "" {
		return failover.FencePath{Detail: unarmed}
	}
	return failover.FencePath{Armed: true, Detail: "fence_fake answers"}
}

// noteAsked counts a question, and says how fences answer it. What is asked without a limit is asked for no failover: the ways to all fences are, all the
// time.
func (w *world) noteAsked(ctx context.Context) (unarmed string, out chan<- error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, limited := ctx.Deadline(); !limited {
		return w.unarmed, nil
	}
	w.asked++
	return w.unarmed, w.askedOut
}

// act does something to a database that answers, unless the permit has ended or its token is of a later epoch.
func (h hands) act(ctx context.Context, m failover.MemberName, epoch failover.Epoch, do func(*database)) failover.Outcome {
	if err := permit.Check(ctx); err != nil {
		return failover.Outcome{Result: failover.ResultUnknown, Detail: err.Error()}
	}
	h.world.mu.Lock()
	defer h.world.mu.Unlock()
	d := h.world.databases[m]
	switch {
	case d == nil || !d.up():
		return failover.Outcome{Result: failover.ResultUnknown, Detail: fmt.Sprintf("%s does not answer", m)}
	case d.token > epoch:
		return failover.Outcome{Result: failover.ResultFailed, Detail: fmt.Sprintf("%s refuses epoch %d, it holds %d", m, epoch, d.token)}
	}
	d.token = epoch
	do(d)
	return failover.Outcome{Result: failover.ResultDone, Timeline: d.timeline, Position: d.position}
}

// EndSessions implements arbiter.Primaries.
func (h hands) EndSessions(ctx context.Context, m failover.MemberSpec, _ *failover.Spec, epoch failover.Epoch) failover.Outcome {
	return h.act(ctx, m.Name, epoch, func(*database) {})
}

// RaiseToken implements arbiter.Standbys.
func (h hands) RaiseToken(ctx context.Context, m failover.MemberSpec, _ *failover.Spec, epoch failover.Epoch) failover.Outcome {
	return h.act(ctx, m.Name, epoch, func(*database) {})
}

// Promote implements arbiter.Primaries.
func (h hands) Promote(ctx context.Context, a failover.Action) failover.Outcome {
	return h.act(ctx, a.Member, a.Epoch, func(d *database) {
		if !d.primary && !a.EpochOnly {
			d.primary, d.follows, d.timeline = true, "", d.timeline+1
			h.world.note("promote %s epoch %d by %s", a.Member, a.Epoch, h.node)
		}
	})
}

// Promoted implements arbiter.Primaries.
func (h hands) Promoted(_ context.Context, a failover.Action) failover.Outcome {
	f, ok := h.world.facts(a.Member)
	if ok && f.Role == failover.RolePrimary && f.Epoch == a.Epoch {
		return failover.Outcome{Result: failover.ResultDone, Timeline: f.Timeline, Position: f.Written}
	}
	return failover.Outcome{Result: failover.ResultUnknown}
}

// VerifyThroughRoute implements arbiter.Primaries.
func (h hands) VerifyThroughRoute(ctx context.Context, _ string, a failover.Action) failover.Outcome {
	if to := h.world.routed(fake.FrontRoute); to != a.Member {
		return failover.Outcome{Result: failover.ResultFailed, Detail: fmt.Sprintf("clients are sent to %q", to)}
	}
	return h.act(ctx, a.Member, a.Epoch, func(d *database) {
		d.position++
		h.world.note("verify %s by %s", a.Member, h.node)
	})
}

// StopFollowing implements arbiter.Standbys.
func (h hands) StopFollowing(ctx context.Context, m failover.MemberSpec, _ *failover.Spec, epoch failover.Epoch, _ string) failover.MemberPosition {
	o := h.act(ctx, m.Name, epoch, func(d *database) {
		d.follows = ""
		h.world.note("catch up %s by %s", m.Name, h.node)
	})
	p := failover.MemberPosition{Member: m.Name, Answered: o.Result == failover.ResultDone, Detail: o.Detail}
	if p.Answered {
		p.SystemID, p.Timeline, p.Received, p.Replayed, p.Epoch = fake.SystemID, o.Timeline, o.Position, o.Position, epoch
	}
	return p
}

// Point implements arbiter.Standbys.
func (h hands) Point(ctx context.Context, standby, primary failover.MemberSpec, _ *failover.Spec, epoch failover.Epoch, _ string) failover.Outcome {
	return h.act(ctx, standby.Name, epoch, func(d *database) {
		d.follows = primary.Name
		h.world.note("point %s at %s by %s", standby.Name, primary.Name, h.node)
	})
}

// AwaitFollowing implements arbiter.Standbys.
func (h hands) AwaitFollowing(_ context.Context, standby, _ failover.MemberSpec, _ *failover.Spec, _ failover.Epoch) failover.Outcome {
	if f, ok := h.world.facts(standby.Name); ok && f.Streaming {
		return failover.Outcome{Result: failover.ResultDone}
	}
	return failover.Outcome{Result: failover.ResultFailed, Detail: "it receives from nobody"}
}

type router struct {
	hands
	name string
}

// Close implements arbiter.Router.
func (r router) Close(ctx context.Context, _ failover.Action, members ...failover.MemberName) error {
	return r.send(ctx, func(now failover.MemberName) failover.MemberName {
		for _, m := range members {
			if m == now {
				return ""
			}
		}
		return now
	})
}

// Open implements arbiter.Router.
func (r router) Open(ctx context.Context, _ failover.Action, member failover.MemberName) error {
	return r.send(ctx, func(failover.MemberName) failover.MemberName {
		r.world.note("route %s by %s", member, r.node)
		return member
	})
}

func (r router) send(ctx context.Context, to func(failover.MemberName) failover.MemberName) error {
	if err := permit.Check(ctx); err != nil {
		return err
	}
	r.world.mu.Lock()
	defer r.world.mu.Unlock()
	r.world.routes[r.name] = to(r.world.routes[r.name])
	return nil
}

// looks are an arbiter's at the fake world. While it is cut off, a primary takes a new connection for every look, and standbys answer over
// the one that is open.
func (w *world) looks(node failover.NodeID) func() func(failover.MemberName) fake.Look {
	unseen := 0 // rounds in a row while cut off
	return func() func(failover.MemberName) fake.Look {
		if unseen++; !w.isCutOff(node) {
			unseen = 0
		}
		return func(m failover.MemberName) fake.Look {
			facts, ok := w.facts(m)
			if unseen > 0 {
				ok = ok && facts.Role == failover.RoleStandby
			}
			evidence := failover.Evidence{Reason: failover.ReasonRefused, Detail: "nobody listens"}
			switch {
			case ok:
				evidence = failover.Evidence{Reason: failover.ReasonAnswered}
			case unseen == 1: // one time-out is not enough to say that it is down
				facts, evidence = failover.Facts{}, failover.Evidence{Reason: failover.ReasonAnswered}
			case unseen > 1:
				facts, evidence = failover.Facts{}, failover.Evidence{Reason: failover.ReasonTimeout, Detail: "no answer"}
			}
			reached := ok && unseen == 0 && !w.keepsConnections(node)
			return fake.Look{Facts: facts, Evidence: evidence, Except: w.failingChecks(node, m), Dead: !ok, Reached: reached, Good: ok}
		}
	}
}

// reach connects to a reference point, unless the arbiter is cut off.
func (w *world) reach(node failover.NodeID) func(context.Context, string) error {
	return func(ctx context.Context, address string) error {
		if w.isCutOff(node) {
			<-ctx.Done()
			return context.Cause(ctx)
		}
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		return c.Close()
	}
}
