package failover

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// given is a world after some commands of the scenarios.
func given(t *testing.T, commands string) *world {
	t.Helper()
	w := newWorld()
	for _, line := range strings.Split(strings.TrimSpace(commands), "\n") {
		if err := w.run(strings.Fields(line)); err != nil {
			t.Fatalf("%s: %v\n%s", line, err, w.out.String())
		}
		w.settle()
		if w.failure != nil {
			t.Fatalf("%s: %v\n%s", line, w.failure, w.out.String())
		}
	}
	return w
}

// Stations of a failover, from which the rules are tested.
const (
	adopted = `arbiters a b c
group orders pg-a pg-b pg-c max_loss=100
reign a 1
observe all: pg-a=primary@1000 pg-b=standby@1000 pg-c=standby@990
adopt orders
`
	leased     = adopted + "observe all: pg-a=down(refused)\n"
	ready      = adopted + "keep a\nobserve all: pg-a=down(refused)\ncommit a\nlose a\nlook-again answers\n" // leased, and nobody acts
	isolating  = leased + "look-again answers\n"
	isolated   = isolating + "keep a\noutcome isolate CONFIRMED_OFF\ncommit a\n"
	catchingUp = isolating + "outcome isolate CONFIRMED_OFF\n"
	caughtUp   = catchingUp + "keep a\noutcome catch_up pg-b@1000 pg-c@990\ncommit a\n"
	promoting  = catchingUp + "outcome catch_up pg-b@1000 pg-c@990\n"
	promoted   = promoting + "keep a\noutcome promote done\ncommit a\n"
	verifying  = promoting + "outcome promote done\noutcome configure done\noutcome route done\n"
	finished   = verifying + "outcome verify done\nobserve all: pg-b=primary@1000\n"
)

func (w *world) group(t *testing.T) *Group {
	t.Helper()
	g := w.state.Group("orders")
	if g == nil {
		t.Fatal("no group")
	}
	return g
}

// entry applies one entry and returns the rejection, if there was one.
func (w *world) entry(node NodeID, term Term, body Body) (rejected Event, refused bool) {
	events := w.commit(node, term, body)
	i := slices.IndexFunc(events, func(e Event) bool { return e.Kind == Rejected })
	if i < 0 {
		return Event{}, false
	}
	return events[i], true
}

// refused asks that a rule refuses an entry, and that nothing but the counters changed.
func (w *world) refused(t *testing.T, rule string, node NodeID, term Term, body Body) {
	t.Helper()
	before := w.state
	rejected, ok := w.entry(node, term, body)
	if !ok {
		t.Fatalf("%T was accepted", body)
	}
	if rejected.Rule != rule {
		t.Errorf("refused by %q (%s), want %q", rejected.Rule, rejected.Text, rule)
	}
	before.Applied, before.EventSeq = w.state.Applied, w.state.EventSeq
	want, _ := before.CanonicalBytes()
	if got, _ := w.state.CanonicalBytes(); string(got) != string(want) {
		t.Errorf("a refused %T changed the state", body)
	}
}

func (w *world) accepted(t *testing.T, node NodeID, term Term, body Body) {
	t.Helper()
	if rejected, ok := w.entry(node, term, body); ok {
		t.Fatalf("%T was refused: %s %s", body, rejected.Rule, rejected.Text)
	}
}

func (w *world) wantAuthorities(t *testing.T, want ...Authority) {
	t.Helper()
	for i, m := range w.group(t).Members[:len(want)] {
		if m.Authority != want[i] {
			t.Errorf("%s is %q, want %q", m.Name, m.Authority, want[i])
		}
	}
}

func (w *world) wantStage(t *testing.T, want Stage) {
	t.Helper()
	if g := w.group(t); g.Stage != want {
		t.Errorf("stage %s, want %s (%s)", g.Stage, want, g.Hold.Detail)
	}
}

func (w *world) wantHeld(t *testing.T, want HoldReason) {
	t.Helper()
	w.wantStage(t, Held)
	if g := w.group(t); g.Hold.Reason != want {
		t.Errorf("held for %q, want %q (%s)", g.Hold.Reason, want, g.Hold.Detail)
	}
}

// intend is an intent of arbiter a under the present epoch.
func (w *world) intend(t *testing.T, action ActionKind, member MemberName) Intend {
	g := w.group(t)
	return Intend{Group: g.Name, Epoch: g.Epoch, Operation: g.Operation.ID, Action: action, Member: member}
}

func (w *world) conclude(t *testing.T, o Outcome) Conclude {
	g := w.group(t)
	return Conclude{Group: g.Name, Epoch: g.Epoch, Operation: g.Operation.ID, Intent: g.Operation.Intent.Index, Outcome: o}
}

func offProof() Outcome {
	return Outcome{Result: ResultDone, Proof: Proof{Grade: ProofConfirmedOff, By: "bmc"}}
}

func (w *world) request() Request { return Request{Actor: "dana", Reason: "test"} }

const (
	writer  = AuthorityWriter
	revoked = AuthorityRevoked
	none    = AuthorityNone
	unset   = AuthorityUnset
)

func TestS0_NothingAutomaticBeforeAdoption(t *testing.T) {
	w := given(t, `arbiters a b c
group orders pg-a pg-b pg-c
reign a 1
observe all: pg-a=primary@1000 pg-b=standby@1000 pg-c=standby@1000
observe all: pg-a=down(refused)
tick 1m`)
	w.wantStage(t, Steady)
	w.wantAuthorities(t, unset, unset, unset)
	w.refused(t, "S0", "", 0, StartOperation{Request: w.request(), Group: "orders", Kind: KindFailover})
	if w.group(t).Epoch != 0 {
		t.Error("an epoch was granted")
	}
}

func TestS0_WhatAdoptionAsksFor(t *testing.T) {
	const seen = "arbiters a b c\ngroup orders pg-a pg-b pg-c\nreign a 1\n"
	tests := []struct {
		name, views string
		adopt       Adopt
		refused     bool
		want        []Authority
	}{
		{"all seen", "observe all: pg-a=primary@9 pg-b=standby@9 pg-c=standby@9", Adopt{}, false, []Authority{writer, none, none}},
		{"by a quorum only", "observe a,b: pg-a=primary@9 pg-b=standby@9 pg-c=standby@9", Adopt{}, false, []Authority{writer, none, none}},
		{"by one only", "observe a: pg-a=primary@9 pg-b=standby@9 pg-c=standby@9", Adopt{}, true, nil},
		{"writable by one only", "observe all: pg-a=readonly@9 pg-b=standby@9 pg-c=standby@9\nobserve a: pg-a=primary@9", Adopt{Member: "pg-a"}, true, nil},
		{"two writable", "observe all: pg-a=primary@9 pg-b=primary@9 pg-c=standby@9", Adopt{Member: "pg-a"}, true, nil},
		{"two writable, one seen so by one in doubt", "observe all: pg-a=primary@9 pg-b=standby@9 pg-c=standby@9\nobserve c: pg-b=primary@9\ndoubt c slow", Adopt{Member: "pg-a"}, true, nil},
		{"another one is writable", "observe all: pg-a=primary@9 pg-b=standby@9 pg-c=standby@9", Adopt{Member: "pg-b"}, true, nil},
		{"a stranger", "observe all: pg-a=primary@9 pg-b=standby@9 pg-c=stranger@9", Adopt{}, true, nil},
		{"one can't be seen", "observe all: pg-a=primary@9 pg-b=standby@9 pg-c=down(no-route)", Adopt{}, true, nil},
		{"one can't be seen and is attested", "observe all: pg-a=primary@9 pg-b=standby@9 pg-c=down(no-route)", Adopt{Attested: []MemberName{"pg-c"}}, false, []Authority{writer, none, none}},
		{"attested and answering", "observe all: pg-a=primary@9 pg-b=standby@9 pg-c=degraded(slow)", Adopt{Attested: []MemberName{"pg-c"}}, true, nil},
		{"the writer itself attested", "observe all: pg-a=primary@9 pg-b=standby@9 pg-c=standby@9", Adopt{Attested: []MemberName{"pg-a"}}, true, nil},
		{"none writable, all others attested", "observe all: pg-a=down(refused) pg-b=standby@9 pg-c=down(refused)", Adopt{Member: "pg-b", Attested: []MemberName{"pg-a", "pg-c"}}, false, []Authority{none, none, none}},
		{"none writable, one attested twice", "observe all: pg-a=down(refused) pg-b=standby@9 pg-c=standby@9", Adopt{Member: "pg-b", Attested: []MemberName{"pg-a", "pg-a"}}, true, nil},
		{"none writable, not all attested", "observe all: pg-a=down(refused) pg-b=standby@9 pg-c=standby@9", Adopt{Member: "pg-b", Attested: []MemberName{"pg-a"}}, true, nil},
		{"none writable, one attested that is no member", "observe all: pg-a=down(refused) pg-b=standby@9 pg-c=standby@9", Adopt{Member: "pg-b", Attested: []MemberName{"pg-a", "pg-z"}}, true, nil},
		{"writable by one, and all others attested", "observe all: pg-a=down(refused) pg-b=standby@9 pg-c=down(refused)\nobserve c: pg-b=primary@9", Adopt{Member: "pg-b", Attested: []MemberName{"pg-a", "pg-c"}}, true, nil},
		{"another one is a primary, and read-only", "observe all: pg-a=primary@9 pg-b=readonly@9 pg-c=standby@9", Adopt{Member: "pg-a"}, true, nil},
		{"not a member", "observe all: pg-a=primary@9 pg-b=standby@9 pg-c=standby@9", Adopt{Member: "pg-x"}, true, nil},
		{"a writer that is hurt and writes", "observe all: pg-a=primary@9 pg-b=standby@9 pg-c=down(refused)\nobserve c: pg-c=primary@9", Adopt{Member: "pg-a", Attested: []MemberName{"pg-c"}}, true, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := given(t, seen+test.views)
			test.adopt.Group, test.adopt.Request, test.adopt.Seen = "orders", w.request(), w.state.Applied
			if test.refused {
				rejected, ok := w.entry("", 0, test.adopt)
				if stranger := test.adopt.Member == "pg-x"; stranger != strings.Contains(rejected.Text, "pg-x is not a member of orders") {
					t.Error(rejected.Text)
				}
				if !ok || rejected.Rule != "S0" && rejected.Rule != "S3" {
					t.Fatalf("refused %v: %+v", ok, rejected)
				}
				w.wantAuthorities(t, unset, unset, unset)
				return
			}
			w.accepted(t, "", 0, test.adopt)
			w.wantAuthorities(t, test.want...)
			if w.group(t).Epoch != 1 {
				t.Errorf("epoch %d", w.group(t).Epoch)
			}
		})
	}
}

func TestS0_TakesAnEpochAboveWhatTargetsHold(t *testing.T) {
	w := given(t, adopted)
	w.arbiters["b"].sees["orders"]["pg-b"] = seen{reason: ReasonAnswered, role: RoleStandby, position: 1000, system: "sys1", token: 41}
	w.commit("", 0, Observe{Batches: []Batch{w.batch(w.arbiters["b"], map[GroupName][]MemberName{"orders": {"pg-b"}})}})
	w.accepted(t, "", 0, Adopt{Request: w.request(), Group: "orders"})
	if got := w.group(t).Epoch; got != 42 {
		t.Errorf("epoch %d, want 42", got)
	}
}

func TestS0_MemberChanges(t *testing.T) {
	tests := []struct {
		name, command, from string
		refused, adopted    bool
	}{
		{"policy only", "apply orders max_loss=7", adopted, false, true},
		{"a new member", "apply orders pg-a pg-b pg-c pg-d", adopted, false, false},
		{"another address", "apply orders pg-a pg-b pg-c address=pg-b:other", adopted, false, false},
		{"another fence", "apply orders pg-a pg-b pg-c fence=pg-b:other", adopted, false, false},
		{"the writer removed", "apply orders pg-b pg-c", adopted, true, true},
		{"a proven member removed", "apply orders pg-a pg-b", adopted, false, true},
		{"a proven member removed during an operation", "apply orders pg-a pg-b", leased, true, true},
		{"another address during an operation", "apply orders pg-a pg-b pg-c address=pg-b:other", leased, true, true},
		{"policy during an operation", "apply orders max_loss=7", leased, false, true},
		{"a revoked member removed", "apply orders pg-a pg-b", adopted + "apply orders refence_rogues=no\napply orders pg-a pg-b pg-c address=pg-b:other\nobserve c: pg-c=primary@1000\n", true, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := given(t, test.from)
			before := w.group(t).SpecVersion
			if err := w.run(strings.Fields(test.command)); err != nil {
				t.Fatal(err)
			}
			if g := w.group(t); (g.SpecVersion == before) != test.refused || g.Adopted != test.adopted {
				t.Errorf("version %d to %d, adopted %v\n%s", before, g.SpecVersion, g.Adopted, w.out.String())
			}
		})
	}
}

// A server belongs to one group: each of two groups would promote a primary of its own in it.
func TestS0_AServerBelongsToOneGroup(t *testing.T) {
	spec := func(addresses ...string) *Spec {
		spec := testSpec("pg-x", "pg-y")
		for i, address := range addresses {
			spec.Members[i].Address = address
		}
		return spec
	}
	tests := []struct {
		name    string
		group   GroupName
		spec    *Spec
		refused bool
	}{
		{"servers of its own", "shop", spec("pg-x:5432", "pg-y:5432"), false},
		{"another port of the same machine", "shop", spec("pg-a:5433", "pg-y:5432"), false},
		{"the same group again", "orders", testSpec("pg-a", "pg-b", "pg-c"), false},
		{"all servers of another group", "shop", testSpec("pg-a", "pg-b", "pg-c"), true},
		{"one server of another group", "shop", spec("pg-x:5432", "pg-b:5432"), true},
		{"in other letters", "shop", spec("PG-A.:5432", "pg-y:5432"), true},
		{"an address in another form", "shop", spec("pg-x:5432", "[::ffff:10.0.0.1]:5432"), true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := given(t, adopted)
			w.accepted(t, "", 0, ApplySpec{Request: w.request(), Group: "addressed", Spec: spec("10.0.0.1:5432", "[fd00:0::2]:5432")})
			body := ApplySpec{Request: w.request(), Group: test.group, Spec: test.spec}
			if test.refused {
				w.refused(t, "S0", "", 0, body)
			} else {
				w.accepted(t, "", 0, body)
			}
		})
	}
	t.Run("until the other group is deleted", func(t *testing.T) {
		w := given(t, adopted)
		w.accepted(t, "", 0, DeleteGroup{Request: w.request(), Group: "orders"})
		w.accepted(t, "", 0, ApplySpec{Request: w.request(), Group: "shop", Spec: testSpec("pg-a", "pg-b", "pg-c")})
	})
	t.Run("and a group can't move to them", func(t *testing.T) {
		w := given(t, adopted)
		w.accepted(t, "", 0, ApplySpec{Request: w.request(), Group: "shop", Spec: spec("pg-x:5432", "pg-y:5432")})
		w.refused(t, "S0", "", 0, ApplySpec{Request: w.request(), Group: "shop", Spec: spec("pg-x:5432", "pg-c:5432")})
	})
}

func TestS0_NotBesideARunningOperation(t *testing.T) {
	w := given(t, adopted+"failover orders\nlook-again answers\n") // the primary is well, so nothing else speaks against adopting it
	w.wantStage(t, Isolating)
	w.refused(t, "S0", "", 0, Adopt{Request: w.request(), Group: "orders", Member: "pg-a"})
	w = given(t, leased)
	w.refused(t, "S0", "", 0, DeleteGroup{Request: w.request(), Group: "orders"})
}

func TestS1_AtMostOneWriterBesideRoguesOnly(t *testing.T) {
	group := func(authorities ...Member) *Group { return &Group{Name: "orders", Adopted: true, Members: authorities} }
	tests := []struct {
		name string
		g    *Group
		ok   bool
	}{
		{"one writer", group(Member{Name: "a", Authority: writer}, Member{Name: "b", Authority: none}), true},
		{"none", group(Member{Name: "a", Authority: none}, Member{Name: "b", Authority: none}), true},
		{"two writers", group(Member{Name: "a", Authority: writer}, Member{Name: "b", Authority: writer}), false},
		{"a revoked one beside a writer", group(Member{Name: "a", Authority: revoked}, Member{Name: "b", Authority: writer}), false},
		{"a rogue beside a writer", group(Member{Name: "a", Authority: revoked, Rogue: true}, Member{Name: "b", Authority: writer}), true},
		{"revoked ones without a writer", group(Member{Name: "a", Authority: revoked}, Member{Name: "b", Authority: revoked}), true},
		{"one without authority", group(Member{Name: "a", Authority: writer}, Member{Name: "b"}), false},
	}
	for _, test := range tests {
		if refusal := checkS1(test.g); (refusal == nil) != test.ok {
			t.Errorf("%s: %v", test.name, refusal)
		}
	}
}

// Next itself asks for S1: isolating a member whose proof is old while another one writes would break it, and no other rule forbids it.
func TestS1_IsAskedOfEveryState(t *testing.T) {
	w := given(t, promoting+"keep a\noutcome promote unknown\ncommit a\n")
	w.group(t).Operation.ProofsBefore = w.group(t).Member("pg-a").NoneSince + 1 // as if it were to be asked for again
	w.refused(t, "S1", "a", 1, w.intend(t, ActionIsolate, "pg-a"))
}

func TestS2_WhoMayBePromoted(t *testing.T) {
	tests := []struct {
		name      string
		a, b      Authority // of the former writer, and of the one to promote
		op        Operation
		reinstate bool
		ok        bool
	}{
		{"a proven one beside proven ones", none, none, Operation{}, false, true},
		{"beside a revoked one", revoked, none, Operation{}, false, false},
		{"beside a writer", writer, none, Operation{}, false, false},
		{"a revoked one", none, revoked, Operation{}, false, false},
		{"the candidate again", none, writer, Operation{Candidate: "b"}, false, true},
		{"a candidate that was given up", none, revoked, Operation{Candidate: "b"}, false, false},
		{"a writer that is not the candidate", none, writer, Operation{Candidate: "a"}, false, false},
		{"the former writer back, revoked", none, revoked, Operation{From: "b", Reinstating: true, ReinstatedAt: 4}, true, true},
		{"the former writer back, proven", none, none, Operation{From: "b", Reinstating: true, ReinstatedAt: 4}, true, true},
		{"under the same epoch", none, revoked, Operation{From: "b", Reinstating: true, ReinstatedAt: 5}, true, false},
		{"with a fence of it in flight", none, revoked, Operation{From: "b", Reinstating: true, ReinstatedAt: 4, Intent: &OpenIntent{}}, true, false},
		{"not asked for", none, revoked, Operation{From: "b", ReinstatedAt: 4}, true, false},
		{"another one back", none, none, Operation{From: "a", Reinstating: true, ReinstatedAt: 4}, true, false},
		{"the former writer, revoked, as if it were another one", none, revoked, Operation{From: "b", Reinstating: true, ReinstatedAt: 4}, false, false},
		{"beside a revoked one, back", revoked, none, Operation{From: "b", Reinstating: true, ReinstatedAt: 4}, true, false},
	}
	for _, test := range tests {
		g := &Group{Name: "orders", Epoch: 5, Operation: &test.op, Members: []Member{{Name: "a", Authority: test.a}, {Name: "b", Authority: test.b}}}
		if refusal := checkS2(g, "b", test.reinstate); (refusal == nil) != test.ok {
			t.Errorf("%s: %v", test.name, refusal)
		}
	}
	if refusal := checkS2(&Group{Name: "orders", Operation: &Operation{}, Members: []Member{{Name: "a", Authority: none}}}, "b", false); refusal == nil {
		t.Error("one that is no member")
	}
}

func TestS2_NoPromotionBeforeFenceProof(t *testing.T) {
	w := given(t, isolating+"keep a\noutcome isolate UNKNOWN\ncommit a\n")
	// The intent to isolate is open; a new grant closes it, and a promotion is still refused.
	w.accepted(t, "a", 1, AcquireLease{Group: "orders", Holder: "a", Term: 1, AfterEpoch: w.group(t).Epoch, Duration: 2 * time.Second})
	w.refused(t, "S2", "a", 1, w.intend(t, ActionPromote, "pg-b"))
	w.wantAuthorities(t, revoked, none, none)
}

func TestS2_MakesWriterBeforeAnythingIsDone(t *testing.T) {
	w := given(t, caughtUp)
	w.accepted(t, "a", 1, w.intend(t, ActionPromote, "pg-b"))
	w.wantAuthorities(t, none, writer, none)
	w.wantStage(t, Promoting)
}

func TestS2_OnlyTheSameOrAProvenOne(t *testing.T) {
	w := given(t, promoting+"depose a\nreign b 2\nobserve all\ntick 2100ms\nkeep b\n")
	g := w.group(t)
	if g.Stage != Promoting || g.Operation.Intent == nil {
		t.Fatalf("the new leader did not repeat the promotion: %s", w.out.String())
	}
	w.accepted(t, "b", 2, AcquireLease{Group: "orders", Holder: "b", Term: 2, AfterEpoch: g.Epoch, Duration: 2 * time.Second})
	w.refused(t, "S2", "b", 2, w.intend(t, ActionPromote, "pg-c"))
	w.accepted(t, "b", 2, w.intend(t, ActionPromote, "pg-b"))
}

func TestS2_NotBeforeTheStandbysHaveCaughtUp(t *testing.T) {
	w := given(t, isolated)
	w.refused(t, "S8", "a", 1, w.intend(t, ActionPromote, "pg-b"))
	w = given(t, promoted)
	w.refused(t, "S4", "a", 1, w.intend(t, ActionVerify, "pg-c"))
}

func TestS2_Reinstate(t *testing.T) {
	reinstate := func(w *world) Intend {
		i := w.intend(t, ActionPromote, "pg-a")
		i.Reinstate = true
		return i
	}
	w := given(t, isolating+"keep a\noutcome isolate UNKNOWN\ncommit a\n")
	w.refused(t, "S4", "a", 1, reinstate(w)) // a fence of it is in flight
	w.accepted(t, "", 0, Reinstate{Request: w.request(), Group: "orders", Operation: w.group(t).Operation.ID, Seen: w.state.Applied})
	w.refused(t, "S4", "a", 1, reinstate(w)) // still
	w.refused(t, "S4", "a", 1, w.intend(t, ActionIsolate, "pg-a"))
	w.accepted(t, "a", 1, AcquireLease{Group: "orders", Holder: "a", Term: 1, AfterEpoch: w.group(t).Epoch, Duration: 2 * time.Second})
	w.refused(t, "S2", "a", 1, w.intend(t, ActionIsolate, "pg-a"))
	w.refused(t, "S2", "a", 1, w.intend(t, ActionPromote, "pg-b"))
	w.accepted(t, "a", 1, reinstate(w))
	w.wantAuthorities(t, writer, none, none)
}

func TestS2_ReinstateNeedsItsEpochAndItsRequest(t *testing.T) {
	w := given(t, isolated)
	i := w.intend(t, ActionPromote, "pg-a")
	i.Reinstate = true
	w.refused(t, "S2", "a", 1, i) // nobody asked for it
	w.accepted(t, "", 0, Reinstate{Request: w.request(), Group: "orders", Operation: w.group(t).Operation.ID, Seen: w.state.Applied})
	w.refused(t, "S2", "a", 1, i) // the epoch is the one under which it was asked for
	other := i
	other.Member = "pg-b"
	w.accepted(t, "a", 1, AcquireLease{Group: "orders", Holder: "a", Term: 1, AfterEpoch: i.Epoch, Duration: 2 * time.Second})
	i.Epoch, other.Epoch = i.Epoch+1, i.Epoch+1
	w.refused(t, "S2", "a", 1, other) // another member than the former writer
	w.accepted(t, "a", 1, i)
}
