package sim

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/fsm/wire"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

func (s *sim) request(why string) failover.Request {
	s.requests++
	return failover.Request{ID: fmt.Sprintf("r%d", s.requests), Actor: "anna", Reason: why}
}

// call commits what an operator asks for, through whoever leads. done may be nil; it is called when there is an answer.
func (s *sim) call(body failover.Body, done func(refused *failover.Event, err error)) {
	if done == nil {
		done = func(*failover.Event, error) {}
	}
	for _, n := range s.nodes {
		if n.runs() && n.leading {
			s.note("an operator asks %s for %s", n.id, bodyName(body))
			n.commit(body, func(e *entry, err error) {
				if err != nil {
					done(nil, err)
					return
				}
				done(rejection(e.events), nil)
			})
			return
		}
	}
	done(nil, errUnknown)
}

// read asks an arbiter that leads what the newest state is. It must know all that anybody was told before the question (S8).
func (s *sim) read(n *node) {
	if !n.runs() || !n.leading {
		return
	}
	told := s.ledger.answered
	n.raft.confirm(func(ok bool) {
		if ok && n.leading {
			s.counts.reads++
			if n.state.Applied < told {
				s.fail("stale-answer", "%s answers from entry %d, and somebody was told of entry %d before", n.id, n.state.Applied, told)
			}
		}
	})
}

// operate lets an operator do something, right or wrong, after having looked at a state that may be old by then.
func (s *sim) operate(item Item) {
	n := s.targetNode(item)
	if item.Kind == "read" {
		s.read(n)
		return
	}
	if n.state == nil {
		return
	}
	g := s.services[item.Group%len(s.services)]
	m := s.targetMember(item)
	if s.operateWorld(item, g, m) {
		return
	}
	seen := n.state.Group(g.name)
	if seen == nil {
		return
	}
	body := s.body(item, seen, m, n.state.Applied)
	if body == nil {
		return
	}
	again := 1
	var ask func()
	ask = func() {
		s.call(body, func(_ *failover.Event, err error) {
			if err != nil && again > 0 { // with the same request id: it must not count twice
				again--
				s.after(time.Second, ask)
			}
		})
	}
	if item.Hook != "" {
		ask()
		return
	}
	s.after(min(item.For/4, 3*time.Second), ask)
}

// operateWorld is what an operator does by hand.
func (s *sim) operateWorld(item Item, g *service, m *member) bool {
	switch item.Kind {
	case "op-rebuild":
		if w := s.writerOf(g); w != nil && w != m && w.up() && w.primary {
			m.rebuild(w)
		}
	case "op-power-on":
		s.powerOn(m.host, "an operator switched it on")
	case "op-replace-node":
		s.replaceNode()
	default:
		return false
	}
	return true
}

// writerOf is the member that is recorded as the writer.
func (s *sim) writerOf(g *service) *member {
	if s.ledger.newest == nil || s.ledger.newest.Group(g.name) == nil {
		return nil
	}
	return g.member(s.ledger.newest.Group(g.name).Writer())
}

// body is the entry that an operator asks for, who saw the group as it was at an index.
func (s *sim) body(item Item, seen *failover.Group, m *member, applied failover.Index) failover.Body {
	r := s.request(item.Kind)
	if item.Amount%8 == 7 {
		r.ID = fmt.Sprintf("r%d", s.requests-1) // which was somebody else's
	}
	turn := seen.Turn()
	switch {
	case item.Amount%16 == 15:
		turn, applied = 0, 0 // which is refused
	case item.Amount%3 == 0:
		turn = applied
	}
	var id failover.OperationID
	if seen.Operation != nil {
		id = seen.Operation.ID
	}
	switch item.Kind {
	case "op-pause":
		return failover.Pause{Request: r, Group: seen.Name}
	case "op-resume":
		return failover.Resume{Request: r, Group: seen.Name}
	case "op-failover":
		f := failover.StartOperation{Request: r, Group: seen.Name, Kind: failover.KindFailover}
		if item.Amount%2 == 0 && m.name != seen.Writer() {
			f.Candidate = m.name
		}
		return f
	case "op-abort":
		return failover.Abort{Request: r, Group: seen.Name, Operation: id}
	case "op-release":
		return failover.Release{Request: r, Group: seen.Name, Operation: id, Seen: turn}
	case "op-accept-loss":
		release := failover.Release{Request: r, Group: seen.Name, Operation: id, Seen: turn, AcceptLoss: true, LossBytes: uint64(item.Amount), LossUnknown: item.Amount%2 == 0}
		if release.LossUnknown {
			release.Member = m.name
		}
		return release
	case "op-reinstate":
		return failover.Reinstate{Request: r, Group: seen.Name, Operation: id, Seen: turn}
	case "op-attest":
		return failover.Attest{Request: r, Group: seen.Name, Operation: id, Seen: turn, Member: revokedOr(seen, m.name)}
	case "op-adopt", "op-adopt-attest":
		a := failover.Adopt{Request: r, Group: seen.Name, Member: m.name, Seen: applied}
		for _, other := range seen.Members {
			if item.Kind == "op-adopt-attest" && other.Name != m.name {
				a.Attested = append(a.Attested, other.Name)
			}
		}
		return a
	case "op-spec", "op-move":
		return s.changedSpec(item, m)
	case "op-delete":
		return failover.DeleteGroup{Request: r, Group: seen.Name}
	}
	s.fail("model", "unknown item %s", item.Kind)
	return nil
}

func revokedOr(g *failover.Group, other failover.MemberName) failover.MemberName {
	for _, m := range g.Members {
		if m.Authority == failover.AuthorityRevoked {
			return m.Name
		}
	}
	return other
}

// changedSpec is another policy, or another address of a member that moves.
func (s *sim) changedSpec(item Item, m *member) failover.Body {
	if item.Kind == "op-move" {
		m.address = fmt.Sprintf("%s-%s-%d:5432", m.service.name, m.name, s.requests)
		return s.applySpec(item.Kind, s.spec(m.service))
	}
	spec := s.spec(m.service)
	spec.Policy.Lease = durationpb.New(m.service.plan.Lease + time.Duration(item.Amount)*time.Millisecond)
	spec.Policy.RefenceRogues = proto.Bool(item.Amount%2 == 0)
	spec.Members[item.Amount%len(spec.Members)].Priority = proto.Uint32(uint32(item.Amount % 3 * 100))
	return s.applySpec(item.Kind, spec)
}

// applySpec is the entry that creates or changes a group, made as the API makes it.
func (s *sim) applySpec(why string, spec *arbiterv1.GroupSpec) failover.Body {
	body, err := wire.NewApplySpec(s.request(why), spec, spec, 0)
	if err != nil {
		s.fail("encoding", "the spec of %s can't be kept: %v", spec.GetGroup(), err)
	}
	return body
}

// spec is what the group should be, nothing left to defaults.
func (s *sim) spec(g *service) *arbiterv1.GroupSpec {
	p, seconds := g.plan, func(n int64) *durationpb.Duration { return durationpb.New(time.Duration(n) * time.Second) }
	check := &arbiterv1.Check{
		Name: "postgres", Kind: string(failover.CheckPostgres), Required: proto.Bool(true), Interval: seconds(1), Timeout: seconds(1),
		Failures: proto.Uint32(3), Successes: proto.Uint32(1),
	}
	if p.Fast {
		check.Interval, check.Timeout = durationpb.New(200*time.Millisecond), durationpb.New(250*time.Millisecond)
		check.Failures = proto.Uint32(2)
	}
	spec := &arbiterv1.GroupSpec{
		Group: string(g.name), Engine: string(failover.EnginePostgres), Connect: &arbiterv1.Connect{User: "arbiter"},
		Health: &arbiterv1.Health{
			Checks: []*arbiterv1.Check{check}, MinimumUnhealthy: durationpb.New(p.Minimum), RestartGrace: durationpb.New(p.Grace), ColdStartGrace: durationpb.New(p.Cold),
		},
		Policy: &arbiterv1.Policy{
			Automation: proto.String(string(failover.AutomationFull)), MaxLossBytes: proto.Uint64(p.MaxLoss), Cooldown: durationpb.New(p.Cooldown),
			Lease: durationpb.New(p.Lease), RefenceRogues: proto.Bool(p.Refence), MaxAttempts: proto.Uint32(3), RetryInterval: seconds(5),
			Timeouts: &arbiterv1.Timeouts{
				Isolate: seconds(8), CatchUp: seconds(4), Promote: seconds(5), Route: seconds(3), Verify: seconds(3), Configure: seconds(3),
			},
		},
	}
	if p.RecoveryDown {
		spec.Policy.AlsoDown = []string{string(failover.ReasonReadOnly)}
	}
	if p.Routes {
		spec.Routes = []*arbiterv1.Route{{Router: "haproxy", Name: proto.String("front"), VerifyAddress: proto.String("front:5432")}}
	}
	for _, m := range g.members {
		spec.Members = append(spec.Members, memberSpec(m, p.Levels))
	}
	return spec
}

func memberSpec(m *member, levels int) *arbiterv1.MemberSpec {
	spec := &arbiterv1.MemberSpec{
		Name: string(m.name), Zone: "zone-" + string(m.name), Address: m.address, Priority: proto.Uint32(100), ApplicationName: proto.String(string(m.name)),
	}
	for level := range levels {
		plug := &arbiterv1.Value{Value: &arbiterv1.Value_Literal{Literal: fmt.Sprintf("%s/%d", m.host.name, level)}}
		spec.Fence = append(spec.Fence, &arbiterv1.FenceLevel{Devices: []*arbiterv1.FenceDevice{{
			Device: "fence_sim", Timeout: durationpb.New(deviceTimeout), Settings: map[string]*arbiterv1.Value{"plug": plug},
		}}})
	}
	return spec
}

// replaceNode takes an arbiter that lost its disk out of the cluster, and a new one in.
func (s *sim) replaceNode() {
	var lost *node
	spare := s.nodes[len(s.nodes)-1]
	for _, n := range s.nodes {
		if n.gone {
			lost = n
		}
	}
	if lost == nil || !spare.spare {
		return
	}
	for _, n := range s.nodes {
		if !n.runs() || n.raft.role != leader {
			continue
		}
		var left []failover.NodeID
		for _, id := range n.raft.voters {
			if id != lost.id {
				left = append(left, id)
			}
		}
		s.note("%s is replaced by %s", lost.id, spare.id)
		n.raft.propose(nil, left, func(_ *entry, err error) {
			if err != nil || !n.alive {
				return
			}
			spare.spare = false
			spare.start()
			n.raft.propose(nil, append(append([]failover.NodeID(nil), left...), spare.id), func(*entry, error) {})
		})
		return
	}
}
