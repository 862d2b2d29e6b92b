package sim

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
)

// sensibleOperator looks after one group as the documentation says: it brings it up at the beginning, and, when nothing goes wrong any more,
// mends machines and gives the commands that a held operation names.
type sensibleOperator struct {
	sim      *sim
	service  *service
	reason   string // of the hold that was seen last
	since    time.Duration
	lonely   map[failover.MemberName]int // rounds in which a standby followed nobody
	tookOver bool                        // it was tried to let another member take over from a writer in recovery
	byHand   bool                        // the group is paused for a change by hand
	mended   bool                        // by hand
}

const (
	helpEvery  = 4 * time.Second
	settleLook = 2 * time.Second
	// settleBound is how long after the end of all faults every group must serve again.
	settleBound = 5 * time.Minute
)

// begin creates the group and adopts it.
func (o *sensibleOperator) begin() {
	if o.sim.healed || o.sim.done {
		return
	}
	state := o.sim.ledger.newest
	if state == nil || state.Group(o.service.name) == nil {
		o.apply()
	} else if g := state.Group(o.service.name); !g.EverAdopted {
		o.sim.call(failover.Adopt{Request: o.sim.request("the first time"), Group: g.Name, Member: "db1"}, nil)
	} else {
		return
	}
	o.sim.after(time.Second, o.begin)
}

func (o *sensibleOperator) apply() {
	o.sim.call(o.sim.applySpec("as it should be", o.sim.spec(o.service)), nil)
}

// help does one round of what a sensible person would do now.
func (o *sensibleOperator) help() {
	if o.sim.done {
		return
	}
	o.sim.after(helpEvery, o.help)
	g := o.sim.ledger.newest.Group(o.service.name)
	switch {
	case g == nil:
		o.apply()
	case g.Pause != nil && (g.Operation == nil || !o.byHand):
		o.byHand = false
		o.sim.call(failover.Resume{Request: o.sim.request("all is well"), Group: g.Name}, nil)
	case !g.Adopted:
		o.adopt(g)
	case o.endRecovery(g):
	case g.Operation != nil:
		o.moveBack(g)
		o.waitOrRelease(g)
	default:
		o.mend(g)
	}
}

// mend brings members of a steady group back.
func (o *sensibleOperator) mend(g *failover.Group) {
	o.reason = ""
	o.moveBack(g)
	if o.lonely == nil {
		o.lonely = map[failover.MemberName]int{}
	}
	w := o.service.member(g.Writer())
	if w == nil {
		o.sim.call(failover.StartOperation{Request: o.sim.request("nobody writes"), Group: g.Name, Kind: failover.KindFailover}, nil)
		return
	}
	o.boot(w)
	for _, m := range o.service.members {
		if m == w {
			continue
		}
		if w.primary && w.up() && w.connected(m) && w.head.holds(m.head) {
			o.lonely[m.name] = 0
			continue
		}
		if o.lonely[m.name]++; o.lonely[m.name] > 1 && w.up() && w.primary && (!m.primary || g.Member(m.name).Authority == failover.AuthorityNone) && !(m.primary && m.up()) {
			m.rebuild(w)
			o.lonely[m.name] = 0
		} else if !m.primary {
			o.boot(m)
		}
	}
}

func (o *sensibleOperator) boot(m *member) {
	o.sim.switchOn(m.host)
	m.boot(time.Second)
}

// standbys starts those members that would start as standbys.
func (o *sensibleOperator) standbys() {
	for _, m := range o.service.members {
		if !m.primary {
			o.boot(m)
		}
	}
}

// moveBack gives members the addresses of the spec again: while an operation runs the spec can't follow them.
func (o *sensibleOperator) moveBack(g *failover.Group) {
	for _, m := range o.service.members {
		if spec, ok := g.Spec.Member(m.name); ok && spec.Address != m.address {
			m.address = spec.Address
			m.changed()
		}
	}
}

// rebuildBeside makes standbys of members that are proven off, while the writer of a held operation serves.
func (o *sensibleOperator) rebuildBeside(g *failover.Group) {
	w := o.service.member(g.Writer())
	if w == nil || !w.up() || !w.primary || w.system != g.SystemID {
		return
	}
	for _, m := range o.service.members {
		if m != w && m.state == stopped && g.Member(m.name).Authority == failover.AuthorityNone {
			m.rebuild(w)
		}
	}
}

// waitOrRelease gives a held operation some time, and then does what it asks for.
func (o *sensibleOperator) waitOrRelease(g *failover.Group) {
	reason := string(g.Operation.LastHold.Reason) // also while it is tried again
	if reason != o.reason && reason != "" {
		o.reason, o.since = reason, o.sim.now
	}
	stood := o.sim.now - o.since
	switch g.Hold.Reason {
	case failover.HoldNoCandidate, failover.HoldLossBound, failover.HoldCatchUp, failover.HoldPromote:
		o.standbys()
		o.rebuildBeside(g)
	}
	if c := o.service.member(g.Operation.Candidate); c != nil {
		o.boot(c) // it is the writer, as it will be told to be
	}
	if stood > 150*time.Second || o.byHand {
		o.adoptByHand(g)
		return
	}
	if g.Stage != failover.Held || stood < 15*time.Second {
		return
	}
	if g.Hold.Reason == failover.HoldNoCandidate || stood > 45*time.Second {
		o.lastResort(g, stood)
	}
	if op := g.Operation; stood > 30*time.Second && op.Candidate == "" && !op.Automatic && beforeActing(g) { // it can't begin
		o.sim.call(failover.Abort{Request: o.sim.request("it can't begin"), Group: g.Name, Operation: op.ID}, nil)
		return
	}
	for _, command := range failover.Explain(o.sim.ledger.newest, g.Name, failover.Durations{SinceLastFailover: -1}).Next {
		if o.give(g, command) {
			return
		}
	}
}

// beforeActing says whether an operation has done nothing yet.
func beforeActing(g *failover.Group) bool {
	return g.EffectiveStage() == failover.Confirmed || g.EffectiveStage() == failover.Leased
}

// adoptByHand is for what nothing else mends: the machine that holds most of the group's own history is made the writer while all others are
// off, and the group is adopted anew.
func (o *sensibleOperator) adoptByHand(g *failover.Group) {
	best := o.newest(g)
	if best == nil && g.Operation != nil {
		best = o.service.member(g.Operation.Candidate) // every database is another one: then this is the one to protect
	}
	if best == nil {
		return
	}
	if o.byHand = true; g.Pause == nil { // else what is started by hand is fenced as a rogue, and rightly
		o.sim.call(failover.Pause{Request: o.sim.request("a change by hand"), Group: g.Name}, nil)
		return
	}
	if op := g.Operation; op != nil && g.Stage != failover.Held && op.Candidate == "" { // it would fence what is started
		o.sim.call(failover.Abort{Request: o.sim.request("a change by hand"), Group: g.Name, Operation: op.ID}, nil)
		return
	}
	a := failover.Adopt{Request: o.sim.request("nothing else helps"), Group: g.Name, Member: best.name, Seen: o.sim.ledger.newest.Applied}
	for _, m := range o.service.members {
		if m != best {
			m.crash(0)
			a.Attested = append(a.Attested, m.name)
		}
	}
	if !best.primary {
		o.promoteByHand(best)
	} else if g.Writer() != best.name { // the arbiters may refuse to adopt it
		best.mayBeRogue("an operator started it")
	}
	if !o.mended {
		o.mended = true
		o.sim.counts.mended++
	}
	o.boot(best)
	o.sim.call(a, nil)
}

// promoteByHand makes a standby a primary, beside all arbiters. What is lost by it is the operator's.
func (o *sensibleOperator) promoteByHand(m *member) {
	m.primary, m.follows = true, ""
	m.excused("somebody promoted it by hand")
	m.head.branch = &branch{parent: m.head.branch, fork: m.head.at, number: m.head.branch.number + 1}
	o.service.acked = nil
	m.changed()
}

// lastResort is for a group that has nobody left to promote: its former writer is brought back.
func (o *sensibleOperator) lastResort(g *failover.Group, stood time.Duration) {
	from := o.service.member(g.Operation.From)
	if from == nil {
		return
	}
	switch {
	case g.Member(from.name).Authority == failover.AuthorityWriter:
		o.boot(from)
	case stood > 60*time.Second && !g.Operation.Reinstating && g.Operation.Candidate == "":
		o.sim.call(failover.Reinstate{Request: o.sim.request("nobody else is left"), Group: g.Name, Operation: g.Operation.ID, Seen: g.Turn()}, nil)
	}
}

// give carries out a command that Explain names, if a sensible person would give it. It reads the words that an operator would read.
func (o *sensibleOperator) give(g *failover.Group, text string) bool {
	at := strings.Index(text, "arbiterctl ")
	if at < 0 {
		return false
	}
	words := strings.Fields(text[at:])
	if len(words) < 3 {
		return false
	}
	r := o.sim.request("as explain says")
	var seen failover.Index
	accept, member := "", failover.MemberName("")
	for i, w := range words[:len(words)-1] {
		switch w {
		case "--seen":
			_, _ = fmt.Sscan(words[i+1], &seen)
		case "--accept-loss":
			accept = words[i+1]
		case "--member":
			member = failover.MemberName(words[i+1])
		}
	}
	switch words[1] {
	case "release":
		b := failover.Release{Request: r, Group: g.Name, Operation: g.Operation.ID, Seen: seen, AcceptLoss: accept != "", LossUnknown: accept == "unknown", Member: member}
		if accept != "" && accept != "unknown" {
			_, _ = fmt.Sscan(accept, &b.LossBytes)
		}
		o.sim.call(b, nil)
	case "attest":
		m := o.service.member(failover.MemberName(words[3]))
		if m == nil {
			return false
		}
		o.sim.powerOff(m.host) // then it is true
		o.sim.after(8*time.Second, func() {
			o.sim.call(failover.Attest{Request: r, Group: g.Name, Operation: g.Operation.ID, Seen: seen, Member: m.name}, nil)
		})
	case "failover":
		o.sim.call(failover.StartOperation{Request: r, Group: g.Name, Kind: failover.KindFailover}, nil)
	case "reinstate":
		o.sim.call(failover.Reinstate{Request: r, Group: g.Name, Operation: g.Operation.ID, Seen: seen}, nil)
	default:
		return false
	}
	return true
}

// adopt records the writer of a group that isn't adopted, after making the others its standbys.
func (o *sensibleOperator) adopt(g *failover.Group) {
	if len(g.Members) != len(o.service.members) {
		o.apply()
		return
	}
	for _, m := range o.service.members {
		if spec, ok := g.Spec.Member(m.name); !ok || spec.Address != m.address {
			o.apply()
			return
		}
	}
	if g.Operation != nil && g.Stage != failover.Held {
		return
	}
	w := o.choose(g)
	if w == nil {
		return
	}
	o.boot(w)
	ready := w.up() && w.primary
	for _, m := range o.service.members {
		if m != w && !w.connected(m) {
			ready = false
			if w.up() && w.primary && m.state != starting {
				m.rebuild(w)
			}
		}
	}
	if ready {
		w.excuse = excuse{}
		o.sim.call(failover.Adopt{Request: o.sim.request("it is the writer"), Group: g.Name, Member: w.name}, nil)
	}
}

// choose takes the member that should be the writer: the recorded one, else whoever holds the newest of the group's own history.
func (o *sensibleOperator) choose(g *failover.Group) *member {
	if w := o.service.member(g.Writer()); w != nil && w.primary && w.excuse.why == "" {
		return w
	}
	best := o.newest(g)
	if best == nil {
		best = o.service.members[0] // every database is another one: then this is the one to protect
	}
	if !best.primary {
		for _, m := range o.service.members {
			if m != best {
				m.crash(0)
			}
		}
		o.promoteByHand(best)
	}
	o.service.acked = slices.DeleteFunc(o.service.acked, func(p position) bool { return !best.head.holds(p) })
	return best
}

// newest is the member that holds most of the group's own history, a primary that serves before others that hold as much.
func (o *sensibleOperator) newest(g *failover.Group) *member {
	var best *member
	for _, m := range o.service.members {
		if m.system != g.SystemID && g.SystemID != "" {
			continue
		}
		if best == nil || better(m, best) {
			best = m
		}
	}
	return best
}

func better(m, than *member) bool {
	switch {
	case m.head.branch.number != than.head.branch.number:
		return m.head.branch.number > than.head.branch.number
	case m.head.at != than.head.at:
		return m.head.at > than.head.at
	}
	return m.primary && m.up() && !(than.primary && than.up())
}

// watchSettled ends the run when all groups have served for a while, or says what is stuck.
func (s *sim) watchSettled() {
	if s.done {
		return
	}
	s.checkRoutesBack()
	stuck := s.stuck()
	switch {
	case stuck == "" && s.settledAt == 0:
		s.settledAt = s.now
	case stuck == "" && s.now-s.settledAt >= 3*settleLook:
		s.done = true
		return
	case stuck != "":
		s.settledAt = 0
	}
	if s.now > s.plan.Length+settleBound && stuck != "" {
		s.fail("stuck", "%s", stuck)
		return
	}
	s.after(settleLook, s.watchSettled)
}

// writers are the members that acknowledge writes.
func (g *service) writers() []failover.MemberName {
	var writers []failover.MemberName
	for _, m := range g.members {
		if m.acknowledges() {
			writers = append(writers, m.name)
		}
	}
	return writers
}

// serves says whether the recorded writer is the one that acknowledges writes.
func serves(g *failover.Group, writers []failover.MemberName) bool {
	return len(writers) == 1 && writers[0] == g.Writer()
}

// stuck says which group does not serve, and what is known of it.
func (s *sim) stuck() string {
	for _, service := range s.services {
		g := s.ledger.newest.Group(service.name)
		if g == nil {
			return "there is no group " + string(service.name)
		}
		writers := service.writers()
		if g.Adopted && g.Operation == nil && serves(g, writers) && !s.routesAwaited(service, g) {
			continue
		}
		text := fmt.Sprintf("%s: %v acknowledge writes, clients are sent to %q. %s", g.Name, writers, service.router.to, failover.Explain(s.ledger.newest, g.Name, failover.Durations{SinceLastFailover: -1}).Summary)
		for _, m := range g.Members {
			truth := service.member(m.Name)
			text += fmt.Sprintf("; %s %s %s (power %v state %d primary %v follows %q token %d at %d/%d %s)", m.Name, m.Authority, m.Verdict, truth.host.powered,
				truth.state, truth.primary, truth.follows, truth.token, truth.head.branch.number, truth.head.at, truth.excuse.why)
		}
		return text
	}
	return ""
}
