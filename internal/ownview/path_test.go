package ownview

import (
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
)

// reach reports a look that reached the member over a new connection, and found it well or dead.
func (f *fixture) reach(well bool) {
	began := f.now
	f.now += 10 * time.Millisecond
	r := Report{
		Observation: failover.Observation{
			Group: "pay", Member: "db1", Facts: failover.Facts{Role: failover.RolePrimary, AcceptsWrites: true}, AsOf: 100,
			Checks: []failover.CheckState{{Name: "postgres", Evidence: failover.Evidence{Reason: failover.ReasonAnswered}}},
		},
		Check: "postgres", Began: began, Ended: f.now, Dead: !well,
	}
	if well {
		r.Good, r.Reached = f.now-began, began
	}
	f.observe(r)
}

// reachOther reports a look of another check, which reaches the member and finds something wrong, or counts for nothing.
func (f *fixture) reachOther() {
	began := f.now
	f.now += 10 * time.Millisecond
	f.observe(Report{
		Observation: failover.Observation{
			Group: "pay", Member: "db1", AsOf: 100,
			Checks: []failover.CheckState{
				{Name: "pages", Evidence: failover.Evidence{Reason: failover.ReasonWrongAnswer}},
				{Name: "postgres", Evidence: failover.Evidence{Reason: failover.ReasonAnswered}},
			},
		},
		Check: "pages", Began: began, Ended: f.now, Reached: began,
	})
}

// miss reports a look that got no answer at all.
func (f *fixture) miss() {
	began := f.now
	f.now += 10 * time.Millisecond
	f.observe(Report{
		Observation: failover.Observation{
			Group: "pay", Member: "db1", AsOf: 100,
			Checks: []failover.CheckState{{Name: "postgres", Evidence: failover.Evidence{Reason: failover.ReasonTimeout}}},
		},
		Check: "postgres", Began: began, Ended: f.now,
	})
}

// Devices that call a member off between two looks that find it well are wrong about it. The view says so once, until they say something else.
func TestContradictedPath(t *testing.T) {
	off := failover.FencePath{Group: "pay", Member: "db1", Armed: true, Off: true, AsOf: 100}
	on := failover.FencePath{Group: "pay", Member: "db1", Armed: true, AsOf: 100}
	tests := []struct {
		name string
		do   func(f *fixture)
		want bool
	}{
		{"well before and after", func(f *fixture) { f.reach(true); f.setPath(off); f.now++; f.reach(true) }, true},
		{"another check finds something wrong with it", func(f *fixture) {
			f.reach(true)
			f.reachOther()
			f.setPath(off)
			f.now++
			f.reachOther()
			f.reach(true)
		}, true},
		{"only another check reaches it", func(f *fixture) { f.reach(true); f.setPath(off); f.now++; f.reachOther() }, false},
		{"another check, and silent meanwhile", func(f *fixture) {
			f.reach(true)
			f.setPath(off)
			f.now++
			f.reachOther()
			f.miss()
			f.reachOther()
			f.reach(true)
		}, false},
		{"it was silent meanwhile", func(f *fixture) { f.reach(true); f.setPath(off); f.now++; f.miss(); f.reach(true) }, false},
		{"it was switched off", func(f *fixture) { f.reach(true); f.setPath(off); f.now++; f.reach(false) }, false},
		{"it was switched off and on", func(f *fixture) { f.reach(true); f.setPath(off); f.now++; f.reach(false); f.reach(true) }, false},
		{"it was off, and boots", func(f *fixture) { f.reach(false); f.setPath(off); f.now++; f.reach(true) }, false},
		{"no look since", func(f *fixture) { f.reach(true); f.setPath(off) }, false},
		{"the devices say that it is on", func(f *fixture) { f.reach(true); f.setPath(on); f.now++; f.reach(true) }, false},
		{"off again, and silent since", func(f *fixture) {
			f.reach(true)
			f.setPath(off)
			f.now++
			f.reach(true)
			f.reach(false)
			f.setPath(off)
		}, true},
		{"on, before it was told", func(f *fixture) { f.reach(true); f.setPath(off); f.now++; f.reach(true); f.setPath(on) }, true},
		{"on, after it was told", func(f *fixture) {
			f.reach(true)
			f.setPath(off)
			f.now++
			f.reach(true)
			f.whole() // which may be lost on its way
			f.setPath(on)
		}, true},
		{"on, after it was told and is known", func(f *fixture) {
			f.reach(true)
			f.setPath(off)
			f.now++
			f.reach(true)
			f.group.Members[0].FenceContradicted = "a"
			f.setPath(on)
		}, false},
		{"another machine meanwhile", func(f *fixture) {
			f.reach(true)
			f.setPath(off)
			f.now++
			f.reach(true)
			f.group.Members[0].Since = 200
			off := off
			off.AsOf = 200
			f.setPath(off)
		}, false},
	}
	for _, test := range tests {
		f := newFixture()
		test.do(f)
		if paths := f.whole().FencePaths; len(paths) != 1 || paths[0].Contradicted != test.want {
			t.Errorf("%s: %+v, want contradicted %v", test.name, paths, test.want)
		}
	}
}

// That a path is contradicted is news, and is sent without waiting for the device to be asked again.
func TestContradictedPathIsSentAtOnce(t *testing.T) {
	f := newFixture()
	f.reach(true)
	f.setPath(failover.FencePath{Group: "pay", Member: "db1", Armed: true, Off: true, AsOf: 100})
	f.whole()
	f.now++
	if f.reach(true); !f.last.Changes {
		t.Error("nobody is told")
	}
	if b, _, _ := f.changes(1); len(b.FencePaths) != 1 || !b.FencePaths[0].Contradicted {
		t.Errorf("%+v", b)
	}
	f.reach(true)
	f.nothingToSend(t, 1, "it was told already")
}
