package ownview

import (
	"strings"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
)

// watchFor has an arbiter look at itself for ten seconds, and returns for how long it doubted its view and when it offered its leadership.
func (f *fixture) watchFor(lateness func(at time.Duration) Lateness) (doubted time.Duration, offers []time.Duration, why string) {
	began := f.now
	for f.now-began < 10*time.Second {
		f.now += WatchInterval
		d := f.Watch(f.moment(), lateness(f.now-began))
		if d.Why != "" {
			doubted += WatchInterval
			why = d.Why
		}
		if d.Offer {
			offers = append(offers, f.now-began)
		}
	}
	return doubted, offers, why
}

func TestWatch_LateLoopsAreAShortDoubt(t *testing.T) {
	once := func(l Lateness) func(time.Duration) Lateness {
		return func(at time.Duration) Lateness {
			if at == 2*time.Second {
				return l
			}
			return Lateness{Worst: 25 * time.Millisecond} // as on any busy machine
		}
	}
	for _, test := range []struct {
		name    string
		late    func(time.Duration) Lateness
		timeout time.Duration // of a check
		doubted time.Duration
		offers  int
		says    string
	}{
		{"a busy machine", once(Lateness{}), 0, 0, 0, ""},
		{"as late as may be", once(Lateness{Worst: doubtLateness, Step: doubtStep - 1}), 0, 0, 0, ""},
		{"a stall", once(Lateness{Worst: 600 * time.Millisecond}), 0, doubtLeast, 1, "ran 600ms late itself"},
		{"a stall beside looks that take long", once(Lateness{Worst: 600 * time.Millisecond}), 3 * time.Second, 3 * time.Second, 3, "ran 600ms late itself"},
		{"a step of the wall clock", once(Lateness{Step: time.Hour}), 0, doubtLeast, 1, "had its wall clock stepped by 1h0m0s"},
		{"it goes on", func(time.Duration) Lateness { return Lateness{Worst: time.Second} }, 0, 10 * time.Second, 10, "ran 1s late itself"},
	} {
		f := newFixture()
		f.group.Spec.Health.Checks = []failover.Check{{Name: "postgres", Timeout: test.timeout}}
		doubted, offers, why := f.watchFor(test.late)
		if doubted != test.doubted || len(offers) != test.offers || why != test.says {
			t.Errorf("%s: doubted for %v, since it %q, and offered its leadership at %v; want %v, %q and %d times", test.name, doubted, why, offers, test.doubted, test.says, test.offers)
		}
	}
}

// A doubt is told once when it begins, and once when it ends; the batches say why.
func TestWatch_ADoubtIsTold(t *testing.T) {
	f := newFixture()
	f.seeAll()
	f.watch(600 * time.Millisecond)
	incarnation := f.whole().Incarnation
	tell := func(what string, worst time.Duration, doubt string, changes bool) {
		t.Helper()
		if d := f.watch(worst); d.Changes != changes || d.Why != doubt || f.Doubts() != doubt {
			t.Errorf("%s: %+v", what, d)
		}
		if b, some, _ := f.changes(incarnation); some != changes || some && b.Doubt != doubt {
			t.Errorf("%s: sent %t, %+v", what, some, b)
		}
	}
	tell("a stall before the whole view, which told it", 0, "ran 600ms late itself", false)
	f.now += doubtLeast
	tell("all is well", 0, "", true)
	tell("a stall", 600*time.Millisecond, "ran 600ms late itself", true)
	tell("right after it", 0, "ran 600ms late itself", false)
	if b := f.whole(); b.Doubt == "" {
		t.Error("a whole view has no doubt meanwhile")
	} else {
		incarnation = b.Incarnation
	}
	tell("the whole view told it", 0, "ran 600ms late itself", false)
	f.now += doubtLeast
	tell("it is over", 0, "", true)
	tell("and stays over", 0, "", false)
}

// All targets fail together with the reference points, and answer again with them. Leadership is offered in between, again and again.
func TestWatch_CutOffBeginsAndEnds(t *testing.T) {
	f := newDoubtFixture()
	all := []failover.MemberName{"db1", "db2", "db3"}
	for _, m := range all {
		f.lookFails(m, failover.ReasonTimeout)
	}
	if d := f.watch(0); !d.Passing || !d.Changes || d.Offer || !strings.HasPrefix(d.Why, "waits") {
		t.Errorf("before a reference point could answer: %+v", d)
	}
	for i := range f.point.Sights {
		f.point.Sights[i] = failover.PointSight{Began: f.now}
	}
	doubted, offers, why := f.watchFor(func(time.Duration) Lateness { return Lateness{} })
	if doubted != 10*time.Second || len(offers) != 10 || why != cutOffText {
		t.Errorf("doubted for %v, since it %s, and offered its leadership at %v", doubted, why, offers)
	}
	f.point.Sights[0] = failover.PointSight{Began: f.now, Answered: true}
	for _, m := range all[:2] {
		f.lookSucceeds(m)
	}
	if d := f.watch(0); d.Why != cutOffText {
		t.Errorf("while a look from before still says that db3 is down: %+v", d)
	}
	f.lookSucceeds(all[2])
	if d := f.watch(0); d.Why != "" || d.Offer {
		t.Errorf("after all were seen again: %+v", d)
	}
}

// What is down for good doesn't hold a doubt for good: it ends when looks that began since the cut must have settled what is thought.
func TestWatch_CutOffEndsBesideAMemberThatStaysDown(t *testing.T) {
	f := newDoubtFixture()
	f.lookFails("db1", failover.ReasonTimeout)
	f.now += 300 * time.Millisecond
	if d := f.watch(0); d.Why != cutOffText {
		t.Fatalf("%+v", d)
	}
	f.point.Sights[0] = failover.PointSight{Began: f.now, Answered: true}
	const settles = 3 * time.Second // a look and two failures, one each second
	f.now += settles - 1
	if d := f.watch(0); d.Why != cutOffText {
		t.Errorf("it ends too early: %+v", d)
	}
	f.now++
	if d := f.watch(0); d.Why != "" {
		t.Errorf("it goes on: %+v", d)
	}
}
