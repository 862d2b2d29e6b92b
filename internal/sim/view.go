package sim

import (
	"cmp"
	"slices"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
)

// memberKey names a member of any group.
type memberKey struct {
	group  failover.GroupName
	member failover.MemberName
}

func compareKeys(a, b memberKey) int {
	return cmp.Or(cmp.Compare(a.group, b.group), cmp.Compare(a.member, b.member))
}

// report is one look and what is thought of the member after it.
type report struct {
	observation failover.Observation
	address     string
	ended       time.Duration
	dead        bool // the look alone, before thresholds
}

type ask struct {
	member failover.MemberName
	index  failover.Index
	at     time.Duration
}

// askGrace is how long an answer waits for looks at the other members once the one that matters has ended.
const askGrace = 50 * time.Millisecond

// trouble is what fails at one member.
type trouble struct {
	dead  bool
	since time.Duration
	down  bool
}

// view is what an arbiter sees, and what of it the leader knows. It follows arbiter/view.go, which is bound to its goroutines.
type view struct {
	node     *node
	looks    map[memberKey]report
	sent     map[memberKey]failover.Observation
	words    map[memberKey]failover.Observation
	paths    map[memberKey]failover.FencePath
	troubles map[memberKey]*trouble
	late     string
	self     failover.SelfDoubt
	doubt    string
	told     string
	asks     map[failover.GroupName]ask
	answered map[failover.GroupName]ask
	unsent   bool
	sequence uint64
}

func newView(n *node) *view {
	return &view{
		node: n, looks: map[memberKey]report{}, sent: map[memberKey]failover.Observation{}, words: map[memberKey]failover.Observation{},
		paths: map[memberKey]failover.FencePath{}, troubles: map[memberKey]*trouble{},
		asks: map[failover.GroupName]ask{}, answered: map[failover.GroupName]ask{},
	}
}

func (v *view) state() *failover.State { return v.node.state }

// observe takes the report of a look.
func (v *view) observe(r report) {
	key := memberKey{r.observation.Group, r.observation.Member}
	if g := v.state().Group(key.group); g != nil {
		if m, ok := g.Spec.Member(key.member); ok && m.Address != r.address {
			return // made where the member is no longer
		}
	}
	v.keepWords(key, r.observation)
	v.looks[key] = r
	v.noteTrouble(key, r)
	if _, asked := v.asks[key.group]; asked || v.news(key) {
		v.node.sender.kick()
	}
}

// keepWords keeps that a member says that it restarts, if the next look overtakes it.
func (v *view) keepWords(key memberKey, next failover.Observation) {
	before := v.looks[key].observation
	switch {
	case !has(next, func(r failover.Reason) bool { return failover.ClassOf(r) == failover.EvidenceDead }):
		delete(v.words, key)
	case has(before, failover.SaysRestarting) && !has(next, failover.SaysRestarting) && v.news(key):
		v.words[key] = before
	}
}

func has(o failover.Observation, match func(failover.Reason) bool) bool {
	return slices.ContainsFunc(o.Checks, func(c failover.CheckState) bool { return match(c.Evidence.Reason) })
}

// setPath takes what is known of the way to a fence.
func (v *view) setPath(p failover.FencePath) {
	key := memberKey{p.Group, p.Member}
	known, ok := v.paths[key]
	v.paths[key] = p
	g := v.state().Group(key.group)
	outdated := g != nil && g.Member(key.member) != nil && known.AsOf < g.Member(key.member).Since
	if !ok || !known.SameWay(p) || outdated {
		v.unsent = true
		v.node.sender.kick()
	}
}

func (v *view) askAgain(group failover.GroupName, member failover.MemberName, index failover.Index) {
	v.asks[group] = ask{member: member, index: index, at: v.node.boot()}
}

// applied says that the last batch is part of the state.
func (v *view) applied() { clear(v.answered) }

// whole begins a new incarnation. Answers that may have been lost are given again after it.
func (v *view) whole() failover.Batch {
	for _, group := range sortedKeys(v.answered) {
		if a := v.answered[group]; v.asks[group].index < a.index {
			v.asks[group] = a
		}
	}
	clear(v.answered)
	known, _ := v.state().View(v.node.id)
	incarnation := max(uint64(v.node.wall()), known.Incarnation+1)
	v.sequence = 1
	v.judge()
	clear(v.sent)
	v.unsent, v.told = false, v.doubt
	b := failover.Batch{Node: v.node.id, Incarnation: incarnation, Sequence: 1, Whole: true, Doubt: v.doubt, Version: failover.CurrentVersion}
	v.dropUnknown()
	for _, key := range v.keys() {
		b.Observations = v.take(b.Observations, key)
	}
	b.FencePaths = v.allPaths()
	return b
}

// changes returns what the leader does not know yet, or false. again says when to ask again at the latest.
func (v *view) changes(incarnation uint64) (b failover.Batch, some bool, again time.Duration) {
	v.dropUnknown()
	if v.judge(); v.waits() {
		return b, false, 20 * time.Millisecond
	}
	b = failover.Batch{Node: v.node.id, Incarnation: incarnation, Doubt: v.doubt, Version: failover.CurrentVersion}
	answered := map[failover.GroupName]bool{}
	b.Answers, again = v.answers(answered)
	for _, key := range v.keys() {
		if answered[key.group] || v.news(key) {
			b.Observations = v.take(b.Observations, key)
		}
	}
	if v.unsent {
		b.FencePaths = v.allPaths()
	}
	if len(b.Observations) == 0 && len(b.Answers) == 0 && !v.unsent && v.doubt == v.told {
		return b, false, again
	}
	v.unsent, v.told = false, v.doubt
	v.sequence++
	b.Sequence = v.sequence
	return b, true, again
}

func (v *view) keys() []memberKey {
	keys := make([]memberKey, 0, len(v.looks))
	for k := range v.looks {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, compareKeys)
	return keys
}

func (v *view) allPaths() []failover.FencePath {
	var paths []failover.FencePath
	for _, p := range v.paths {
		paths = append(paths, p)
	}
	slices.SortFunc(paths, func(a, b failover.FencePath) int {
		return compareKeys(memberKey{a.Group, a.Member}, memberKey{b.Group, b.Member})
	})
	return paths
}

func (v *view) take(list []failover.Observation, key memberKey) []failover.Observation {
	if words, ok := v.words[key]; ok {
		delete(v.words, key)
		list = append(list, words)
	}
	v.sent[key] = v.looks[key].observation
	return append(list, v.sent[key])
}

// news says whether the newest look must be sent.
func (v *view) news(key memberKey) bool {
	now := v.looks[key].observation
	sent, ok := v.sent[key]
	if _, words := v.words[key]; !ok || words || !failover.SameView(now, sent) {
		return true
	}
	g := v.state().Group(key.group)
	if g == nil || g.Member(key.member) == nil {
		return false
	}
	least := g.Member(key.member).NotBefore(now)
	return now.AsOf >= least && sent.AsOf < least
}

// answers are the requests to look again that can be answered.
func (v *view) answers(answered map[failover.GroupName]bool) (list []failover.Answer, again time.Duration) {
	now := v.node.boot()
	for _, group := range sortedKeys(v.asks) {
		a, g := v.asks[group], v.state().Group(group)
		if g == nil {
			delete(v.asks, group)
			continue
		}
		if a.member != "" && v.looks[memberKey{group, a.member}].ended <= a.at {
			continue
		}
		if !v.allLooked(g, a.at) && now < a.at+askGrace {
			again = askGrace
			continue
		}
		delete(v.asks, group)
		v.answered[group] = a
		answered[group] = true
		list = append(list, failover.Answer{Group: group, Index: a.index})
	}
	return list, again
}

func (v *view) allLooked(g *failover.Group, since time.Duration) bool {
	return !slices.ContainsFunc(g.Members, func(m failover.Member) bool { return v.looks[memberKey{g.Name, m.Name}].ended <= since })
}

// dropUnknown forgets members that the committed specs no longer have.
func (v *view) dropUnknown() {
	gone := func(key memberKey) bool {
		g := v.state().Group(key.group)
		return g == nil || g.Member(key.member) == nil
	}
	for key := range v.looks {
		if gone(key) {
			delete(v.looks, key)
			delete(v.sent, key)
			delete(v.words, key)
			delete(v.troubles, key)
		}
	}
	for key := range v.paths {
		if gone(key) {
			delete(v.paths, key)
		}
	}
}

// stateMoved makes looks begin that count for what is asked of members now, and follows the specs.
func (v *view) stateMoved(before *failover.State) {
	specs := len(before.Groups) != len(v.state().Groups)
	for _, g := range v.state().Groups {
		was := before.Group(g.Name)
		if was == g {
			continue
		}
		if was == nil || was.SpecVersion != g.SpecVersion {
			specs = true
			continue
		}
		for i := range g.Members {
			m, old := &g.Members[i], was.Member(g.Members[i].Name)
			if old == nil || m.Since != old.Since || m.NoneSince != old.NoneSince || m.RevokedSince != old.RevokedSince {
				v.node.prober.poke(memberKey{g.Name, m.Name})
			}
		}
	}
	if specs {
		v.node.prober.setTargets()
	}
}
