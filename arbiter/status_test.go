package arbiter

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/arbiter-ha/arbiter/failover"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// What a check says counts as the policy says, a view that has nothing of it adds nothing, and one that doesn't count is marked.
func TestChecksToProto_EachLookByItsWeight(t *testing.T) {
	spec := &failover.Spec{
		Health: failover.Health{Checks: []failover.Check{{Name: "postgres", Required: true}, {Name: "page", Window: time.Minute}}},
		Policy: failover.Policy{AlsoDown: []failover.Reason{failover.ReasonReadOnly}},
	}
	say := func(check string, reason failover.Reason) *arbiterv1.CheckState {
		return &arbiterv1.CheckState{Name: check, Reason: string(reason)}
	}
	rules := checksToProto(spec, []*arbiterv1.MemberStatus{
		{Member: "db1", Views: []*arbiterv1.View{
			{Node: "az-a", Counts: true, Checks: []*arbiterv1.CheckState{say("page", failover.ReasonTimeout), say("postgres", failover.ReasonTimeout)}},
			{Node: "az-b", Counts: true, Checks: []*arbiterv1.CheckState{say("page", failover.ReasonAnswered), say("postgres", failover.ReasonReadOnly)}},
			{Node: "az-c", WhyNot: "the leader has no current view from it"},
		}},
		{Member: "db2", Views: []*arbiterv1.View{
			{Node: "az-a", Checks: []*arbiterv1.CheckState{say("postgres", failover.ReasonBadCredentials)}},
		}},
	})
	want := map[string][]*arbiterv1.CheckView{
		"postgres": {
			{Member: "db1", Node: "az-a", Status: "down", Reason: "timeout", Counts: true},
			{Member: "db1", Node: "az-b", Status: "down", Reason: "read-only", Counts: true},
			{Member: "db2", Node: "az-a", Status: "unknown", Reason: "bad-credentials"},
		},
		"page": {
			{Member: "db1", Node: "az-a", Status: "degraded", Reason: "timeout", Counts: true},
			{Member: "db1", Node: "az-b", Status: "up", Reason: "answered", Counts: true},
		},
	}
	for _, rule := range rules {
		if got, wanted := (&arbiterv1.CheckRule{Views: rule.GetViews()}), (&arbiterv1.CheckRule{Views: want[rule.GetName()]}); !proto.Equal(got, wanted) {
			t.Errorf("%s: got %v, want %v", rule.GetName(), got, wanted)
		}
	}
	if len(rules) != 2 || rules[0].GetWindow() != nil || rules[1].GetWindow().AsDuration() != time.Minute {
		t.Errorf("rules %v", rules)
	}
}

// lossFixture is a group of which an arbiter saw db1 write up to 5000, and then nothing more, with db2 at 3000 and db3 at 2000.
type lossFixture struct {
	viewFixture
	state *failover.State
	group *failover.Group
}

func newLossFixture() (lossFixture, *Node) {
	f := lossFixture{viewFixture: newViewFixture()}
	f.state = f.view.state()
	f.group = f.state.Groups[0]
	g := f.group
	g.Adopted, g.Stage, g.SystemID = true, failover.Steady, "sys"
	for _, m := range g.Members {
		g.Spec.Members = append(g.Spec.Members, failover.MemberSpec{Name: m.Name, ApplicationName: string(m.Name), Priority: 100})
	}
	g.LastPrimary = failover.PrimaryFacts{Member: "db1", Index: 40, Written: 4000}
	f.state.Voters, f.state.Views = []failover.NodeID{"az-a"}, []failover.View{{Node: "az-a", Current: true}}
	f.seeFacts("db1", failover.ReasonAnswered, failover.Facts{Role: failover.RolePrimary, AcceptsWrites: true, Written: 5000})
	f.seeFacts("db2", failover.ReasonAnswered, failover.Facts{Role: failover.RoleStandby, SystemID: "sys", Received: 3000})
	f.seeFacts("db3", failover.ReasonAnswered, failover.Facts{Role: failover.RoleStandby, SystemID: "sys", Received: 2000})
	for _, member := range []failover.MemberName{"db1", "db2", "db3"} {
		look, _ := f.look("pay", member)
		g.Looks = append(g.Looks, failover.Look{Node: "az-a", Observation: look.Observation})
	}
	return f, &Node{view: f.view}
}

func (f lossFixture) seeFacts(member failover.MemberName, reason failover.Reason, facts failover.Facts) {
	r := f.report(member, reason)
	r.Observation.Facts = facts
	f.observe(r)
}

// fenced is the failover of the group once db1 is proven unable to write, with what was read of the standbys after that.
func (f lossFixture) fenced(positions ...failover.MemberPosition) {
	f.seeFacts("db1", failover.ReasonRefused, failover.Facts{})
	f.group.Members[0].Authority = failover.AuthorityNone
	f.group.Stage = failover.CaughtUp
	f.group.Operation = &failover.Operation{Kind: failover.KindFailover, From: "db1", Positions: positions}
}

func read(member failover.MemberName, at failover.LSN) failover.MemberPosition {
	return failover.MemberPosition{Member: member, Answered: true, SystemID: "sys", Received: at, Replayed: at}
}

func TestAddLoss(t *testing.T) {
	for name, c := range map[string]struct {
		change func(lossFixture)
		loses  string
		lag    uint64
	}{
		"the live distance is more than the one that was committed": {func(lossFixture) {}, "about 2000 bytes", 2000},
		"what nobody has seen where it is is not at the beginning": {func(f lossFixture) {
			f.group.Looks = f.group.Looks[:1]
		}, "unknown", 2000},
		"a primary that nobody can see may have written anything since": {func(f lossFixture) {
			f.group.Looks[0].Observation.Checks[0].Evidence.Reason = failover.ReasonBadCredentials
		}, "unknown", 2000},
		"what was read after the fence counts, and the primary is not forgotten": {func(f lossFixture) {
			f.fenced(read("db2", 2500), read("db3", 2000))
		}, "about 1500 bytes", 1000},
		"beside the one that is promoted it is about who would be next": {func(f lossFixture) {
			f.fenced(read("db2", 2500), read("db3", 2000))
			f.group.Stage, f.group.Members[1].Authority, f.group.Members[1].Promoting = failover.Promoting, failover.AuthorityWriter, true
			f.group.Operation.Candidate, f.group.Operation.Loss = "db2", failover.LossBound{Grade: failover.LossEstimate, Bytes: 1700}
		}, "about 2000 bytes", 2000},
		"behind a new primary is who has not received from it yet": {func(f lossFixture) {
			f.fenced(read("db2", 2500), read("db3", 2000))
			f.seeFacts("db2", failover.ReasonAnswered, failover.Facts{Role: failover.RolePrimary, AcceptsWrites: true, Written: 9000, Received: 2500})
			f.group.Stage, f.group.Members[1].Authority = failover.Routing, failover.AuthorityWriter
			f.group.LastPrimary = failover.PrimaryFacts{Member: "db2", Written: 9000}
			f.group.Operation.Candidate, f.group.Operation.Loss = "db2", failover.LossBound{Grade: failover.LossObserved}
		}, "about 7000 bytes", 7000},
	} {
		t.Run(name, func(t *testing.T) {
			f, n := newLossFixture()
			c.change(f)
			status := arbiterv1.GroupStatus{PrimaryStatus: string(failover.Tally(f.state, f.group, "db1").Status)}
			n.addLoss(f.state, f.group, &status)
			if status.GetWouldLose() != c.loses || status.GetLagBytes() != c.lag {
				t.Errorf("would lose %q with a lag of %d, want %q and %d", status.GetWouldLose(), status.GetLagBytes(), c.loses, c.lag)
			}
		})
	}
}

// A group with nothing in progress is told of by what is seen now; an operation is decided on by what is committed, and told of by that.
func TestJudged(t *testing.T) {
	f, n := newLossFixture()
	n.options.Node = "az-a"
	f.seeFacts("db2", failover.ReasonAnswered, failover.Facts{Role: failover.RoleStandby, SystemID: "sys", Received: 4900})
	position := func(s *failover.State) failover.LSN { return failover.SeenPositions(s, s.Group("pay"))[1].Received }
	if at := position(n.judged(f.state, f.group)); at != 4900 {
		t.Errorf("at rest: db2 at %d", at)
	}
	f.group.Operation = &failover.Operation{Kind: failover.KindFailover, From: "db1"}
	if at := position(n.judged(f.state, f.group)); at != 3000 {
		t.Errorf("in an operation: db2 at %d", at)
	}
	if at := position(n.measured(f.state, f.group)); at != 3000 {
		t.Errorf("measured in an operation: db2 at %d", at)
	}
	f.group.Operation.Kind = failover.KindRefence
	if at := position(n.measured(f.state, f.group)); at != 4900 {
		t.Errorf("measured beside a refence, which decides nothing by positions: db2 at %d", at)
	}
	if at := position(n.judged(f.state, f.group)); at != 3000 {
		t.Errorf("a refence is told of by what is committed: db2 at %d", at)
	}
}

// Most arbiters see the primary alive but failing: the status says by which check, also if the one that answers sees it well.
func TestDegradedPrimaryIsExplained(t *testing.T) {
	f, n := newLossFixture()
	f.state.Voters = []failover.NodeID{"az-a", "az-b", "az-c"}
	f.group.Members[0].Verdict = failover.StatusDegraded
	f.group.Spec.Health.Checks = append(f.group.Spec.Health.Checks, failover.Check{Name: "port"}, failover.Check{Name: "write", Required: true})
	for _, node := range f.state.Voters[1:] {
		f.state.Views = append(f.state.Views, failover.View{Node: node, Current: true})
		f.group.Looks = append(f.group.Looks, failover.Look{Node: node, Observation: failover.Observation{
			Group: "pay", Member: "db1", Checks: []failover.CheckState{
				{Name: "port", Evidence: failover.Evidence{Reason: failover.ReasonAnswered}},
				{Name: "write", Evidence: failover.Evidence{Reason: failover.ReasonReadOnly, Detail: "every transaction is read-only"}},
			},
		}})
	}
	m := n.memberToProto(f.state, f.group, f.group.Spec.Members[0])
	if m.GetReason() != "read-only" {
		t.Errorf("the reason is %q", m.GetReason())
	}
	const want = "2 of 3 arbiters see db1 alive but failing (check write: every transaction is read-only), which by itself is no reason for a failover"
	if note := degradedNote(m, 3); note != want {
		t.Errorf("got  %s\nwant %s", note, want)
	}
}

// Beside a rogue that was isolated somebody else is the primary, whom the refence did not put in its place.
func TestOperations_ARefenceMovesNobody(t *testing.T) {
	g := &failover.Group{Name: "orders", History: failover.History{Receipts: []failover.Receipt{
		{Operation: failover.Operation{ID: "orders-6", Kind: failover.KindFailover, From: "pg-c"}, To: "pg-a", Result: failover.OperationDone},
		{Operation: failover.Operation{ID: "orders-9", Kind: failover.KindRefence, From: "pg-c"}, To: "pg-a", Result: failover.OperationDone},
	}}}
	list := operationsToProto(g, failover.Decision{})
	if refence, before := list[0], list[1]; refence.GetTo() != "" || refence.GetFrom() != "pg-c" || before.GetTo() != "pg-a" {
		t.Errorf("the refence moves %q to %q, the failover before it to %q", refence.GetFrom(), refence.GetTo(), before.GetTo())
	}
}

// A refence that a person let go on is not told of as merely automatic.
func TestOperations_WhoReleased(t *testing.T) {
	op := operationToProto("orders", &failover.Operation{Kind: failover.KindRefence, Automatic: true, ReleasedBy: "dana"})
	if op.GetActor() != "automatic" || op.GetReleasedBy() != "dana" {
		t.Errorf("by %q, released by %q", op.GetActor(), op.GetReleasedBy())
	}
}

// A loss of which nobody knows how large it is, or that is about nobody, is not told as one of 0 bytes.
func TestLossBytes_AreUnsetWhereTheyAreNotKnown(t *testing.T) {
	for _, test := range []struct {
		bound failover.LossBound
		want  *uint64
	}{
		{failover.LossBound{}, nil},
		{failover.LossBound{Grade: failover.LossUnknown}, nil},
		{failover.LossBound{Grade: failover.LossObserved}, new(uint64(0))},
		{failover.LossBound{Grade: failover.LossEstimate, Bytes: 700}, new(uint64(700))},
	} {
		got := operationToProto("pay", &failover.Operation{Loss: test.bound}).LossBytes
		if (got == nil) != (test.want == nil) || got != nil && *got != *test.want {
			t.Errorf("of an operation with %+v: %v, want %v", test.bound, got, test.want)
		}
	}
}

// What is known of members that don't answer any more is as old as their last word, not as the last look in vain.
func TestAges_AreOfTheLastWord(t *testing.T) {
	f, n := newLossFixture()
	n.options.Node = "az-a"
	f.group.Spec.Health.Checks = []failover.Check{{Name: "postgres", Required: true}}
	say := func(member failover.MemberName, reason failover.Reason, told bool) {
		f.clock.Advance(20 * time.Second)
		look, _ := n.view.look("pay", member)
		look.Observation.Checks = []failover.CheckState{{Name: "postgres", Evidence: failover.Evidence{Reason: reason}}}
		if look.Ended = f.clock.Boot(); told {
			look.Told = Told{Began: look.Ended, Ended: look.Ended}
		}
		n.view.observe(look)
	}
	say("db1", failover.ReasonAnswered, true)
	say("db2", failover.ReasonAnswered, true)
	say("db2", failover.ReasonTimeout, false)
	if age := n.seenAge("pay", "db2").AsDuration(); age != 20*time.Second {
		t.Errorf("db2 was seen %v ago", age)
	}
	if age := n.lagAge(f.group, "db2").AsDuration(); age != 40*time.Second { // that of db1's word
		t.Errorf("the lag is %v old", age)
	}
	if age := n.lagAge(f.group, "db3"); age != nil {
		t.Errorf("of a member that never said anything: %v", age)
	}
	if lines := n.witnesses(f.state, f.group); len(lines) == 0 || lines[0] != "db2 is down to az-a, which last saw it 20s ago, at 0/BB8" {
		t.Errorf("%q", lines)
	}
	status := n.memberToProto(f.state, f.group, f.group.Spec.Members[1])
	if status.GetSeenAge().AsDuration() != 20*time.Second {
		t.Errorf("the status says %v", status.GetSeenAge())
	}
}

// Where routes lead elsewhere, and of which it isn't known, is told of groups to which nothing is done, with what to do where nobody brings them back.
func TestAddRoutes(t *testing.T) {
	w, f := newWatchedRoutes(), newViewFixture()
	n := &Node{options: Options{Clock: w.clock}, routes: w.routeWatch, view: f.view}
	w.leading.set(true)
	f.clock.Advance(time.Minute)
	seen := sighting{epoch: 7, specSince: 40, since: f.clock.Boot() - 12*time.Second, ended: f.clock.Boot() - 2*time.Second}
	front, back := seen, seen
	front.Unread = &Finding{Unreachable: true, What: "connection refused", Next: "start it"}
	back.Astray = []Finding{{Member: "db1", What: "back sends nobody to it"}, {Member: "db2", What: "back sends clients to it"}}
	w.newest = map[watchedRoute]sighting{{"pay", "back"}: back, {"pay", "front"}: front}
	ask := func() *arbiterv1.GroupStatus {
		status := &arbiterv1.GroupStatus{}
		n.addRoutes(w.state(), &w.group, status)
		return status
	}
	want := &arbiterv1.GroupStatus{
		AstrayRoutes: []*arbiterv1.AstrayRoute{
			{Route: "back", Member: "db1", What: "back sends nobody to it", Age: durationpb.New(2 * time.Second)},
			{Route: "back", Member: "db2", What: "back sends clients to it", Age: durationpb.New(2 * time.Second)},
		},
		UnreadRoutes: []*arbiterv1.UnreadRoute{{
			Route: "front", Silent: true, UnreadFor: durationpb.New(12 * time.Second), Error: "connection refused", Next: "start it", Age: durationpb.New(2 * time.Second),
		}},
	}
	if got := ask(); !proto.Equal(got, want) {
		t.Errorf("one that is brought back by itself: %v", got)
	}
	w.group.Pause = &failover.Paused{}
	if got := ask(); len(got.GetNext()) != 1 || !strings.Contains(got.GetNext()[0], "since pay is paused") {
		t.Errorf("in a pause: %v", got)
	}
	w.group.Operation = &failover.Operation{}
	if got := ask(); !proto.Equal(got, &arbiterv1.GroupStatus{}) {
		t.Errorf("while an operation runs: %v", got)
	}
}
