package explore

import (
	"fmt"
	"slices"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
)

const (
	group  = failover.GroupName("g")
	twin   = failover.GroupName("twin") // would have the same servers, and is never to be
	system = "system-1"
	other  = "system-2" // of a member that became another database
	lsn    = failover.LSN(1000)
)

var (
	nodes   = []failover.NodeID{"a", "b", "c"}
	members = []failover.MemberName{"m1", "m2", "m3"}
)

// variant is one spec that an operator may apply. For every member there is one in which it is another machine, and one in which it is
// gone: which of the members it is must make no difference.
type variant struct {
	name  string
	class byte // of the members' names it knows nothing
	spec  *failover.Spec
}

// variants begins with the one that groups are created with.
var variants = makeVariants()

func makeVariants() []variant {
	all := []variant{
		{"as created", 0, spec(func(*failover.Spec) {})},
		{"observing only", 1, spec(func(s *failover.Spec) { s.Policy.Automation = failover.AutomationObserve })},
		{"rogues by hand", 2, spec(func(s *failover.Spec) { s.Policy.RefenceRogues = false })},
	}
	for i, m := range members {
		all = append(all,
			variant{string(m) + " elsewhere", 3, spec(func(s *failover.Spec) { s.Members[i].Address = elsewhere })},
			variant{"without " + string(m), 4, spec(func(s *failover.Spec) { s.Members = slices.Delete(s.Members, i, i+1) })})
	}
	return all
}

const elsewhere = "elsewhere:1"

func variantOf(spec *failover.Spec) variant {
	return variants[slices.IndexFunc(variants, func(v variant) bool { return v.spec == spec })]
}

func spec(change func(*failover.Spec)) *failover.Spec {
	s := &failover.Spec{
		Engine: failover.EnginePostgres,
		Health: failover.Health{Checks: []failover.Check{{Name: "check", Kind: failover.CheckPostgres, Required: true}}},
		Policy: failover.Policy{
			Automation: failover.AutomationFull, LeaseDuration: 2 * time.Second, RefenceRogues: true, MaxAttempts: 1,
			RetryInterval: time.Second,
		},
		Routes: []failover.Route{{Router: "command", Name: "route"}},
	}
	for _, m := range members {
		s.Members = append(s.Members, failover.MemberSpec{
			Name: m, Address: string(m) + ":1", Priority: 100, ApplicationName: string(m),
			Fence: []failover.FenceLevel{{Devices: []failover.FenceDevice{{
				Method: "fence", Settings: []failover.Setting{{Key: "plug", Value: string(m)}},
			}}}},
		})
	}
	change(s)
	return s
}

// sight is what an arbiter can see of a member.
type sight byte

const (
	unseen   sight = iota // no look that counts
	standby               // answers, in recovery
	primary               // accepts writes
	down                  // refuses
	untold                // the arbiter can't tell
	stranger              // in recovery, of another database
	silent                // was in recovery, and the newest look was told nothing
)

func (s sight) String() string {
	return [...]string{"unseen", "standby", "primary", "down", "can't tell", "stranger", "silent"}[s]
}

// observation is the look that shows this of a member.
func (s sight) observation(m failover.MemberName, asOf failover.Index) failover.Observation {
	o := shows[s]
	o.Member, o.AsOf = m, asOf
	return o
}

// shows is how every sight looks, of whichever member. Looks are made for every state, and share what they refer to.
var shows = makeShows()

func makeShows() [silent + 1]failover.Observation {
	var all [silent + 1]failover.Observation
	for s := range all {
		all[s] = sight(s).show()
	}
	return all
}

func (s sight) show() failover.Observation {
	o := failover.Observation{Group: group}
	reason := failover.ReasonAnswered
	switch s {
	case standby, stranger, silent:
		o.Facts = failover.Facts{Role: failover.RoleStandby, SystemID: system, Received: lsn, Replayed: lsn, Streaming: s != silent, Stale: s == silent}
		if s == stranger {
			o.Facts.SystemID = other
		}
	case primary:
		o.Facts = failover.Facts{
			Role: failover.RolePrimary, AcceptsWrites: true, SystemID: system, Written: lsn,
			SyncRule: failover.SyncRule{Need: 1, Names: []string{"m1", "m2", "m3"}},
		}
	case down:
		reason = failover.ReasonRefused
	default:
		reason = failover.ReasonBadConfiguration
	}
	o.Checks = []failover.CheckState{{Name: "check", Evidence: failover.Evidence{Reason: reason}}}
	return o
}

// sightOf is what a look shows.
func sightOf(o *failover.Observation) sight {
	switch {
	case o.Facts.AcceptsWrites:
		return primary
	case o.Facts.Stale:
		return silent
	case o.Facts.SystemID == other:
		return stranger
	case o.Facts.Role == failover.RoleStandby:
		return standby
	case o.Checks[0].Evidence.Reason == failover.ReasonRefused:
		return down
	}
	return untold
}

// lookOf is the look of an arbiter at a member, if its view was not voided since; doubts are not asked about here.
func lookOf(s *failover.State, g *failover.Group, node failover.NodeID, m failover.MemberName) (*failover.Observation, sight) {
	view, _ := s.View(node)
	if l := newest(g, node, m); l != nil && l.Generation == view.Generation && view.Current {
		return &l.Observation, sightOf(&l.Observation)
	}
	return &failover.Observation{}, unseen
}

// newest is what an arbiter saw of a member last, nil if it never did.
func newest(g *failover.Group, node failover.NodeID, m failover.MemberName) *failover.Look {
	for i := range g.Looks {
		if l := &g.Looks[i]; l.Node == node && l.Observation.Member == m {
			return l
		}
	}
	return nil
}

// shown is what an arbiter saw of a member last, also if its view was voided since: it will show that again.
func shown(g *failover.Group, node failover.NodeID, m failover.MemberName) sight {
	if l := newest(g, node, m); l != nil {
		return sightOf(&l.Observation)
	}
	return untold
}

// roots are the states that everything begins with.
func roots() []failover.State {
	s := failover.NewState()
	apply := func(node failover.NodeID, term failover.Term, body failover.Body) {
		s, _ = failover.Next(s, failover.Entry{Index: s.Applied + 1, Term: term, Proposer: node, Body: body})
	}
	apply("", 0, failover.SetVoters{Voters: nodes})
	apply("", 0, failover.ApplySpec{Group: group, Spec: variants[0].spec})
	apply("a", 1, failover.BeginReign{Term: 1, Leader: "a"})
	for _, node := range nodes {
		b := failover.Batch{Node: node, Incarnation: 1, Sequence: 1, Whole: true}
		for _, m := range members {
			show := standby
			if m == "m1" {
				show = primary
			}
			b.Observations = append(b.Observations, show.observation(m, s.Applied))
		}
		apply("a", 1, failover.Observe{Batches: []failover.Batch{b}})
	}
	created := slim(s)
	apply("a", 1, failover.Adopt{Group: group})
	if !s.Group(group).Adopted {
		panic(fmt.Sprintf("the first adoption was refused: %+v", s.Group(group)))
	}
	return []failover.State{created, slim(s)}
}

// slim drops what is kept for people only, so that states stay small: the history, and of an operation's timeline all but the newest
// try; how many reroutes there were in a row, since only time judges by that; and what devices said last. It changes groups in place, which only the newest state refers to.
func slim(s failover.State) failover.State {
	s.EventSeq = 0
	for _, g := range s.Groups {
		g.History, g.Reroutes, g.Paths = failover.History{}, failover.Reroutes{}, nil
		if op := g.Operation; op != nil && len(op.Steps) > 1 {
			at := len(op.Steps) - 1
			for at > 0 && op.Steps[at].Intent == 0 {
				at--
			}
			op.Steps = slices.Clone(op.Steps[at : at+1])
		}
	}
	return s
}
