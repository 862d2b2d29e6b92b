package ownview

import (
	"slices"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
)

// fixture is a view of one group, pay, with db1 the writer and db2, db3 proven unable to write since index 100; and the world around it.
type fixture struct {
	*View
	now   time.Duration // boot clock; the wall clock shows it too
	group *failover.Group
	state *failover.State
	point Points
	last  Wanted // by the latest report
}

func newFixture() *fixture {
	g := &failover.Group{Name: "pay", Spec: &failover.Spec{}}
	for _, name := range []failover.MemberName{"db1", "db2", "db3"} {
		m := failover.Member{Name: name, Authority: failover.AuthorityNone, NoneSince: 100}
		if name == "db1" {
			m = failover.Member{Name: name, Authority: failover.AuthorityWriter}
		}
		g.Members = append(g.Members, m)
	}
	return &fixture{View: New("az-a"), now: time.Hour, group: g, state: &failover.State{Groups: []*failover.Group{g}}}
}

func (f *fixture) moment() Moment { return Moment{Boot: f.now, State: f.state, Points: f.point} }

func (f *fixture) observe(r Report) { f.last = f.Observe(f.moment(), r) }

func (f *fixture) whole() failover.Batch { return f.Whole(f.moment(), failover.WallTime(f.now)) }

func (f *fixture) changes(incarnation uint64) (failover.Batch, bool, time.Duration) {
	return f.Changes(f.moment(), incarnation)
}

// nothingToSend fails the test with what it means if there is something to send.
func (f *fixture) nothingToSend(t *testing.T, incarnation uint64, meaning string) {
	t.Helper()
	if b, some, _ := f.changes(incarnation); some {
		t.Errorf("%s: %+v", meaning, b)
	}
}

func (f *fixture) setPath(p failover.FencePath) bool { return f.SetPath(f.moment(), p) }

func (f *fixture) askAgain(member failover.MemberName, index failover.Index) {
	f.AskAgain(Ask{Group: "pay", Member: member, Index: index}, f.now)
}

func (f *fixture) look(member failover.MemberName) (Report, bool) {
	return f.Look(Key{Group: "pay", Member: member})
}

// see reports a look that took 10 ms and ends now.
func (f *fixture) see(member failover.MemberName, reason failover.Reason, facts failover.Facts, asOf failover.Index) {
	f.now += 10 * time.Millisecond
	f.observe(Report{
		Observation: failover.Observation{
			Group: "pay", Member: member, Facts: facts, AsOf: asOf,
			Checks: []failover.CheckState{{Name: "postgres", Evidence: failover.Evidence{Reason: reason}}},
		},
		Began: f.now - 10*time.Millisecond, Ended: f.now,
	})
}

func (f *fixture) seeAll() {
	f.see("db1", failover.ReasonAnswered, failover.Facts{Role: failover.RolePrimary, AcceptsWrites: true}, 50)
	f.see("db2", failover.ReasonAnswered, failover.Facts{Role: failover.RoleStandby}, 50)
	f.see("db3", failover.ReasonAnswered, failover.Facts{Role: failover.RoleStandby}, 50)
}

// observed are the members in a batch.
func observed(b failover.Batch) []failover.MemberName {
	var names []failover.MemberName
	for _, o := range b.Observations {
		names = append(names, o.Member)
	}
	return names
}

func TestView_OnlyChangesAreSent(t *testing.T) {
	f := newFixture()
	f.seeAll()
	whole := f.whole()
	if !whole.Whole || whole.Sequence != 1 || whole.Node != "az-a" || !slices.Equal(observed(whole), []failover.MemberName{"db1", "db2", "db3"}) {
		t.Fatalf("whole view %+v", whole)
	}
	f.see("db2", failover.ReasonAnswered, failover.Facts{Role: failover.RoleStandby, Received: 5000}, 60)
	f.nothingToSend(t, whole.Incarnation, "a position that moved was sent")
	f.see("db1", failover.ReasonRefused, failover.Facts{}, 60)
	b, some, _ := f.changes(whole.Incarnation)
	if !some || b.Whole || b.Sequence != 2 || b.Incarnation != whole.Incarnation || !slices.Equal(observed(b), []failover.MemberName{"db1"}) {
		t.Errorf("after a change: %+v, %t", b, some)
	}
	f.nothingToSend(t, whole.Incarnation, "the same change was sent twice")
}

// The leader takes only the next number. So none is used up by what is not sent, and none is left out.
func TestView_NumbersHaveNoGap(t *testing.T) {
	f := newFixture()
	f.seeAll()
	for stream := range 2 { // the second one begins since the leader lacks something
		whole := f.whole()
		incarnation := whole.Incarnation
		if !whole.Whole || whole.Sequence != 1 || len(whole.Observations) != 3 {
			t.Fatalf("stream %d begins with %+v", stream, whole)
		}
		next := uint64(2)
		for i := range 10 {
			reason := failover.ReasonAnswered
			if i%3 == 0 {
				reason = failover.ReasonRefused
			}
			before, _ := f.look("db3")
			f.see("db3", reason, failover.Facts{}, 60)
			after, _ := f.look("db3")
			b, some, _ := f.changes(incarnation)
			if want := !failover.SameView(before.Observation, after.Observation); some != want {
				t.Fatalf("stream %d, look %d: sent %t, want %t", stream, i, some, want)
			}
			if !some {
				continue
			}
			if b.Sequence != next || b.Incarnation != incarnation || b.Whole || b.Node != "az-a" || b.Version != failover.CurrentVersion {
				t.Errorf("stream %d: number %d is %+v", stream, next, b)
			}
			next++
		}
		if next < 6 {
			t.Errorf("stream %d: only %d batches", stream, next-1)
		}
		f.now++ // a new incarnation is a later one
	}
}

func TestView_IncarnationsOnlyGrow(t *testing.T) {
	f := newFixture()
	first := f.whole().Incarnation
	f.state.Views = []failover.View{{Node: "az-a", Incarnation: first + 1000}} // of a clock that was ahead
	if second := f.whole().Incarnation; second != first+1001 {
		t.Errorf("incarnation %d after %d", second, first+1000)
	}
}

// S12: a member that became NONE is seen accepting writes. What was sent before that proves nothing, so the first look since is sent
// although it is the same.
func TestView_WritableSinceNone_IsSentAgain(t *testing.T) {
	writes := failover.Facts{Role: failover.RolePrimary, AcceptsWrites: true}
	tests := []struct {
		name   string
		facts  failover.Facts
		sent   failover.Index // as of when the look was that the leader has
		now    failover.Index
		change func(*failover.Group)
		want   bool
	}{
		{"first look since", writes, 99, 100, nil, true},
		{"a look from before", writes, 98, 99, nil, false},
		{"sent since already", writes, 100, 105, nil, false},
		{"a standby", failover.Facts{Role: failover.RoleStandby}, 99, 100, nil, false},
		{"it is the writer", writes, 99, 100, func(g *failover.Group) { g.Members[1].Authority = failover.AuthorityWriter }, false},
		{"it is revoked", writes, 99, 100, func(g *failover.Group) { g.Members[1].Authority = failover.AuthorityRevoked }, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := newFixture()
			if test.change != nil {
				test.change(f.group)
			}
			f.see("db2", failover.ReasonAnswered, test.facts, test.sent)
			incarnation := f.whole().Incarnation
			f.see("db2", failover.ReasonAnswered, test.facts, test.now)
			b, some, _ := f.changes(incarnation)
			if some != test.want || some && b.Observations[0].AsOf != test.now {
				t.Errorf("sent %t (%+v), want %t", some, b.Observations, test.want)
			}
			if _, some, _ = f.changes(incarnation); some {
				t.Error("sent once more")
			}
		})
	}
}

func TestView_AnswersOnlyWithLooksSinceTheRequest(t *testing.T) {
	f := newFixture()
	f.seeAll()
	incarnation := f.whole().Incarnation
	f.askAgain("db1", 200)
	f.nothingToSend(t, incarnation, "answered with looks from before the request")
	f.see("db2", failover.ReasonAnswered, failover.Facts{Role: failover.RoleStandby}, 200)
	f.nothingToSend(t, incarnation, "answered without a look at the writer")
	f.see("db1", failover.ReasonRefused, failover.Facts{}, 200)
	b, some, again := f.changes(incarnation)
	if again != askGrace {
		t.Errorf("asks again after %v, want %v", again, askGrace)
	}
	if !some || len(b.Answers) != 0 || !slices.Equal(observed(b), []failover.MemberName{"db1"}) {
		t.Errorf("while db3 is looked at: %+v", b) // the change itself goes at once
	}
	f.see("db3", failover.ReasonAnswered, failover.Facts{Role: failover.RoleStandby}, 200)
	b, some, again = f.changes(incarnation)
	if !some || again != 0 || !slices.Equal(b.Answers, []failover.Answer{{Group: "pay", Index: 200}}) || len(b.Observations) != 3 {
		t.Errorf("once all were looked at: %+v, again %v", b, again)
	}
	f.nothingToSend(t, incarnation, "answered twice")
}

// An arbiter that is behind in the log looks by an older spec than the leader judges by: at another port, say, which the service has left. It
// tells what it sees, and answers only once it has looked by the leader's.
func TestView_LooksByAnOlderSpecAreNoAnswer(t *testing.T) {
	f := newFixture()
	f.group.SpecSince = 3
	seeAll := func(spec failover.Index) {
		for _, m := range f.group.Members {
			f.now += 10 * time.Millisecond
			f.observe(Report{Observation: failover.Observation{Group: "pay", Member: m.Name, AsOf: 50}, SpecSince: spec, Began: f.now - 1, Ended: f.now})
		}
		f.now += askGrace
	}
	seeAll(3)
	incarnation := f.whole().Incarnation
	answers := func() []failover.Answer {
		b, _, _ := f.changes(incarnation)
		return b.Answers
	}
	for _, test := range []struct {
		what   string
		member failover.MemberName
	}{{"about db1", "db1"}, {"about nobody more than the others", ""}} {
		f.group.SpecSince = 3
		f.AskAgain(Ask{Group: "pay", Member: test.member, Index: 200, SpecSince: 4}, f.now)
		if seeAll(3); len(answers()) > 0 {
			t.Errorf("%s: answered by an arbiter that is behind", test.what)
		}
		f.group.SpecSince = 4
		if test.member != "" && len(answers()) > 0 {
			t.Errorf("%s: answered with looks that began before the prober knew", test.what)
		}
		if seeAll(4); !slices.Equal(answers(), []failover.Answer{{Group: "pay", Index: 200}}) {
			t.Errorf("%s: not answered", test.what)
		}
		f.Applied()
	}
}

func TestView_AnswersAfterTheGraceWithoutTheRest(t *testing.T) {
	f := newFixture()
	f.seeAll()
	incarnation := f.whole().Incarnation
	f.askAgain("db1", 200)
	f.see("db1", failover.ReasonAnswered, failover.Facts{Role: failover.RolePrimary, AcceptsWrites: true}, 200)
	if b, _, again := f.changes(incarnation); len(b.Answers) != 0 || again != askGrace {
		t.Fatalf("before the grace: %+v, again %v", b, again)
	}
	f.now += askGrace
	b, some, _ := f.changes(incarnation)
	if !some || len(b.Answers) != 1 || len(b.Observations) != 3 {
		t.Errorf("after the grace: %+v", b)
	}
}

// The answer about a candidate rests on a look at the candidate, whoever the operation is from.
func TestView_AnAnswerRestsOnALookAtTheMemberThatMatters(t *testing.T) {
	f := newFixture()
	f.seeAll()
	f.group.Operation = &failover.Operation{From: "db1"} // this arbiter has not applied the intent to promote db2 yet
	incarnation := f.whole().Incarnation
	f.askAgain("db2", 200)
	f.see("db1", failover.ReasonRefused, failover.Facts{}, 60)
	f.now += askGrace
	if b, _, _ := f.changes(incarnation); len(b.Answers) > 0 {
		t.Errorf("answered without a look at db2: %+v", b.Answers)
	}
	f.see("db2", failover.ReasonRefused, failover.Facts{}, 60)
	if b, _, _ := f.changes(incarnation); len(b.Answers) != 1 || len(b.Observations) != 3 {
		t.Errorf("%+v", b)
	}
}

// S3, S0: what was sent of a member before it was revoked, or at its old address, does not count any more: the first look since is sent
// although it is the same.
func TestView_WhatIsTooOldIsSentAgain(t *testing.T) {
	tests := map[string]failover.Member{
		"revoked":         {Name: "db2", Authority: failover.AuthorityRevoked, RevokedSince: 100},
		"another machine": {Name: "db2", Authority: failover.AuthorityNone, Since: 100},
	}
	for name, member := range tests {
		f := newFixture()
		f.see("db2", failover.ReasonRefused, failover.Facts{}, 90)
		incarnation := f.whole().Incarnation
		f.group.Members[1] = member
		for _, look := range []struct {
			asOf failover.Index
			sent bool
		}{{99, false}, {100, true}, {105, false}} {
			f.see("db2", failover.ReasonRefused, failover.Facts{}, look.asOf)
			if _, some, _ := f.changes(incarnation); some != look.sent {
				t.Errorf("%s, as of %d: sent %v", name, look.asOf, some)
			}
		}
	}
}

// S0: a look that began after the spec had changed, and was made at the old address.
func TestView_LooksAtAnOldAddressAreDropped(t *testing.T) {
	f := newFixture()
	f.group.Spec.Members = []failover.MemberSpec{{Name: "db2", Address: "new:5432"}}
	report := Report{Observation: failover.Observation{Group: "pay", Member: "db2", AsOf: 100}, Address: "old:5432", Ended: f.now}
	f.observe(report)
	if _, ok := f.look("db2"); ok {
		t.Error("a look at the old address counts")
	}
	report.Address = "new:5432"
	f.observe(report)
	if _, ok := f.look("db2"); !ok {
		t.Error("a look at the new address was dropped")
	}
}

func TestView_FencePaths(t *testing.T) {
	f := newFixture()
	incarnation := f.whole().Incarnation
	path := failover.FencePath{Group: "pay", Member: "db1", Armed: true, Detail: "bmc answers"}
	sent := func(what string, want bool) failover.Batch {
		t.Helper()
		b, some, _ := f.changes(incarnation)
		if some != want {
			t.Errorf("%s: sent %t, want %t: %+v", what, some, want, b)
		}
		return b
	}
	f.setPath(path)
	if b := sent("a new path", true); !slices.Equal(b.FencePaths, []failover.FencePath{path}) {
		t.Errorf("paths %+v", b.FencePaths)
	}
	f.setPath(failover.FencePath{Group: "pay", Member: "db2"})
	sent("a new path, not armed", true)
	path.Detail = "bmc answers in 12 ms"
	f.setPath(path)
	sent("another detail", false)
	path.Armed = false
	f.setPath(path)
	if b := sent("no longer armed", true); b.FencePaths[0].Armed {
		t.Error("the path is still armed")
	}
	path.Off = true
	f.setPath(path)
	sent("its device calls the machine off", true)
	path.Armed = true
	f.setPath(path)
	if b := f.whole(); len(b.FencePaths) != 2 || b.FencePaths[0] != path {
		t.Errorf("the whole view has paths %+v", b.FencePaths)
	} else {
		incarnation = b.Incarnation
	}
	sent("it was part of the whole view", false)
	f.group.Members[0].Since = 100
	path.AsOf = 100
	f.setPath(path)
	sent("of another machine", true)
}

func TestView_ForgetsWhatTheSpecsNoLongerHave(t *testing.T) {
	f := newFixture()
	f.seeAll()
	f.setPath(failover.FencePath{Group: "pay", Member: "db3", Armed: true})
	f.askAgain("db1", 200)
	f.group.Members = f.group.Members[:2]
	if b := f.whole(); len(b.FencePaths) != 0 || !slices.Equal(observed(b), []failover.MemberName{"db1", "db2"}) {
		t.Errorf("with db3 gone: %+v", b)
	}
	if f.setPath(failover.FencePath{Group: "pay", Member: "db3", Armed: true}) { // it was asked before
		t.Error("the path to a removed member's fence is to be sent")
	}
	*f.state = failover.State{}
	f.see("db1", failover.ReasonRefused, failover.Facts{}, 1)
	f.nothingToSend(t, 1, "with the group gone")
	if len(f.asks)+len(f.looks)+len(f.took)+len(f.sent)+len(f.paths)+len(f.worked) != 0 {
		t.Errorf("kept %v %v %v %v %v", f.asks, f.looks, f.took, f.sent, f.paths)
	}
}

func TestView_AnswersSurviveTheStreamThatLostThem(t *testing.T) {
	f := newFixture()
	f.seeAll()
	incarnation := f.whole().Incarnation
	f.askAgain("db1", 200)
	f.seeAll()
	if b, _, _ := f.changes(incarnation); len(b.Answers) != 1 {
		t.Fatalf("answers %+v", b.Answers)
	}
	b, _, _ := f.changes(f.whole().Incarnation) // the stream broke before the batch was applied
	if len(b.Answers) != 1 || b.Answers[0].Index != 200 || len(b.Observations) != 3 {
		t.Fatalf("after a new stream: %+v", b)
	}
	f.Applied()
	f.nothingToSend(t, f.whole().Incarnation, "an answer that was applied is given again")
}

func TestView_AnswerWait(t *testing.T) {
	f := newFixture()
	if got := f.AnswerWait(Key{Group: "pay", Member: "db1"}); got != answerWaitMost {
		t.Errorf("never seen: %v", got)
	}
	tests := []struct {
		took, good time.Duration
		want       time.Duration
	}{
		{took: time.Millisecond, good: time.Millisecond, want: answerWaitLeast},
		{took: 40 * time.Millisecond, good: 40 * time.Millisecond, want: 80 * time.Millisecond},
		// The first look that times out does not change what is observed yet, as the threshold is two; it tells nothing of how
		// long a good look takes.
		{took: 250 * time.Millisecond, want: 80 * time.Millisecond},
		{took: time.Second, good: time.Second, want: answerWaitMost},
	}
	for _, test := range tests {
		f.observe(Report{Began: 0, Ended: test.took, Good: test.good, Observation: failover.Observation{
			Group: "pay", Member: "db1", Checks: []failover.CheckState{{Evidence: failover.Evidence{Reason: failover.ReasonAnswered}}},
		}})
		if got := f.AnswerWait(Key{Group: "pay", Member: "db1"}); got != test.want {
			t.Errorf("after a look of %v (good %v): %v, want %v", test.took, test.good, got, test.want)
		}
	}
}

// Most looks see nothing new, and must not have anybody go through all members.
func TestView_OnlyNewsIsAChange(t *testing.T) {
	f := newFixture()
	f.seeAll()
	f.whole()
	for _, look := range []struct {
		what string
		do   func()
		want bool
	}{
		{"it sees nothing new", f.seeAll, false},
		{"it sees a change", func() { f.see("db2", failover.ReasonRefused, failover.Facts{}, 60) }, true},
		{"it sees the same while that waits to be sent", func() { f.see("db2", failover.ReasonRefused, failover.Facts{}, 60) }, true},
		{"it sees the same once that was sent", func() {
			f.changes(1)
			f.see("db2", failover.ReasonRefused, failover.Facts{}, 60)
		}, false},
		{"it was asked for", func() {
			f.askAgain("db1", 200)
			f.see("db3", failover.ReasonAnswered, failover.Facts{Role: failover.RoleStandby}, 60)
		}, true},
	} {
		if look.do(); f.last.Changes != look.want {
			t.Errorf("%s: there is something to send %t, want %t", look.what, f.last.Changes, look.want)
		}
	}
}

func TestView_WordOfARestartIsNotLost(t *testing.T) {
	reasons := func(b failover.Batch) (list []failover.Reason) {
		for _, o := range b.Observations {
			list = append(list, o.Checks[0].Evidence.Reason)
		}
		return list
	}
	tests := []struct {
		name string
		sent failover.Reason // before
		seen []failover.Reason
		want []failover.Reason
	}{
		{"overtaken by what was sent before", failover.ReasonRefused, []failover.Reason{failover.ReasonStartingUp, failover.ReasonRefused}, []failover.Reason{failover.ReasonStartingUp, failover.ReasonRefused}},
		{"overtaken", "", []failover.Reason{failover.ReasonShuttingDown, failover.ReasonRefused, failover.ReasonRefused}, []failover.Reason{failover.ReasonShuttingDown, failover.ReasonRefused}},
		{"the newest", "", []failover.Reason{failover.ReasonRefused, failover.ReasonStartingUp}, []failover.Reason{failover.ReasonStartingUp}},
		{"it served again", "", []failover.Reason{failover.ReasonShuttingDown, failover.ReasonAnswered, failover.ReasonRefused}, []failover.Reason{failover.ReasonRefused}},
		{"it served again in between", "", []failover.Reason{failover.ReasonShuttingDown, failover.ReasonRefused, failover.ReasonAnswered, failover.ReasonRefused}, []failover.Reason{failover.ReasonRefused}},
		{"a crash", "", []failover.Reason{failover.ReasonRefused}, []failover.Reason{failover.ReasonRefused}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := newFixture()
			f.seeAll()
			if test.sent != "" {
				f.see("db1", test.sent, failover.Facts{}, 50)
			}
			whole := f.whole()
			for _, r := range test.seen {
				f.see("db1", r, failover.Facts{}, 60)
			}
			b, _, _ := f.changes(whole.Incarnation)
			if got := reasons(b); !slices.Equal(got, test.want) {
				t.Errorf("sent %v, want %v", got, test.want)
			}
			f.nothingToSend(t, whole.Incarnation, "sent twice")
		})
	}
}

// A request about nobody in particular is answered once all members had their time.
func TestView_ARequestAboutNobodyIsAnswered(t *testing.T) {
	f := newFixture()
	f.seeAll()
	incarnation := f.whole().Incarnation
	f.askAgain("", 200)
	f.seeAll()
	if b, _, _ := f.changes(incarnation); len(b.Answers) != 1 {
		t.Errorf("answers %+v", b.Answers)
	}
}

// When a member last told what it is stays, over looks in vain, what it was: they are new, and what is known of it is not. It is the time of the look that was
// told it, not that of the oldest look that counts, of another check.
func TestHeard(t *testing.T) {
	f := newFixture()
	key := Key{Group: "pay", Member: "db1"}
	if _, heard := f.Heard(key); heard {
		t.Error("before any look")
	}
	look := func(told Told) {
		f.now += time.Second
		f.observe(Report{Observation: failover.Observation{Group: "pay", Member: "db1"}, Ended: f.now, Told: told})
	}
	want := Told{Began: 300 * time.Millisecond, Ended: 400 * time.Millisecond}
	for _, told := range []Told{want, {}, want} {
		look(told)
		if at, heard := f.Heard(key); !heard || at != want {
			t.Errorf("heard %v at %v, want %v", heard, at, want)
		}
	}
	want = Told{Began: 2 * time.Second, Ended: 3 * time.Second}
	look(want)
	if at, _ := f.Heard(key); at != want {
		t.Errorf("heard at %v, want %v", at, want)
	}
}

// What an arbiter has heard of a member goes with all that it sends of it, as long as its process runs and the member is where it was.
func TestHeardSinceTheProcessBegan(t *testing.T) {
	f := newFixture()
	f.group.Spec = &failover.Spec{
		Health:  failover.Health{Checks: []failover.Check{{Name: "postgres", Required: true}}},
		Members: []failover.MemberSpec{{Name: "db1", Address: "db1:5432"}},
		Policy:  failover.Policy{AlsoDown: []failover.Reason{failover.ReasonStartingUp}},
	}
	sees := func(reason failover.Reason) bool {
		f.now += time.Second
		spec, _ := f.group.Spec.Member("db1")
		f.observe(Report{Address: spec.Address, Ended: f.now, Observation: failover.Observation{
			Group: "pay", Member: "db1", Checks: []failover.CheckState{{Name: "postgres", Evidence: failover.Evidence{Reason: reason}}},
		}})
		return f.whole().Observations[0].Heard
	}
	for _, step := range []struct {
		reason failover.Reason
		want   bool
	}{
		{failover.ReasonRefused, false},
		{failover.ReasonStartingUp, false},
		{failover.ReasonBadCredentials, false},
		{failover.ReasonAnswered, true},
		{failover.ReasonTimeout, true},
	} {
		if sees(step.reason) != step.want {
			t.Errorf("%s: heard %v", step.reason, !step.want)
		}
	}
	f.group.Spec.Members[0].Address = "elsewhere:5432"
	if sees(failover.ReasonTimeout) {
		t.Error("another machine was heard")
	}
	if sees(failover.ReasonShuttingDown); !sees(failover.ReasonTimeout) {
		t.Error("one that says that it can't serve was not heard")
	}
	f.View = New("az-a") // another process
	if sees(failover.ReasonTimeout) {
		t.Error("a process that has just started has heard it")
	}
}
