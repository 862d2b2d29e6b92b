package arbiter

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/arbiter-ha/arbiter/failover"
)

var errSilent = errors.New("no answer")

// newDoubtFixture is a view of pay with two reference points, neither of which has been looked at.
func newDoubtFixture() viewFixture {
	f := newViewFixture()
	f.group.Spec.Health.Checks = []failover.Check{{Name: "postgres", Required: true, Interval: time.Second, Timeout: time.Second, Failures: 2, Successes: 1}}
	f.references = newReferences([]referencePoint{{"az-b", "b:1"}, {"az-c", "c:1"}}, nil, f.clock, hclog.NewNullLogger())
	f.seeAll()
	return f
}

// lookFails reports a look that found a member dead, which the view says of it only later.
func (f viewFixture) lookFails(member failover.MemberName, reason failover.Reason) {
	f.clock.Advance(10 * time.Millisecond)
	f.observe(Report{
		Observation: failover.Observation{Group: "pay", Member: member, Checks: []failover.CheckState{{Name: "postgres", Evidence: failover.Evidence{Reason: reason}}}},
		Began:       f.clock.Boot() - 10*time.Millisecond, Ended: f.clock.Boot(), Check: "postgres", Dead: true,
	})
}

// lookSucceeds reports one that found it well.
func (f viewFixture) lookSucceeds(member failover.MemberName) {
	f.clock.Advance(10 * time.Millisecond)
	f.observe(Report{
		Observation: failover.Observation{Group: "pay", Member: member, Checks: []failover.CheckState{{Name: "postgres", Evidence: failover.Evidence{Reason: failover.ReasonAnswered}}}},
		Began:       f.clock.Boot() - 10*time.Millisecond, Ended: f.clock.Boot(), Check: "postgres", Reached: f.clock.Boot() - 10*time.Millisecond,
	})
}

// asked says whether a look at the reference points is wanted, and takes it as begun.
func (f viewFixture) asked() bool {
	select {
	case <-f.references.asked:
		f.references.newest = f.clock.Boot()
		return true
	default:
		return false
	}
}

const cutOffText = "can't reach its reference points (az-b, az-c)"

// The batch that says "down" for the first time carries the doubt: the leader never has one without the other.
func TestView_CutOff(t *testing.T) {
	f := newDoubtFixture()
	incarnation := f.whole().Incarnation
	all := []failover.MemberName{"db1", "db2", "db3"}
	f.references.note(0, f.clock.Boot(), nil)
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
	if _, cutOff := f.doubts(); cutOff {
		t.Error("cut off before a reference point could answer")
	}
	f.lookFails("db2", failover.ReasonTimeout)
	f.clock.Advance(250 * time.Millisecond)
	if b, _, _ := f.changes(incarnation); !slices.Equal(observed(b), all[1:2]) || b.Doubt != cutOffText {
		t.Errorf("says of %v that they are down, with doubt %q", observed(b), b.Doubt)
	}
	if why, cutOff := f.doubts(); why != cutOffText || !cutOff {
		t.Errorf("doubt %q, cut off %t", why, cutOff)
	}
	if b := f.whole(); b.Doubt != cutOffText {
		t.Errorf("the whole view has doubt %q", b.Doubt)
	}
	f.references.note(1, f.clock.Boot(), nil)
	if why, _ := f.doubts(); why != cutOffText {
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
	began := f.clock.Boot()
	f.references.note(0, began, errSilent)
	f.references.note(1, began, nil)
	for _, m := range []failover.MemberName{"db1", "db2", "db3"} {
		f.lookFails(m, failover.ReasonTimeout)
	}
	if b, _, _ := f.changes(incarnation); len(b.Observations) != 3 || b.Doubt != "" {
		t.Errorf("says of %v that they are down, with doubt %q", observed(b), b.Doubt)
	}
	f.references.note(1, f.clock.Boot(), errSilent)
	f.references.note(0, f.clock.Boot(), errSilent)
	if b, some, _ := f.changes(incarnation); !some || b.Doubt != cutOffText {
		t.Errorf("the last reference point went silent: sent %t, doubt %q", some, b.Doubt)
	}
}

// One member is seen dead. That the others answer over open connections proves nothing; over new ones it does.
func TestView_OneMemberFails(t *testing.T) {
	for _, c := range []struct {
		name string
		then func(viewFixture)
		want string
	}{
		{"a reference point answers", func(f viewFixture) { f.references.note(1, f.clock.Boot(), nil) }, ""},
		{"the others answer new connections", func(f viewFixture) { f.lookSucceeds("db2"); f.lookSucceeds("db3") }, ""},
		{"one of the others answers new connections", func(f viewFixture) { f.lookSucceeds("db2") }, cutOffText},
		{"the others answer new connections, and then fail too", func(f viewFixture) {
			f.lookSucceeds("db2")
			f.lookSucceeds("db3")
			f.lookFails("db2", failover.ReasonAnswered)
		}, cutOffText},
		{"the others answer over open connections", func(f viewFixture) { f.seeAll() }, cutOffText},
	} {
		f := newDoubtFixture()
		incarnation := f.whole().Incarnation
		f.lookFails("db1", failover.ReasonAnswered)
		f.clock.Advance(20 * time.Millisecond)
		c.then(f)
		f.lookFails("db1", failover.ReasonTimeout)
		b, some, _ := f.changes(incarnation)
		if c.want == "" && (!some || b.Doubt != "") {
			t.Errorf("%s: told %t, doubt %q", c.name, some, b.Doubt)
		}
		f.clock.Advance(300 * time.Millisecond)
		f.setLate("")
		if why, _ := f.doubts(); why != c.want {
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
	f.references.note(0, f.clock.Boot(), nil)
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
			f.observe(Report{Observation: f.looks[memberKey{"pay", "db1"}].Observation, Check: "postgres"})
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
	if !f.view.troubled() {
		t.Error("not troubled while most are not reached")
	}
	f.lookSucceeds("db2")
	f.lookSucceeds("db3")
	if f.view.troubled() {
		t.Error("troubled although the others were reached")
	}
}

// A lasting doubt for lateness is told beside nothing else, and that of being cut off comes first.
func TestView_BothDoubts(t *testing.T) {
	f := newDoubtFixture()
	for _, m := range []failover.MemberName{"db1", "db2", "db3"} {
		f.lookFails(m, failover.ReasonTimeout)
	}
	f.setLate("ran 600ms late itself")
	f.lookFails("db1", failover.ReasonReset)
	if b, some, _ := f.changes(1); !some || b.Doubt != "ran 600ms late itself" {
		t.Errorf("it is in doubt anyway, and keeps back what is new: told %t, %+v", some, b)
	}
	f.clock.Advance(250 * time.Millisecond)
	f.setLate("ran 600ms late itself")
	if why, _ := f.doubts(); why != cutOffText {
		t.Errorf("doubt %q", why)
	}
	for _, m := range []failover.MemberName{"db1", "db2", "db3"} {
		f.lookSucceeds(m)
	}
	f.setLate("ran 600ms late itself")
	if why, cutOff := f.doubts(); why != "ran 600ms late itself" || cutOff {
		t.Errorf("doubt %q, cut off %t", why, cutOff)
	}
}
