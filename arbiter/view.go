package arbiter

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/clock"
)

// view is what this arbiter sees: the newest observation of every member, and which of them the leader knows. Only changes
// are sent; a quiet system sends nothing.
type view struct {
	node       failover.NodeID
	clock      clock.Clock
	state      func() *failover.State
	references *references

	mu       sync.Mutex
	looks    map[memberKey]Report
	took     map[memberKey]time.Duration // how long the last good look at each member took
	sent     map[memberKey]failover.Observation
	words    map[memberKey]failover.Observation // that a member said it restarts, overtaken by worse before it was sent
	paths    map[memberKey]failover.FencePath
	troubles map[memberKey]*trouble
	reached  map[memberKey]time.Duration // when the latest look began that reached the member over a new connection
	late     string                      // why this arbiter's own loops ran late; empty if they don't
	self     failover.SelfDoubt          // for want of reference points
	doubt    string                      // of the two, the one that is told
	told     string                      // the doubt that was sent
	asks     map[failover.GroupName]ask  // not answered yet
	answered map[failover.GroupName]ask  // answered by a batch that is not known to be applied
	fresh    map[memberKey]bool          // looks that were news when they came
	unsent   map[memberKey]bool          // fence paths that have changed
	specs    map[failover.GroupName]specVersion
	sequence uint64
	changed  chan struct{} // has room for one
}

type memberKey struct {
	group  failover.GroupName
	member failover.MemberName
}

// ask is a request of the leader to look again.
type ask struct {
	member failover.MemberName // that matters
	index  failover.Index
	at     time.Duration
}

// askGrace is how long an answer waits for looks at the other members once the one that matters has ended.
const askGrace = 50 * time.Millisecond

func newView(node failover.NodeID, c clock.Clock, state func() *failover.State, refs *references) *view {
	return &view{
		node: node, clock: c, state: state, references: refs, looks: map[memberKey]Report{}, took: map[memberKey]time.Duration{},
		sent: map[memberKey]failover.Observation{}, words: map[memberKey]failover.Observation{}, paths: map[memberKey]failover.FencePath{},
		troubles: map[memberKey]*trouble{}, reached: map[memberKey]time.Duration{},
		fresh: map[memberKey]bool{}, unsent: map[memberKey]bool{}, specs: map[failover.GroupName]specVersion{},
		asks: map[failover.GroupName]ask{}, answered: map[failover.GroupName]ask{}, changed: make(chan struct{}, 1),
	}
}

// observe takes the report of a look.
func (v *view) observe(r Report) {
	v.mu.Lock()
	defer v.mu.Unlock()
	key := memberKey{r.Observation.Group, r.Observation.Member}
	if v.stray(key, r.Address) {
		return
	}
	v.keepWords(key, r.Observation)
	v.looks[key] = r
	if r.Good > 0 {
		v.took[key] = r.Good
	}
	v.noteTrouble(key, r)
	// Most looks see what was seen before: with thousands of members nobody may go through all of them at each look, or at each change.
	if v.news(key) {
		v.fresh[key] = true
	}
	if _, asked := v.asks[key.group]; asked || v.fresh[key] {
		v.wake()
	}
}

// stray says that a look was made at a member that was removed meanwhile, or at an address that is no longer its own: it began after the
// spec had changed and before the prober knew, so that its index does not show it (S0).
func (v *view) stray(key memberKey, address string) bool {
	if !v.hasMember(key) {
		return true
	}
	m, ok := v.state().Group(key.group).Spec.Member(key.member)
	return ok && m.Address != address
}

func (v *view) hasMember(key memberKey) bool {
	g := v.state().Group(key.group)
	return g != nil && g.Member(key.member) != nil
}

// keepWords keeps an observation in which a member says that it restarts, if the next one overtakes it: that it refuses then is seen
// milliseconds later, and means something else without it.
func (v *view) keepWords(key memberKey, next failover.Observation) {
	before := v.looks[key].Observation
	switch {
	case !hasEvidence(next, failover.EvidenceDead):
		delete(v.words, key)
	case saysRestarting(before) && !saysRestarting(next) && v.news(key):
		v.words[key] = before
	}
}

func hasEvidence(o failover.Observation, class failover.EvidenceClass) bool {
	return slices.ContainsFunc(o.Checks, func(c failover.CheckState) bool { return failover.ClassOf(c.Evidence.Reason) == class })
}

func saysRestarting(o failover.Observation) bool {
	return slices.ContainsFunc(o.Checks, func(c failover.CheckState) bool { return failover.SaysRestarting(c.Evidence.Reason) })
}

// Bounds of answerWait.
const (
	answerWaitLeast = 25 * time.Millisecond
	answerWaitMost  = 250 * time.Millisecond
)

// answerWait is how long a member that is said to be off is given to accept a connection, to show the opposite. A good look takes
// several round trips and a disk write, so twice the last one is many times what accepting takes; where none was seen the most is given.
func (v *view) answerWait(group failover.GroupName, member failover.MemberName) time.Duration {
	v.mu.Lock()
	defer v.mu.Unlock()
	took, ok := v.took[memberKey{group, member}]
	if !ok {
		return answerWaitMost
	}
	return min(max(2*took, answerWaitLeast), answerWaitMost)
}

func (v *view) setPath(p failover.FencePath) {
	v.mu.Lock()
	defer v.mu.Unlock()
	key := memberKey{p.Group, p.Member}
	if !v.hasMember(key) {
		return // removed while it was asked
	}
	known, ok := v.paths[key]
	v.paths[key] = p
	if !ok || !known.SameWay(p) || v.outdated(known) {
		v.unsent[key] = true
		v.wake()
	}
}

// outdated says whether a fence path is that of a machine that the member no longer is.
func (v *view) outdated(p failover.FencePath) bool {
	g := v.state().Group(p.Group)
	return g != nil && g.Member(p.Member) != nil && p.AsOf < g.Member(p.Member).Since
}

// askAgain remembers a request to look again.
func (v *view) askAgain(group failover.GroupName, member failover.MemberName, index failover.Index) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.asks[group] = ask{member: member, index: index, at: v.clock.Boot()}
}

// applied says that the last batch is part of the state: its answers need not be given again.
func (v *view) applied() {
	v.mu.Lock()
	defer v.mu.Unlock()
	clear(v.answered)
}

// look returns the newest observation of a member.
func (v *view) look(group failover.GroupName, member failover.MemberName) (Report, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	r, ok := v.looks[memberKey{group, member}]
	return r, ok
}

func (v *view) wake() {
	select {
	case v.changed <- struct{}{}:
	default:
	}
}

// whole begins a new incarnation and returns the whole view. Answers that may have been lost with the stream before are given
// again after it: the leader would only notice that they are missing.
func (v *view) whole() failover.Batch {
	v.mu.Lock()
	defer v.mu.Unlock()
	for group, a := range v.answered {
		if v.asks[group].index < a.index {
			v.asks[group] = a
		}
	}
	clear(v.answered)
	known, _ := v.state().View(v.node)
	incarnation := max(uint64(v.clock.Wall().UnixNano()), known.Incarnation+1)
	v.sequence = 1
	v.judge()
	v.sent = map[memberKey]failover.Observation{}
	clear(v.fresh)
	clear(v.unsent)
	v.told = v.doubt
	b := failover.Batch{Node: v.node, Incarnation: incarnation, Sequence: 1, Whole: true, Doubt: v.doubt, Version: failover.CurrentVersion}
	v.dropUnknown()
	for _, key := range sortedKeys(v.looks) {
		b.Observations = v.take(b.Observations, key)
	}
	for _, key := range sortedKeys(v.paths) {
		b.FencePaths = append(b.FencePaths, v.paths[key])
	}
	return b
}

// changes returns what the leader does not know yet, or false if it knows everything. again says when to ask again at the latest.
func (v *view) changes(incarnation uint64) (b failover.Batch, some bool, again time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.dropUnknown()
	if v.judge(); v.waits() {
		return b, false, waitPause
	}
	b = failover.Batch{Node: v.node, Incarnation: incarnation, Doubt: v.doubt, Version: failover.CurrentVersion}
	answered := map[failover.GroupName]bool{}
	b.Answers, again = v.answers(answered)
	v.freshen(answered)
	for _, key := range sortedKeys(v.fresh) {
		if answered[key.group] || v.news(key) {
			b.Observations = v.take(b.Observations, key)
		}
	}
	clear(v.fresh)
	for _, key := range sortedKeys(v.unsent) {
		b.FencePaths = append(b.FencePaths, v.paths[key])
	}
	if len(b.Observations) == 0 && len(b.Answers) == 0 && len(b.FencePaths) == 0 && v.doubt == v.told {
		return b, false, again
	}
	clear(v.unsent)
	v.told = v.doubt
	v.sequence++
	b.Sequence = v.sequence
	return b, true, again
}

// freshen adds all looks at groups whose request to look again is answered: they are sent whatever they saw.
func (v *view) freshen(answered map[failover.GroupName]bool) {
	for group := range answered {
		for _, m := range v.state().Group(group).Members {
			if key := (memberKey{group, m.Name}); v.looks[key].Ended != 0 {
				v.fresh[key] = true
			}
		}
	}
}

// take appends what is to be sent of a member.
func (v *view) take(list []failover.Observation, key memberKey) []failover.Observation {
	if words, ok := v.words[key]; ok {
		delete(v.words, key)
		list = append(list, words)
	}
	v.sent[key] = v.looks[key].Observation
	return append(list, v.sent[key])
}

// news says whether the newest look at a member must be sent: it differs from what was sent, or something that it overtook must be, or what
// was sent is too old for what is asked of the member now: since it became NONE (S12), was revoked (S3), or became another machine (S0).
func (v *view) news(key memberKey) bool {
	now := v.looks[key].Observation
	sent, ok := v.sent[key]
	if _, words := v.words[key]; !ok || words || !failover.SameView(now, sent) {
		return true
	}
	g := v.state().Group(key.group)
	if g == nil || g.Member(key.member) == nil {
		return false // deleted just now
	}
	least := g.Member(key.member).NotBefore(now)
	return now.AsOf >= least && sent.AsOf < least
}

// answers are the requests to look again that can be answered: the look at the member in question ended after the request, and
// so did those at the others, or they were given a little time for it.
func (v *view) answers(answered map[failover.GroupName]bool) (list []failover.Answer, again time.Duration) {
	now := v.clock.Boot()
	for _, group := range sortedGroups(v.asks) {
		a, g := v.asks[group], v.state().Group(group)
		if g == nil {
			delete(v.asks, group)
			continue
		}
		if a.member != "" && v.looks[memberKey{group, a.member}].Ended <= a.at {
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
	return !slices.ContainsFunc(g.Members, func(m failover.Member) bool {
		return v.looks[memberKey{g.Name, m.Name}].Ended <= since
	})
}

// dropUnknown forgets members that the committed specs no longer have.
func (v *view) dropUnknown() {
	if !changed(v.specs, v.state()) {
		return
	}
	for key := range v.looks {
		if !v.hasMember(key) {
			delete(v.looks, key)
			delete(v.took, key)
			delete(v.sent, key)
			delete(v.words, key)
			delete(v.troubles, key)
			delete(v.reached, key)
			delete(v.fresh, key)
		}
	}
	for key := range v.paths {
		if !v.hasMember(key) {
			delete(v.paths, key)
			delete(v.unsent, key)
		}
	}
}

func sortedKeys[T any](m map[memberKey]T) []memberKey {
	keys := make([]memberKey, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, compareKeys)
	return keys
}

func compareKeys(a, b memberKey) int {
	return cmp.Or(cmp.Compare(a.group, b.group), cmp.Compare(a.member, b.member))
}

func sortedGroups[T any](m map[failover.GroupName]T) []failover.GroupName {
	groups := make([]failover.GroupName, 0, len(m))
	for g := range m {
		groups = append(groups, g)
	}
	slices.Sort(groups)
	return groups
}
