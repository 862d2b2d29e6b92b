package ownview

import (
	"slices"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
)

// newDoubtFixture is a view of pay with two reference points, neither of which has been looked at.
func newDoubtFixture() *fixture {
	f := newFixture()
	f.group.Spec.Health.Checks = []failover.Check{{Name: "postgres", Required: true, Interval: time.Second, Timeout: time.Second, Failures: 2, Successes: 1}}
	f.point = Points{Names: []string{"az-b", "az-c"}, Sights: make([]failover.PointSight, 2)}
	f.seeAll()
	return f
}

// lookFails reports a look that found a member dead, which the view says of it only later.
func (f *fixture) lookFails(member failover.MemberName, reason failover.Reason) {
	f.now += 10 * time.Millisecond
	f.observe(Report{
		Observation: failover.Observation{Group: "pay", Member: member, Checks: []failover.CheckState{{Name: "postgres", Evidence: failover.Evidence{Reason: reason}}}},
		Began:       f.now - 10*time.Millisecond, Ended: f.now, Check: "postgres", Dead: true,
	})
}

// lookSucceeds reports one that found it well.
func (f *fixture) lookSucceeds(member failover.MemberName) {
	f.now += 10 * time.Millisecond
	f.observe(Report{
		Observation: failover.Observation{Group: "pay", Member: member, Checks: []failover.CheckState{{Name: "postgres", Evidence: failover.Evidence{Reason: failover.ReasonAnswered}}}},
		Began:       f.now - 10*time.Millisecond, Ended: f.now, Check: "postgres", Reached: f.now - 10*time.Millisecond,
	})
}

// asked says whether a look at the reference points was wanted by the latest report, and takes it as begun.
func (f *fixture) asked() bool {
	if f.last.Points {
		f.point.Newest = f.now
	}
	return f.last.Points
}

// watch has the arbiter look at itself.
func (f *fixture) watch(worst time.Duration) Doubt {
	return f.Watch(f.moment(), Lateness{Worst: worst})
}

const cutOffText = "can't reach its reference points (az-b, az-c)"

// The batch that says "down" for the first time carries the doubt: the leader never has one without the other.
func TestView_CutOff(t *testing.T) {
	f := newDoubtFixture()
	incarnation := f.whole().Incarnation
	all := []failover.MemberName{"db1", "db2", "db3"}
	f.point.Sights[0] = failover.PointSight{Began: f.now, Answered: true}
	for _, m := range all {
		f.lookFails(m, failover.ReasonAnswered)
	}
	if b, _, _ := f.changes(incarnation); b.Doubt != "" {
		t.Errorf("in doubt before anything is said to be down: %+v", b)
	}
	f.lookFails("db1", failover.ReasonTimeout)
	if b, some, again := f.changes(incarnation); some || again != waitPause {
		t.Errorf("told before a reference point could answer: %+v; again in %v", b, again)
	}
	if b := f.whole(); b.Doubt != "waits for an answer of its reference points (az-b, az-c)" {
		t.Errorf("the whole view has doubt %q meanwhile", b.Doubt)
	} else {
		incarnation = b.Incarnation
	}
	if d := f.watch(0); !d.Passing || d.Offer {
		t.Error("cut off before a reference point could answer")
	}
	f.lookFails("db2", failover.ReasonTimeout)
	f.now += 250 * time.Millisecond
	if b, _, _ := f.changes(incarnation); !slices.Equal(observed(b), all[1:2]) || b.Doubt != cutOffText {
		t.Errorf("says of %v that they are down, with doubt %q", observed(b), b.Doubt)
	}
	if d := f.watch(0); d.Why != cutOffText || d.Passing || !d.Offer {
		t.Errorf("doubt %+v", d)
	}
	if b := f.whole(); b.Doubt != cutOffText {
		t.Errorf("the whole view has doubt %q", b.Doubt)
	}
	f.point.Sights[1] = failover.PointSight{Began: f.now, Answered: true}
	if why := f.watch(0).Why; why != cutOffText {
		t.Errorf("doubt %q although all looks were made while it was cut off", why)
	}
	for _, m := range all {
		f.lookSucceeds(m)
	}
	if b := f.whole(); b.Doubt != "" || len(f.troubles) != 0 {
		t.Errorf("doubt %q and %d in trouble after all were seen again", b.Doubt, len(f.troubles))
	}
}

func TestView_MembersFailBesideAReferencePointThatAnswers(t *testing.T) {
	f := newDoubtFixture()
	incarnation := f.whole().Incarnation
	for _, m := range []failover.MemberName{"db1", "db2", "db3"} {
		f.lookFails(m, failover.ReasonAnswered)
	}
	began := f.now
	f.point.Sights[0] = failover.PointSight{Began: began}
	f.point.Sights[1] = failover.PointSight{Began: began, Answered: true}
	for _, m := range []failover.MemberName{"db1", "db2", "db3"} {
		f.lookFails(m, failover.ReasonTimeout)
	}
	if b, _, _ := f.changes(incarnation); len(b.Observations) != 3 || b.Doubt != "" {
		t.Errorf("says of %v that they are down, with doubt %q", observed(b), b.Doubt)
	}
	f.point.Sights[1] = failover.PointSight{Began: f.now}
	f.point.Sights[0] = failover.PointSight{Began: f.now}
	if b, some, _ := f.changes(incarnation); !some || b.Doubt != cutOffText {
		t.Errorf("the last reference point went silent: sent %t, doubt %q", some, b.Doubt)
	}
}

// One member is seen dead. That the others answer over open connections proves nothing; over new ones it does.
func TestView_OneMemberFails(t *testing.T) {
	for _, c := range []struct {
		name string
		then func(*fixture)
		want string
	}{
		{"a reference point answers", func(f *fixture) { f.point.Sights[1] = failover.PointSight{Began: f.now, Answered: true} }, ""},
		{"the others answer new connections", func(f *fixture) { f.lookSucceeds("db2"); f.lookSucceeds("db3") }, ""},
		{"one of the others answers new connections", func(f *fixture) { f.lookSucceeds("db2") }, cutOffText},
		{"the others answer new connections, and then fail too", func(f *fixture) {
			f.lookSucceeds("db2")
			f.lookSucceeds("db3")
			f.lookFails("db2", failover.ReasonAnswered)
		}, cutOffText},
		{"the others answer over open connections", func(f *fixture) { f.seeAll() }, cutOffText},
	} {
		f := newDoubtFixture()
		incarnation := f.whole().Incarnation
		f.lookFails("db1", failover.ReasonAnswered)
		f.now += 20 * time.Millisecond
		c.then(f)
		f.lookFails("db1", failover.ReasonTimeout)
		b, some, _ := f.changes(incarnation)
		if c.want == "" && (!some || b.Doubt != "") {
			t.Errorf("%s: told %t, doubt %q", c.name, some, b.Doubt)
		}
		f.now += 300 * time.Millisecond
		if why := f.watch(0).Why; why != c.want {
			t.Errorf("%s: in the end doubt %q, want %q", c.name, why, c.want)
		}
	}
}

// What was kept back is told at once when a reference point answers, and no doubt is told before or after it.
func TestView_TellsWhenAReferencePointAnswers(t *testing.T) {
	f := newDoubtFixture()
	incarnation := f.whole().Incarnation
	f.lookFails("db1", failover.ReasonTimeout)
	if b, some, _ := f.changes(incarnation); some {
		t.Errorf("told too early: %+v", b)
	}
	f.point.Sights[0] = failover.PointSight{Began: f.now, Answered: true}
	if b, some, _ := f.changes(incarnation); !some || b.Doubt != "" || !slices.Equal(observed(b), []failover.MemberName{"db1"}) {
		t.Errorf("told %t: %+v", some, b)
	}
	if b, some, _ := f.changes(incarnation); some {
		t.Errorf("told once more: %+v", b)
	}
}

func TestView_WhenReferencePointsAreLookedAt(t *testing.T) {
	f := newDoubtFixture()
	for _, step := range []struct {
		what string
		do   func()
		want bool
	}{
		{"one fails", func() { f.lookFails("db1", failover.ReasonAnswered) }, true},
		{"it goes on failing, and is said to be down", func() { f.lookFails("db1", failover.ReasonTimeout) }, false},
		{"one look succeeds, which is not enough to say that it is up", func() {
			f.observe(Report{Observation: f.looks[Key{Group: "pay", Member: "db1"}].Observation, Check: "postgres"})
		}, false},
		{"and the next one fails", func() { f.lookFails("db1", failover.ReasonTimeout) }, false},
		{"a second one fails", func() { f.lookFails("db2", failover.ReasonAnswered) }, true},
		{"it is well again", func() { f.lookSucceeds("db2") }, false},
		{"the other one is reached too", func() { f.lookSucceeds("db3") }, false},
		{"it fails again", func() { f.lookFails("db2", failover.ReasonAnswered) }, true},
	} {
		if step.do(); f.asked() != step.want {
			t.Errorf("%s: looked at %t, want %t", step.what, !step.want, step.want)
		}
	}
	if !f.Troubled(f.moment()) {
		t.Error("not troubled while most are not reached")
	}
	f.lookSucceeds("db2")
	f.lookSucceeds("db3")
	if f.Troubled(f.moment()) {
		t.Error("troubled although the others were reached")
	}
}

// What no check looks for any more isn't waited for.
func TestView_ACheckThatIsNoLongerThereFailsNoMore(t *testing.T) {
	f := newDoubtFixture()
	http := failover.Check{Name: "http", Interval: time.Second, Timeout: time.Second, Failures: 2, Successes: 1}
	f.group.Spec.Health.Checks = append(f.group.Spec.Health.Checks, http)
	f.lookFails("db1", failover.ReasonAnswered)
	failed, _ := f.look("db1")
	failed.Check = "http"
	f.observe(failed)
	f.lookSucceeds("db1") // by postgres
	if !f.Troubled(f.moment()) {
		t.Error("not troubled although http still fails")
	}
	f.group.Spec.Health.Checks = f.group.Spec.Health.Checks[:1]
	f.lookSucceeds("db1")
	if f.Troubled(f.moment()) {
		t.Error("troubled by a check that is gone")
	}
}

// A lasting doubt for lateness is told beside nothing else, and that of being cut off comes first.
func TestView_BothDoubts(t *testing.T) {
	f := newDoubtFixture()
	for _, m := range []failover.MemberName{"db1", "db2", "db3"} {
		f.lookFails(m, failover.ReasonTimeout)
	}
	f.watch(600 * time.Millisecond)
	f.lookFails("db1", failover.ReasonReset)
	if b, some, _ := f.changes(1); !some || b.Doubt != "ran 600ms late itself" {
		t.Errorf("it is in doubt anyway, and keeps back what is new: told %t, %+v", some, b)
	}
	f.now += 250 * time.Millisecond
	f.watch(600 * time.Millisecond)
	if why := f.watch(0).Why; why != cutOffText {
		t.Errorf("doubt %q", why)
	}
	for _, m := range []failover.MemberName{"db1", "db2", "db3"} {
		f.lookSucceeds(m)
	}
	f.watch(600 * time.Millisecond)
	if d := f.watch(0); d.Why != "ran 600ms late itself" || f.self.On {
		t.Errorf("doubt %+v", d)
	}
}
