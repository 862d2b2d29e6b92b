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
		Began:       f.clock.Boot() - 10*time.Millisecond, Ended: f.clock.Boot(), Check: "postgres",
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
	if b, _, _ := f.changes(incarnation); !slices.Equal(observed(b), all[:1]) || b.Doubt != "waits for an answer of its reference points (az-b, az-c)" {
		t.Errorf("says of %v that they are down, with doubt %q", observed(b), b.Doubt)
	}
	if _, cutOff := f.doubts(); cutOff {
		t.Error("cut off before a reference point could answer")
	}
	f.clock.Advance(250 * time.Millisecond)
	f.setLate("")
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

func TestView_OneMemberFails(t *testing.T) {
	f := newDoubtFixture()
	incarnation := f.whole().Incarnation
	f.lookFails("db1", failover.ReasonTimeout)
	if b, some, _ := f.changes(incarnation); !some || b.Doubt != "" || f.asked() || f.view.troubled() {
		t.Errorf("sent %t, doubt %q", some, b.Doubt)
	}
}

func TestView_WhenReferencePointsAreLookedAt(t *testing.T) {
	f := newDoubtFixture()
	for _, step := range []struct {
		what string
		do   func()
		want bool
	}{
		{"one of three fails", func() { f.lookFails("db1", failover.ReasonAnswered) }, false},
		{"the second fails", func() { f.lookFails("db2", failover.ReasonAnswered) }, true},
		{"they go on failing", func() { f.lookFails("db1", failover.ReasonTimeout); f.lookFails("db2", failover.ReasonTimeout) }, false},
		{"the third fails too", func() { f.lookFails("db3", failover.ReasonAnswered) }, true},
		{"it is well again", func() { f.lookSucceeds("db3") }, false},
		{"and fails again", func() { f.lookFails("db3", failover.ReasonTimeout) }, true},
	} {
		if step.do(); f.asked() != step.want {
			t.Errorf("%s: looked at %t, want %t", step.what, !step.want, step.want)
		}
	}
	if !f.view.troubled() {
		t.Error("not troubled")
	}
}

// A lasting doubt for lateness is told beside nothing else, and that of being cut off comes first.
func TestView_BothDoubts(t *testing.T) {
	f := newDoubtFixture()
	for _, m := range []failover.MemberName{"db1", "db2", "db3"} {
		f.lookFails(m, failover.ReasonTimeout)
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
