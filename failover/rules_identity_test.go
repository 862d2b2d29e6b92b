package failover

import (
	"fmt"
	"strings"
	"testing"
)

// A member that a majority sees answer as another database makes the group unadopted, and nothing less does.
func TestS0_AnotherSystemIdentifierUnadopts(t *testing.T) {
	tests := []struct {
		name, views string
		adopted     bool
	}{
		{"seen by all", "observe all: pg-c=stranger@5", false},
		{"by a quorum", "observe a,b: pg-c=stranger@5", false},
		{"by one only", "observe a: pg-c=stranger@5", true},
		{"by one, and by one whose view is void", "observe b: pg-c=stranger@5\nsilent a b\nobserve c: pg-c=stranger@5", true},
		{"by one, and by one that doubts itself", "doubt b slow\nobserve b: pg-c=stranger@5\nobserve c: pg-c=stranger@5", true},
		{"by two, each as another one", "observe a: pg-c=stranger@5\nobserve b: pg-c=stranger@5:sys3", true},
		{"the writer itself", "observe all: pg-a=foreign-primary@5", false},
		{"a member that was down", "observe all: pg-c=down(refused)\nobserve all: pg-c=stranger@5", false},
		{"a member that went down since", "observe a: pg-c=stranger@5\nobserve all: pg-c=down(refused)", true},
		{"starting up, and nothing new known of it", "observe all: pg-c=starting-stranger", true},
		{"rebuilt from the primary", "observe all: pg-c=down(refused)\nobserve all: pg-c=standby@1200", true},
		{"the primary dies in the same look", "observe all: pg-a=down(refused) pg-c=stranger@5", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := given(t, adopted+test.views)
			g := w.group(t)
			if g.Adopted != test.adopted || (g.Stranger == nil) != test.adopted {
				t.Fatalf("adopted %v, stranger %+v\n%s", g.Adopted, g.Stranger, w.out.String())
			}
			if test.adopted {
				return
			}
			if g.Operation != nil {
				t.Errorf("an operation began: %+v", g.Operation)
			}
			if err := w.run([]string{"tick", "1m"}); err != nil {
				t.Fatal(err)
			}
			w.wantStage(t, Steady)
			w.refused(t, "S0", "", 0, StartOperation{Request: w.request(), Group: "orders", Kind: KindFailover})
			e := Explain(&w.state, "orders", Durations{SinceLastFailover: -1})
			for _, word := range []string{string(g.Stranger.Member), "sys1", "sys2"} {
				if !strings.Contains(e.Summary, word) {
					t.Errorf("explain does not name %s: %s", word, e.Summary)
				}
			}
			if len(e.Next) == 0 || e.Next[len(e.Next)-1] != "arbiterctl adopt orders" {
				t.Errorf("what to do: %q", e.Next)
			}
		})
	}
}

// A suspicion that is under way when the group becomes unadopted does not stay: nobody would end it.
func TestS0_AnotherSystemIdentifierEndsASuspicion(t *testing.T) {
	w := given(t, adopted+"observe a: pg-a=down(refused)\n")
	w.wantStage(t, Suspected)
	if err := w.run(strings.Fields("observe all: pg-c=stranger@5")); err != nil {
		t.Fatal(err)
	}
	w.wantStage(t, Steady)
	if w.group(t).Adopted {
		t.Error("still adopted")
	}
}

// Beside an operation nothing changes, wherever it stands; when it has ended, in whatever way, the group is unadopted.
func TestS0_AnotherSystemIdentifierWaitsForTheOperationsEnd(t *testing.T) {
	const stranger = "observe all: pg-c=stranger@5\n"
	tests := []struct{ name, from, end string }{
		{"the primary recovers", leased, "observe all: pg-a=primary@1000"},
		{"an operator aborts", adopted + "keep a\nfailover orders\n", "abort orders"},
		{"it is done", verifying, "outcome verify done"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := given(t, test.from+stranger)
			g := w.group(t)
			if !g.Adopted || g.Operation == nil {
				t.Fatalf("adopted %v, operation %v", g.Adopted, g.Operation)
			}
			if err := w.run(strings.Fields(test.end)); err != nil {
				t.Fatal(err)
			}
			w.settle()
			if g = w.group(t); g.Operation != nil || g.Adopted || g.Stranger == nil {
				t.Errorf("operation %v, adopted %v, stranger %+v\n%s", g.Operation, g.Adopted, g.Stranger, w.out.String())
			}
		})
	}
	for _, from := range []string{leased, isolating, isolated, catchingUp, promoting, promoted} {
		w := given(t, from+stranger)
		if g := w.group(t); !g.Adopted || g.Operation == nil {
			t.Errorf("in stage %s: adopted %v, operation %v", g.Stage, g.Adopted, g.Operation)
		}
	}
}

func TestS0_AdoptionEndsWithTheReasonForIt(t *testing.T) {
	w := given(t, adopted+"observe all: pg-c=stranger@5\n")
	w.refused(t, "S0", "", 0, Adopt{Request: w.request(), Group: "orders"})
	if err := w.run(strings.Fields("observe all: pg-c=standby@990")); err != nil {
		t.Fatal(err)
	}
	if w.group(t).Adopted {
		t.Fatal("adopted by itself")
	}
	w.accepted(t, "", 0, Adopt{Request: w.request(), Group: "orders"})
	if g := w.group(t); !g.Adopted || g.Stranger != nil || g.SystemID != "sys1" {
		t.Errorf("adopted %v, stranger %+v, system %s", g.Adopted, g.Stranger, g.SystemID)
	}
}

// A whole group that was moved to another database (an upgrade that makes a new one) is adopted under the new identifier.
func TestS0_AWholeGroupMayBecomeAnotherDatabase(t *testing.T) {
	w := given(t, adopted+"observe all: pg-a=foreign-primary@5 pg-b=stranger@5 pg-c=stranger@5\n")
	if w.group(t).Adopted {
		t.Fatal("still adopted")
	}
	w.accepted(t, "", 0, Adopt{Request: w.request(), Group: "orders"})
	if g := w.group(t); !g.Adopted || g.SystemID != "sys2" || g.Writer() != "pg-a" {
		t.Errorf("adopted %v, system %s, writer %s", g.Adopted, g.SystemID, g.Writer())
	}
}

// Looks that count again because the voters changed are judged at once, also in a group that is at rest.
func TestS0_AnotherSystemIdentifierIsSeenWhenTheVotersChange(t *testing.T) {
	w := given(t, adopted)
	all := w.state.Voters
	w.commit("", 0, SetVoters{Voters: all[:1]})
	w.commit("", 0, SetVoters{})
	for _, node := range all[:2] { // nobody votes, and their views are as they were
		g := w.group(t)
		look, _ := g.lookAt(node, "pg-c")
		g.Looks[look].Observation.Facts.SystemID = "sys2"
	}
	w.commit("", 0, SetVoters{Voters: all})
	if g := w.group(t); g.Adopted || g.Stranger == nil || g.Stranger.Member != "pg-c" {
		t.Errorf("adopted %v, stranger %+v", g.Adopted, g.Stranger)
	}
}

// What is advised about an adoption is accepted as it stands: it vouches for everybody who can't be seen, fenced before or not.
func TestS0_TheAdvisedAdoptionIsAccepted(t *testing.T) {
	const fenced = finished + "observe all: pg-a=down(no-route)\nobserve all: pg-c=stranger@7\n"
	tests := []struct{ name, given, want string }{
		{"everybody is seen", adopted + "observe all: pg-c=stranger@7\nobserve all: pg-c=standby@1000\n", "arbiterctl adopt orders"},
		{
			"a standby is away", adopted + "observe all: pg-c=down(refused)\napply orders fence=pg-b:other\nobserve all: pg-b=standby@1000\n",
			"arbiterctl adopt orders --member pg-a --attest pg-c --seen 5 --reason \"...\"",
		},
		{
			"the fenced primary is away", fenced + "observe all: pg-c=standby@1000\n",
			"arbiterctl adopt orders --member pg-b --attest pg-a --seen 10 --reason \"...\"",
		},
		{
			"nobody writes", fenced + "observe all: pg-c=standby@1000 pg-b=down(refused)\n",
			"arbiterctl adopt orders --member pg-c --attest pg-a,pg-b --seen 10 --reason \"...\"",
		},
		{"nobody writes, and the other standby is another database that was stopped", adopted + "observe all: pg-c=stranger@7\n" +
			"observe all: pg-a=down(refused) pg-c=down(refused)\n", "arbiterctl adopt orders --member pg-b --attest pg-a,pg-c --seen 5 --reason \"...\""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := given(t, test.given)
			if w.group(t).Adopted {
				t.Fatal("still adopted")
			}
			e := Explain(&w.state, "orders", Durations{SinceLastFailover: -1})
			if advised := e.Next[len(e.Next)-1]; advised != test.want {
				t.Fatalf("advised is %q", e.Next)
			}
			ask := Adopt{Request: w.request(), Group: "orders"}
			if words := strings.Fields(test.want); len(words) > 3 {
				ask.Member, ask.Attested = MemberName(words[4]), splitMembers(words[6])
				_, _ = fmt.Sscan(words[8], (*uint64)(&ask.Seen))
				w.refused(t, "S0", "", 0, Adopt{Request: w.request(), Group: "orders"})
			}
			w.accepted(t, "", 0, ask)
		})
	}
}

// A refusal for one member names it beside those that the request vouches for already.
func TestS0_ARefusedAdoptionKeepsWhoIsVouchedFor(t *testing.T) {
	w := given(t, adopted+"observe all: pg-b=down(refused) pg-c=down(refused)\n")
	rejected, _ := w.entry("", 0, Adopt{Request: w.request(), Group: "orders", Seen: w.state.Applied, Attested: []MemberName{"pg-b"}})
	if want := fmt.Sprintf("arbiterctl adopt orders --member pg-a --attest pg-b,pg-c --seen %d --reason", w.group(t).sinceOf([]MemberName{"pg-b", "pg-c"})); !strings.Contains(rejected.Next, want) {
		t.Errorf("advised is %q, not %s", rejected.Next, want)
	}
}
