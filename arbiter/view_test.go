package arbiter

import (
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/clock"
	"github.com/arbiter-ha/arbiter/internal/ownview"
)

// viewFixture is a view of one group, pay, with db1 the writer, beside two reference points.
type viewFixture struct {
	*view
	clock *clock.Fake
}

func newViewFixture() viewFixture {
	g := &failover.Group{Name: "pay", Spec: &failover.Spec{}}
	g.Spec.Health.Checks = []failover.Check{{Name: "postgres", Required: true, Interval: time.Second, Timeout: time.Second, Failures: 2, Successes: 1}}
	for _, name := range []failover.MemberName{"db1", "db2", "db3"} {
		g.Members = append(g.Members, failover.Member{Name: name, Authority: failover.AuthorityNone})
	}
	g.Members[0].Authority = failover.AuthorityWriter
	state := &failover.State{Groups: []*failover.Group{g}}
	c := clock.NewFake(time.Hour, time.Unix(1000, 0))
	refs := newReferences([]referencePoint{{"az-b", "b:1"}, {"az-c", "c:1"}}, nil, c, hclog.NewNullLogger())
	return viewFixture{clock: c, view: newView("az-a", c, func() *failover.State { return state }, refs)}
}

// report is of a look that took 10 ms and ends now.
func (f viewFixture) report(member failover.MemberName, reason failover.Reason) Report {
	f.clock.Advance(10 * time.Millisecond)
	return Report{
		Observation: failover.Observation{Group: "pay", Member: member, Checks: []failover.CheckState{{Name: "postgres", Evidence: failover.Evidence{Reason: reason}}}},
		Began:       f.clock.Boot() - 10*time.Millisecond, Ended: f.clock.Boot(), Check: "postgres", Dead: failover.ClassOf(reason) == failover.EvidenceDead,
	}
}

func (f viewFixture) see(member failover.MemberName, reason failover.Reason) {
	f.observe(f.report(member, reason))
}

func (f viewFixture) seeAll() {
	for _, m := range []failover.MemberName{"db1", "db2", "db3"} {
		f.see(m, failover.ReasonAnswered)
	}
}

// took says whether a channel with room for one holds something, and takes it.
func took(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// Looks that see nothing new must not wake the sender, which goes through all members.
func TestView_OnlyNewsWakesTheSender(t *testing.T) {
	f := newViewFixture()
	path := failover.FencePath{Group: "pay", Member: "db1", Armed: true}
	f.seeAll()
	f.setPath(path)
	f.whole()
	took(f.changed)
	for _, step := range []struct {
		what string
		do   func()
		want bool
	}{
		{"looks that saw nothing new", f.seeAll, false},
		{"a change", func() { f.see("db2", failover.ReasonTooManyConnections) }, true},
		{"it is sent", func() { f.changes(1) }, false},
		{"a request to look again", func() { f.askAgain(ownview.Ask{Group: "pay", Member: "db1", Index: 200}) }, false},
		{"a look that was asked for", func() { f.see("db3", failover.ReasonAnswered) }, true},
		{"a fence path as before", func() { f.setPath(path) }, false},
		{"one that is no longer armed", func() { path.Armed = false; f.setPath(path) }, true},
		{"a busy machine", func() { f.watch(Lateness{Worst: 25 * time.Millisecond}) }, false},
		{"a stall", func() { f.watch(Lateness{Worst: time.Second}) }, true},
	} {
		if step.do(); took(f.changed) != step.want {
			t.Errorf("%s: woken %t, want %t", step.what, !step.want, step.want)
		}
	}
}

// The first look that fails has the reference points looked at; what they say of it settles what is told.
func TestView_ReferencePointsAreAsked(t *testing.T) {
	f := newViewFixture()
	f.seeAll()
	incarnation := f.whole().Incarnation
	if took(f.references.asked) || f.troubled() {
		t.Error("reference points are to be looked at while all is well")
	}
	f.see("db1", failover.ReasonTimeout)
	if !took(f.references.asked) || !f.troubled() {
		t.Error("reference points are not to be looked at")
	}
	if b, some, again := f.changes(incarnation); some || again == 0 {
		t.Errorf("told before a reference point answered: %+v; again in %v", b, again)
	}
	for i := range 2 {
		f.references.note(i, f.clock.Boot(), errSilent)
	}
	const cutOff = "can't reach its reference points (az-b, az-c)"
	if b, some, _ := f.changes(incarnation); !some || b.Doubt != cutOff || f.doubts() != cutOff {
		t.Errorf("sent %t, doubt %q, says %q", some, b.Doubt, f.doubts())
	}
}

// All goroutines of a node use its view at once; the race detector looks on.
func TestView_IsShared(t *testing.T) {
	f := newViewFixture()
	f.seeAll()
	incarnation := f.whole().Incarnation
	good, bad := f.report("db1", failover.ReasonAnswered), f.report("db1", failover.ReasonTimeout)
	var users sync.WaitGroup
	for _, use := range []func(){
		func() { f.observe(good); f.observe(bad) },
		func() { f.setPath(failover.FencePath{Group: "pay", Member: "db1", Armed: true}) },
		func() { f.askAgain(ownview.Ask{Group: "pay", Member: "db1", Index: 200}); f.applied() },
		func() { f.changes(incarnation); f.look("pay", "db1"); f.answerWait("pay", "db1") },
		func() { f.watch(Lateness{}); f.doubts(); f.troubled() },
		func() { f.references.note(0, f.clock.Boot(), nil) },
		func() { f.whole() },
	} {
		users.Go(func() {
			for range 100 {
				use()
			}
		})
	}
	users.Wait()
	if got, ok := f.look("pay", "db1"); !ok || got.Check != "postgres" {
		t.Errorf("the newest look is %+v", got)
	}
}
