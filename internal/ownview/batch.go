package ownview

import (
	"maps"
	"slices"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
)

// Ask is a request of the leader to look again.
type Ask struct {
	Group  failover.GroupName
	Member failover.MemberName // that matters; empty: none more than the others
	Index  failover.Index
	// SpecSince is the entry that brought the spec that the leader judges by. Looks by an older one are no answer: an arbiter that is behind
	// in the log may look by other checks, at another port or with less patience.
	SpecSince failover.Index
}

// ask is one that came.
type ask struct {
	Ask
	at time.Duration
}

// askGrace is how long an answer waits for looks at the other members once the one that matters has ended.
const askGrace = 50 * time.Millisecond

// AskAgain remembers a request to look again, of which boot is the time.
func (v *View) AskAgain(a Ask, boot time.Duration) { v.asks[a.Group] = ask{a, boot} }

// Applied says that the last batch is part of the state: its answers need not be given again.
func (v *View) Applied() { clear(v.answered) }

// Whole begins a new incarnation and returns the whole view. Answers that may have been lost with the stream before are given
// again after it: the leader would only notice that they are missing.
func (v *View) Whole(m Moment, wall failover.WallTime) failover.Batch {
	for group, a := range v.answered {
		if v.asks[group].Index < a.Index {
			v.asks[group] = a
		}
	}
	clear(v.answered)
	known, _ := m.State.View(v.node)
	incarnation := max(uint64(wall), known.Incarnation+1)
	v.sequence = 1
	v.judge(m)
	v.sent = map[Key]failover.Observation{}
	clear(v.fresh)
	clear(v.unsent)
	v.told = v.doubt
	b := failover.Batch{Node: v.node, Incarnation: incarnation, Sequence: 1, Whole: true, Doubt: v.doubt, Version: failover.CurrentVersion}
	v.dropUnknown(m.State)
	for _, key := range sortedKeys(v.looks) {
		b.Observations = v.take(b.Observations, key)
	}
	for _, key := range sortedKeys(v.paths) {
		b.FencePaths = append(b.FencePaths, v.paths[key])
	}
	return b
}

// Changes returns what the leader does not know yet, or false if it knows everything. again says when to ask again at the latest.
func (v *View) Changes(m Moment, incarnation uint64) (b failover.Batch, some bool, again time.Duration) {
	v.dropUnknown(m.State)
	if v.judge(m); v.waits() {
		return b, false, waitPause
	}
	b = failover.Batch{Node: v.node, Incarnation: incarnation, Doubt: v.doubt, Version: failover.CurrentVersion}
	answered := map[failover.GroupName]bool{}
	b.Answers, again = v.answers(m, answered)
	v.freshen(m.State, answered)
	for _, key := range sortedKeys(v.fresh) {
		if answered[key.Group] || v.news(m.State, key) {
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
func (v *View) freshen(s *failover.State, answered map[failover.GroupName]bool) {
	for group := range answered {
		for _, m := range s.Group(group).Members {
			if key := (Key{Group: group, Member: m.Name}); v.looks[key].Ended != 0 {
				v.fresh[key] = true
			}
		}
	}
}

// take appends what is to be sent of a member.
func (v *View) take(list []failover.Observation, key Key) []failover.Observation {
	if words, ok := v.words[key]; ok {
		delete(v.words, key)
		list = append(list, words)
	}
	v.sent[key] = v.looks[key].Observation
	return append(list, v.sent[key])
}

// news says whether the newest look at a member must be sent: it differs from what was sent, or something that it overtook must be, or what
// was sent is too old for what is asked of the member now: since it became NONE (S12), was revoked (S3), or became another machine (S0).
func (v *View) news(s *failover.State, key Key) bool {
	now := v.looks[key].Observation
	sent, ok := v.sent[key]
	if _, words := v.words[key]; !ok || words || !failover.SameView(now, sent) {
		return true
	}
	m := member(s, key)
	if m == nil {
		return false // deleted just now
	}
	least := m.NotBefore(now)
	return now.AsOf >= least && sent.AsOf < least
}

// answers are the requests to look again that can be answered: the look at the member in question is a new one, and so are those at the
// others, or they were given a little time for it.
func (v *View) answers(m Moment, answered map[failover.GroupName]bool) (list []failover.Answer, again time.Duration) {
	for _, group := range slices.Sorted(maps.Keys(v.asks)) {
		a, g := v.asks[group], m.State.Group(group)
		if g == nil {
			delete(v.asks, group)
			continue
		}
		if g.SpecSince < a.SpecSince || a.Member != "" && !v.looked(a, a.Member) {
			continue
		}
		if !v.allLooked(g, a) && m.Boot < a.at+askGrace {
			again = askGrace
			continue
		}
		delete(v.asks, group)
		v.answered[group] = a
		answered[group] = true
		list = append(list, failover.Answer{Group: group, Index: a.Index})
	}
	return list, again
}

func (v *View) allLooked(g *failover.Group, a ask) bool {
	return !slices.ContainsFunc(g.Members, func(m failover.Member) bool { return !v.looked(a, m.Name) })
}

// looked says whether the newest look at a member answers a request: it ended after that came, and was by the spec that it is about.
func (v *View) looked(a ask, member failover.MemberName) bool {
	r := v.looks[Key{Group: a.Group, Member: member}]
	return r.Ended > a.at && r.SpecSince >= a.SpecSince
}

func sortedKeys[T any](of map[Key]T) []Key { return slices.SortedFunc(maps.Keys(of), Key.Compare) }
