package failover

import (
	"slices"
	"strings"
	"testing"
)

const armedPath = "paths a orders pg-a armed\n"

// Of a failover that is asked for all that it needs is asked first, but only while the primary serves: one of a primary that doesn't serve waits for nothing
// of it.
func TestUnready(t *testing.T) {
	well := Asked{
		Routers: Routers{Asked: []RouterAnswer{{Route: "lb"}}}, Fence: FenceAnswer{Member: "pg-a"},
		Members: []MemberAnswer{{Member: "pg-b"}, {Member: "pg-c"}},
	}
	with := func(change func(*Asked)) Asked {
		asked := well
		asked.Members = slices.Clone(well.Members)
		change(&asked)
		return asked
	}
	deaf := with(func(a *Asked) { a.Routers.Asked = []RouterAnswer{{Route: "lb", Silent: "refused"}} })
	unarmed := with(func(a *Asked) { a.Fence.Unarmed = "no answer" })
	lacks := Shortcoming{What: "the role lacks pg_promote", Next: "run the schema again"}
	unfit := with(func(a *Asked) { a.Members[0].Unfit, a.Members[1].Unfit = lacks, lacks })
	oneUnfit := with(func(a *Asked) { a.Members[1].Unfit = lacks })
	wrong := with(func(a *Asked) { a.Members[0].Wrong = Shortcoming{What: "fsync is off", Next: "set fsync = on"} })
	const silent, notArmed = "route lb does not answer: refused", "the fence of pg-a is NOT ARMED (no answer)"
	const half = "it would stop half way: pg-b, pg-c: the role lacks pg_promote"
	for _, c := range []struct {
		name  string
		asked Asked
		why   string   // of a primary that serves
		next  []string // what the advice must name
	}{
		{"all is well", well, "", nil},
		{"nothing was asked, and the fence was armed", Asked{}, "", nil},
		{"a router is silent", deaf, silent, []string{"arbiterctl check orders", "--ignore-routers"}},
		{
			"a router was not asked", with(func(a *Asked) { a.Routers.Asked = []RouterAnswer{{Route: "lb", NotAsked: true, Silent: "busy"}} }),
			"route lb was not asked: busy",
			[]string{"ask again; or", "--ignore-routers"},
		},
		{"and nobody waits for it", with(func(a *Asked) { a.Routers = Routers{Asked: deaf.Routers.Asked, Ignored: true} }), "", nil},
		{"the fence does not answer", unarmed, notArmed, []string{"arbiterctl check orders", "--ignore-unarmed", "arbiterctl attest"}},
		{"and is to be tried all the same", with(func(a *Asked) { a.Fence = FenceAnswer{Member: "pg-a", Unarmed: "no answer", Ignored: true} }), "", nil},
		{"nobody can be promoted", unfit, half, []string{"run the schema again"}},
		{"one can't be", oneUnfit, "it would stop half way: pg-c: the role lacks pg_promote", []string{"run the schema again", "--to pg-b"}},
		{"which nobody may set aside", with(func(a *Asked) {
			a.Members = slices.Clone(unfit.Members)
			a.Members[0].Ignored, a.Members[1].Ignored = true, true
		}), half, []string{"run the schema again"}},
		{"one is not as it should be", wrong, "pg-b: fsync is off", []string{"set fsync = on", "--to pg-c", "--ignore-findings"}},
		{"and is to be promoted as it is", with(func(a *Asked) {
			a.Members[0] = MemberAnswer{Member: "pg-b", Wrong: wrong.Members[0].Wrong, Ignored: true}
		}), "", nil},
		{"one that can't be chosen doesn't matter", with(func(a *Asked) { a.Members[1] = MemberAnswer{Member: "pg-z", Unfit: lacks} }), "", nil},
		{"what can't be set aside is told first", with(func(a *Asked) { *a = Asked{Routers: deaf.Routers, Fence: unarmed.Fence, Members: unfit.Members} }), half, nil},
	} {
		for log, serves := range map[string]bool{
			"": true, "observe all: pg-a=readonly@1000\n": true, // degraded
			"observe all: pg-a=unknown(bad-credentials)\n": true, "observe all: pg-a=unknown(arbiter-trouble) pg-b=unknown(arbiter-trouble) pg-c=unknown(arbiter-trouble)\n": true, // nobody can tell
			"pause orders\nobserve all: pg-a=down(refused)\n": false, "observe all: pg-a=idle-standby@1000\n": false,
		} {
			w := given(t, adopted+armedPath+log)
			why, next := Unready(&w.state, w.group(t), c.asked)
			want := c.why
			if !serves {
				want = ""
			}
			if why != want {
				t.Errorf("%s (%q): %q, want %q", c.name, log, why, want)
			}
			for _, part := range c.next {
				if serves && !strings.Contains(next, part) {
					t.Errorf("%s (%q): advice %q lacks %q", c.name, log, next, part)
				}
			}
			if strings.Contains(next, "--ignore") && strings.Contains(why, "half way") {
				t.Errorf("%s: advice to go on where nobody can be promoted: %q", c.name, next)
			}
			e := Rehearsal(&w.state, "orders", c.asked)
			if e.Refused() != want || e.AfterRefusal() != next || want != "" && (e.Possible() || e.WouldDo != "A failover would be refused: "+want) {
				t.Errorf("%s (%q): possible %v, refused %q: %s", c.name, log, e.Possible(), e.Refused(), e.WouldDo)
			}
		}
	}
}

// Whoever is named is asked alone.
func TestUnready_ANamedCandidate(t *testing.T) {
	w := given(t, adopted+armedPath)
	begun, _ := Next(w.state, Entry{Index: w.state.Applied + 1, Term: w.state.Reign.Term, Proposer: w.state.Reign.Leader, Body: StartOperation{Group: "orders", Kind: KindFailover, Candidate: "pg-b"}})
	if may := MayBePromoted(&begun, begun.Group("orders")); !slices.Equal(may, []MemberName{"pg-b"}) {
		t.Errorf("may be promoted: %q", may)
	}
	if may := MayBePromoted(&w.state, w.group(t)); !slices.Equal(may, []MemberName{"pg-b", "pg-c"}) {
		t.Errorf("unless one is named: %q", may)
	}
	asked := Asked{Fence: FenceAnswer{Member: "pg-a"}, Members: []MemberAnswer{{Member: "pg-b"}, {Member: "pg-c", Unfit: Shortcoming{What: "it is broken"}}}}
	if why, _ := Unready(&begun, begun.Group("orders"), asked); why != "" {
		t.Errorf("the other one is broken: %s", why)
	}
}

// The arbiter that leads asks the fence, and does the fencing: what it hears now counts, whatever was committed. Only what was seen to be wrong about the
// member is not believed.
func TestUnready_WhatTheFenceSaysNowCounts(t *testing.T) {
	says, silent := Asked{Fence: FenceAnswer{Member: "pg-a"}}, Asked{Fence: FenceAnswer{Member: "pg-a", Unarmed: "no answer"}}
	w := given(t, adopted)
	if why, _ := Unready(&w.state, w.group(t), Asked{}); !strings.Contains(why, "NOT ARMED") {
		t.Errorf("it was not asked, and never was armed: %q", why)
	}
	e := Rehearsal(&w.state, "orders", says)
	if e.Refused() != "" || !e.Possible() || strings.Contains(e.WouldDo, "ARMED") {
		t.Errorf("it answers for the first time: %s", e.WouldDo)
	}
	w = given(t, adopted+armedPath+"paths b orders pg-a armed\n")
	why, next := Unready(&w.state, w.group(t), silent)
	if !strings.Contains(why, "NOT ARMED (no answer)") || !strings.Contains(next, "arbiterctl transfer-leadership b") {
		t.Errorf("it answers another one: %q; %q", why, next)
	}
	ignored := silent
	ignored.Fence.Ignored = true
	if e := Rehearsal(&w.state, "orders", ignored); e.Refused() != "" || e.Possible() || !strings.HasPrefix(e.WouldDo, "A failover would be held: the fence of pg-a is NOT ARMED") {
		t.Errorf("to be tried all the same: possible %v: %s", e.Possible(), e.WouldDo)
	}
	w = given(t, adopted+"paths a orders pg-a contradicted\n")
	if why, next := Unready(&w.state, w.group(t), says); !strings.Contains(why, "NOT ARMED (its fence") || !strings.Contains(next, "arbiterctl adopt orders") {
		t.Errorf("it was wrong before: %q; %q", why, next)
	}
}

// A fence that was not asked is not said to be unarmed; what the views say of it stands, and the failover is refused until it is asked, or the operator
// goes on without.
func TestUnready_AFenceThatWasNotAsked(t *testing.T) {
	busy := Asked{Fence: FenceAnswer{Member: "pg-a", Unarmed: "this arbiter was busy", NotAsked: true}}
	w := given(t, adopted+armedPath+"paths b orders pg-a armed\n")
	why, next := Unready(&w.state, w.group(t), busy)
	if why != "the fence of pg-a was not asked: this arbiter was busy" || !strings.HasPrefix(next, "ask again; or, if pg-a must go: --ignore-unarmed") {
		t.Errorf("%q; %q", why, next)
	}
	ignored := busy
	ignored.Fence.Ignored = true
	e := Rehearsal(&w.state, "orders", ignored)
	if e.Refused() != "" || !e.Possible() || strings.Contains(e.WouldDo, "NOT ARMED") {
		t.Errorf("to be tried all the same: possible %v: %s", e.Possible(), e.WouldDo)
	}
	for _, guard := range e.Decision.Guards {
		if strings.Contains(guard.Detail, "answered just now") {
			t.Errorf("it was not: %+v", guard)
		}
	}
	w = given(t, adopted+"paths a orders pg-a contradicted\n")
	if why, _ := Unready(&w.state, w.group(t), busy); !strings.Contains(why, "NOT ARMED (its fence") {
		t.Errorf("it was wrong before, and needs not be asked: %q", why)
	}
}
