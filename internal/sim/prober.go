package sim

import (
	"hash/fnv"
	"slices"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/ownview"
)

// prober looks at members on its schedule, in effect: a look that would see what the one before saw, and that nothing waits for, is not
// made, so that quiet times cost nothing. Whatever changes what could be seen pokes it.
type prober struct {
	node    *node
	specs   ownview.Specs
	tasks   map[memberKey]*task
	growth  map[failover.GroupName]*growth
	sights  map[failover.NodeID]failover.PointSight
	newest  time.Duration // when the newest round of looks at reference points began
	asked   bool
	pathing bool
}

// task is the check of one member.
type task struct {
	key      memberKey
	address  string
	check    failover.Check
	spec     failover.Index // the entry that brought it
	phase    time.Duration
	state    failover.Reason
	good     int
	bad      []failover.Reason
	facts    failover.Facts
	report   ownview.Report // the latest
	since    failover.WallTime
	last     time.Duration // when the last look that counted began
	next     time.Duration // boot time of the next look, if one is planned
	planned  bool
	plan     int
	underWay int
}

const (
	recheckDelay  = 10 * time.Millisecond
	growthRecheck = 25 * time.Millisecond
)

func newProber(n *node) *prober {
	p := &prober{
		node: n, specs: ownview.Specs{}, tasks: map[memberKey]*task{}, growth: map[failover.GroupName]*growth{}, sights: map[failover.NodeID]failover.PointSight{},
	}
	p.specs.Follow(n.state)
	p.setTargets()
	return p
}

func phaseOf(node failover.NodeID, group failover.GroupName, interval time.Duration) time.Duration {
	h := fnv.New64a()
	_, _ = h.Write([]byte(string(node) + " " + string(group))) // never fails
	sum := h.Sum64()
	return time.Duration((sum ^ sum>>32) % uint64(interval))
}

// setTargets follows the committed specs.
func (p *prober) setTargets() {
	wanted := map[memberKey]bool{}
	for _, g := range p.node.state.Groups {
		if p.growth[g.Name] == nil {
			p.growth[g.Name] = &growth{}
		}
		for _, m := range g.Spec.Members {
			key := memberKey{Group: g.Name, Member: m.Name}
			wanted[key] = true
			t := p.tasks[key]
			if t == nil || t.address != m.Address {
				t = &task{key: key, address: m.Address, state: failover.ReasonNotYetSeen}
				p.tasks[key] = t
			}
			t.check, t.spec = g.Spec.Health.Checks[0], g.SpecSince
			t.phase = phaseOf(p.node.id, g.Name, t.check.Interval)
			p.poke(key)
		}
	}
	for key, t := range p.tasks {
		if !wanted[key] {
			t.plan++
			delete(p.tasks, key)
		}
	}
	p.lookAtPaths()
}

// stateMoved follows the specs, and makes looks begin that count for what is asked of members now.
func (p *prober) stateMoved(before *failover.State) {
	if p.specs.Follow(p.node.state) {
		p.setTargets()
	}
	for _, g := range p.node.state.Groups {
		was := before.Group(g.Name)
		if was == nil || was == g {
			continue
		}
		for i := range g.Members {
			m, old := &g.Members[i], was.Member(g.Members[i].Name)
			if old == nil || m.Since != old.Since || m.NoneSince != old.NoneSince || m.RevokedSince != old.RevokedSince {
				p.poke(memberKey{Group: g.Name, Member: m.Name})
			}
		}
	}
}

// keys are those of all tasks, in order.
func (p *prober) keys() []memberKey {
	keys := make([]memberKey, 0, len(p.tasks))
	for k := range p.tasks {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, memberKey.Compare)
	return keys
}

func (p *prober) pokeAll() {
	for _, key := range p.keys() {
		p.poke(key)
	}
	p.lookAtPaths()
}

// poke plans a look by the task's own rhythm.
func (p *prober) poke(key memberKey) {
	if t := p.tasks[key]; t != nil {
		p.lookAt(t, p.tickAfter(t))
	}
}

func (p *prober) tickAfter(t *task) time.Duration {
	now := p.node.boot()
	return t.phase + ((now-t.phase)/t.check.Interval+1)*t.check.Interval
}

// lookAt plans a look, unless one is planned before.
func (p *prober) lookAt(t *task, boot time.Duration) {
	if t.planned && t.next <= boot {
		return
	}
	t.plan++
	t.planned, t.next = true, boot
	plan := t.plan
	p.node.postAt(boot, func() {
		if t.plan == plan {
			t.planned = false
			p.look(t)
		}
	})
}

// lookAgain looks at all members of a group at once.
func (p *prober) lookAgain(group failover.GroupName) {
	for _, key := range p.keys() {
		if key.Group == group {
			p.lookAt(p.tasks[key], p.node.boot())
		}
	}
}

// tellUnmade reports again, as of the latest look that was not made, what was seen of members that go on answering.
func (p *prober) tellUnmade(tell func(ownview.Report)) {
	for _, t := range p.tasks {
		if failover.ClassOf(t.state) != failover.EvidenceGood || len(t.bad) > 0 || t.report.Reached == 0 || t.report.Reached != t.last || t.underWay > 0 {
			continue
		}
		if unmade := p.tickAfter(t) - t.check.Interval; unmade > t.last {
			t.last, t.report.Reached = unmade, unmade
			tell(t.report)
		}
	}
}

// sight is what one look saw.
type sight struct {
	reason  failover.Reason
	facts   failover.Facts
	reached bool
	late    bool // an answer was there in time, and the one who asked was too late to read it
}

func (p *prober) look(t *task) {
	n, s := p.node, p.node.sim
	if t.underWay > 1 {
		p.lookAt(t, p.tickAfter(t))
		return
	}
	t.underWay++
	s.counts.looks++
	began, asOf, spec := n.boot(), n.state.Applied, t.spec
	ended, answered := false, false
	end := func(saw sight) {
		if ended {
			return
		}
		ended = true
		t.underWay--
		p.took(t, began, asOf, spec, saw)
	}
	n.postAt(began+t.check.Timeout, func() { end(sight{reason: failover.ReasonTimeout, late: answered}) })
	m := s.memberAt(t.key, t.address)
	if m == nil || s.net.lost(string(n.id), m.host.name) {
		return
	}
	s.after(s.net.travel(string(n.id), m.host.name), func() {
		if !m.host.powered || m.host.frozen > 0 || s.net.lost(m.host.name, string(n.id)) {
			return
		}
		saw, takes := m.show(), s.net.travel(m.host.name, string(n.id))
		s.after(takes, func() { answered = failover.ClassOf(saw.reason) != failover.EvidenceDead })
		n.post(takes, func() { end(saw) })
	})
}

// show is what a member says to who asks.
func (m *member) show() sight {
	switch {
	case m.state == stopped:
		return sight{reason: failover.ReasonRefused}
	case m.state == starting:
		return sight{reason: failover.ReasonStartingUp}
	}
	saw := sight{reason: failover.ReasonAnswered, reached: true}
	f := &saw.facts
	f.SystemID, f.Timeline = m.system, m.head.branch.number
	if m.refuses {
		f.Epoch = m.token
	}
	if !m.primary {
		f.Role, f.Received, f.Replayed = failover.RoleStandby, m.head.at, m.head.at
		up := m.service.member(m.follows)
		f.Streaming = up != nil && (up.up() || up.orphans) && up.primary && up.connected(m) && up.head.holds(m.head)
		return saw
	}
	f.Role, f.Written, f.AcceptsWrites = failover.RolePrimary, m.head.at, m.writes()
	f.SyncRule = m.service.rule()
	for _, s := range m.service.members {
		if s != m && m.connected(s) && m.head.holds(s.head) {
			f.Replicas = append(f.Replicas, failover.Replica{Name: string(s.name), Streaming: true, Sync: m.service.plan.SyncNeed > 0})
		}
	}
	switch {
	case m.stalled > 0:
		saw.reason = failover.ReasonWriteStalled
	case m.full > 0:
		saw.reason = failover.ReasonDiskFull
	}
	return saw
}

// rule is the rule of synchronous replication, the same on all members.
func (g *service) rule() failover.SyncRule {
	rule := failover.SyncRule{Need: g.plan.SyncNeed}
	if rule.Need > 0 {
		for _, m := range g.members {
			rule.Names = append(rule.Names, string(m.name))
		}
	}
	return rule
}

// took counts a look, and reports what is thought of the member now.
func (p *prober) took(t *task, began time.Duration, asOf failover.Index, spec failover.Index, saw sight) {
	if p.tasks[t.key] != t || began < t.last {
		return
	}
	t.last = began
	before := t.state
	t.judge(saw.reason)
	if saw.facts.Role == failover.RoleUnknown {
		t.facts.AcceptsWrites, t.facts.Streaming, t.facts.ReceivingGrows = false, false, false
		t.facts.Stale = t.facts.Role != failover.RoleUnknown
	} else {
		t.facts = saw.facts
	}
	if before != t.state {
		t.since = p.node.wall()
	}
	unsettled := p.grows(t, began, saw)
	dead := failover.ClassOf(saw.reason) == failover.EvidenceDead
	if p.node.sim.foundDown(t.key, saw) {
		p.node.sawDead[t.key] = p.node.sim.now
	}
	if class := failover.ClassOf(t.state); class == failover.EvidenceGood || class == failover.EvidenceFailing {
		p.node.heard[t.key] = true
	}
	t.report = ownview.Report{
		Address: t.address, SpecSince: spec, Began: began, Ended: p.node.boot(), Check: t.check.Name, Dead: dead,
		Observation: failover.Observation{
			Group: t.key.Group, Member: t.key.Member, Facts: t.facts, Since: t.since, AsOf: asOf,
			Checks: []failover.CheckState{{Name: t.check.Name, Evidence: failover.Evidence{Reason: t.state}}},
		},
	}
	if saw.reached {
		t.report.Reached = began
	}
	if failover.ClassOf(saw.reason) == failover.EvidenceGood {
		t.report.Good = t.report.Ended - began
	}
	switch {
	case len(t.bad) > 0 && len(t.bad) < t.check.Failures && saw.reason == failover.ReasonRefused:
		p.lookAt(t, p.node.boot()+recheckDelay)
	case unsettled, t.unsettled(), p.chancy(t):
		p.lookAt(t, p.tickAfter(t))
	}
	p.node.view.observe(t.report)
}

// chancy says whether the next look may fare differently from this one though nothing changes.
func (p *prober) chancy(t *task) bool {
	m := p.node.sim.memberAt(t.key, t.address)
	return m != nil && p.node.sim.net.chancy(string(p.node.id), m.host.name)
}

// judge holds the thresholds.
func (t *task) judge(r failover.Reason) {
	class := failover.ClassOf(r)
	if class == failover.EvidenceGood {
		t.bad = nil
		t.good = min(t.good+1, t.check.Successes)
		if t.state == failover.ReasonNotYetSeen || t.good >= t.check.Successes {
			t.state = r
		}
		return
	}
	t.good = 0
	if t.bad = append(t.bad, r); len(t.bad) > t.check.Failures {
		t.bad = t.bad[1:]
	}
	if len(t.bad) < t.check.Failures {
		return
	}
	mildest := r
	for _, b := range t.bad {
		if failover.ClassOf(b) == failover.EvidenceFailing {
			mildest = b
		}
	}
	t.state = mildest
}

// unsettled says whether the next look may change what is thought, though it sees the same.
func (t *task) unsettled() bool {
	if failover.ClassOf(t.state) != failover.EvidenceGood && len(t.bad) == 0 {
		return true // it recovers
	}
	if len(t.bad) == 0 {
		return false
	}
	return len(t.bad) < t.check.Failures || slices.ContainsFunc(t.bad, func(r failover.Reason) bool { return r != t.bad[0] }) || t.state != t.bad[0]
}

// growth is what standbys tell of a primary that this arbiter sees failing, as in probe/growth.go.
type growth struct {
	primary  failover.MemberName
	failing  bool
	since    time.Duration
	standbys map[failover.MemberName]*received
}

type received struct {
	position failover.LSN
	grew     bool
	grewAt   time.Duration
}

// grows settles whether a standby's position grows beside a failing primary; again says that another look is needed to tell.
func (p *prober) grows(t *task, began time.Duration, saw sight) (again bool) {
	g := p.growth[t.key.Group]
	bad := failover.ClassOf(saw.reason) == failover.EvidenceDead || failover.ClassOf(saw.reason) == failover.EvidenceFailing
	switch {
	case saw.facts.Role == failover.RolePrimary && !bad, g.primary == "" && t.facts.Role == failover.RolePrimary:
		if g.primary != t.key.Member || !bad {
			*g = growth{primary: t.key.Member}
		}
	case t.key.Member == g.primary && saw.facts.Role == failover.RoleStandby:
		*g = growth{}
	}
	if t.key.Member == g.primary {
		switch {
		case !bad:
			*g = growth{primary: t.key.Member}
		case !g.failing:
			g.failing, g.since, g.standbys = true, p.node.boot(), map[failover.MemberName]*received{}
			for _, key := range p.keys() {
				if key.Group == t.key.Group && key != t.key {
					p.lookAt(p.tasks[key], p.node.boot())
				}
			}
		}
		return false
	}
	if !g.failing || saw.facts.Role != failover.RoleStandby || began < g.since {
		t.facts.ReceivingGrows = false
		return false
	}
	seen := g.standbys[t.key.Member]
	first := seen == nil
	if first {
		seen = &received{}
		g.standbys[t.key.Member] = seen
	}
	if !first && saw.facts.Received > seen.position {
		seen.grew, seen.grewAt = true, p.node.boot()
	}
	seen.position = max(seen.position, saw.facts.Received)
	t.facts.ReceivingGrows = saw.facts.Streaming && seen.grew && p.node.boot()-seen.grewAt <= 3*t.check.Interval
	if first && saw.facts.Streaming {
		p.lookAt(t, p.node.boot()+growthRecheck)
	}
	return t.facts.ReceivingGrows
}

// points is what is known of the reference points: the other arbiters. While all is well they are looked at every ownview.PointsIdle, which is
// worked out here when somebody asks: what changed since is seen by the looks that it causes.
func (p *prober) points() (points ownview.Points) {
	idle := time.Duration(0)
	if rounds := (p.node.boot() - p.newest) / ownview.PointsIdle; rounds > 0 {
		idle = p.newest + rounds*ownview.PointsIdle
	}
	for _, o := range p.node.sim.nodes {
		if o == p.node || o.spare || o.gone {
			continue
		}
		if idle > p.newest && o.alive && p.node.sim.net.bothWays(string(p.node.id), string(o.id)) {
			p.sights[o.id] = failover.PointSight{Began: idle, Answered: true}
		}
		points.Names = append(points.Names, string(o.id))
		points.Sights = append(points.Sights, p.sights[o.id])
	}
	p.newest = max(p.newest, idle)
	points.Newest = p.newest
	return points
}

// askReferences looks at the reference points, and again and again while too little else is reached.
func (p *prober) askReferences() {
	if p.asked {
		return
	}
	p.asked = true
	n := p.node
	n.postAt(p.newest+ownview.PointsPause, func() {
		p.asked = false
		p.newest = n.boot()
		for _, o := range n.sim.nodes {
			if o != n && !o.spare && !o.gone {
				p.lookAtPoint(o, p.newest)
			}
		}
		n.post(ownview.PointsTroubled, func() {
			if n.view.troubled() {
				p.askReferences()
			}
		})
	})
}

func (p *prober) lookAtPoint(o *node, began time.Duration) {
	n, net := p.node, p.node.sim.net
	noted := false
	note := func(answered bool) {
		if !noted && p.sights[o.id].Began <= began {
			noted = true
			p.sights[o.id] = failover.PointSight{Began: began, Answered: answered}
			n.sender.kick()
		}
	}
	n.post(ownview.PointsTimeout, func() { note(false) })
	if !net.lost(string(n.id), string(o.id)) && !net.lost(string(o.id), string(n.id)) && o.alive {
		n.post(net.travel(string(n.id), string(o.id))+net.travel(string(o.id), string(n.id)), func() { note(true) })
	}
}

// lookAtPaths asks fence devices whether they answer, some seconds after something may have changed about them.
func (p *prober) lookAtPaths() {
	if p.pathing {
		return
	}
	p.pathing = true
	n := p.node
	n.post(n.dice.between(500*time.Millisecond, 8*time.Second), func() {
		p.pathing = false
		for _, key := range p.keys() {
			m := n.sim.memberAt(key, p.tasks[key].address)
			if m == nil {
				continue
			}
			path := n.sim.pathTo(n, key, m)
			n.view.setPath(path, m)
			if path.Off { // the next look may contradict that
				p.poke(key)
			}
		}
	})
}
