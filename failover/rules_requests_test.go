package failover

import (
	"strings"
	"testing"
)

// A request that names neither the operation nor what was seen of it could be meant for anything: a late word on a member would end a later
// revocation of it, when it writes again.
func TestS4_ARequestSaysWhatItIsAbout(t *testing.T) {
	const revokedAgain = isolating + "outcome isolate CONFIRMED_OFF\nobserve c: pg-a=primary@1100\nobserve all: pg-a=down(refused)\n"
	const aborted = isolating + "outcome isolate CONFIRMED_OFF\nabort orders\n"
	for name, test := range map[string]struct {
		from string
		ask  func(w *world, id OperationID, seen Index) Body
	}{
		"attest": {revokedAgain, func(w *world, id OperationID, seen Index) Body {
			return Attest{Request: w.request(), Group: "orders", Operation: id, Seen: seen, Member: "pg-a"}
		}},
		"release": {aborted, func(w *world, id OperationID, seen Index) Body {
			return Release{Request: w.request(), Group: "orders", Operation: id, Seen: seen}
		}},
		"reinstate": {aborted, func(w *world, id OperationID, seen Index) Body {
			return Reinstate{Request: w.request(), Group: "orders", Operation: id, Seen: seen}
		}},
		"abort, which is about the operation alone": {revokedAgain, func(w *world, id OperationID, _ Index) Body {
			return Abort{Request: w.request(), Group: "orders", Operation: id}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := given(t, test.from)
			id, seen := w.group(t).Operation.ID, w.group(t).Turn()
			w.refusedFor(t, "doesn't say which operation it is about", test.ask(w, "", seen))
			w.refusedFor(t, "operation orders-1 is not the present one", test.ask(w, "orders-1", seen))
			if name != "abort, which is about the operation alone" {
				w.refusedFor(t, "doesn't say what was seen", test.ask(w, id, 0))
				w.refusedFor(t, "what was seen at index 1 has passed", test.ask(w, id, 1))
				w.refusedFor(t, "nobody can have seen index", test.ask(w, id, w.state.Applied+1))
			}
			w.accepted(t, "", 0, test.ask(w, id, seen))
		})
	}
}

// Who adopts by the looks of a majority says all there is to say. Who vouches for a member says of which group, and of which machine.
func TestS4_AnAdoptionVouchesForWhatTheOperatorSaw(t *testing.T) {
	const away = adopted + "observe all: pg-c=down(refused)\n"
	for name, test := range map[string]struct {
		meanwhile string
		refused   bool
	}{
		"nothing happened":            {"", false},
		"a look that changed nothing": {"observe all: pg-c=down(timeout)\n", false},
		"another policy":              {"apply orders automation=observe\n", false},
		"another machine of its name": {"apply orders fence=pg-c:other\nobserve all: pg-c=down(refused)\n", true},
		"adopted by somebody else":    {"adopt orders pg-a attest=pg-c\n", true},
		"it wrote, and was fenced":    {"observe c: pg-c=primary@1100\noutcome isolate CONFIRMED_OFF\nobserve all: pg-c=down(refused)\n", true},
	} {
		t.Run(name, func(t *testing.T) {
			w := given(t, away)
			word := w.adopt("pg-a", "pg-c")
			if word.Seen = w.group(t).sinceOf(word.Attested); test.meanwhile != "" {
				w.do(t, test.meanwhile)
			}
			if test.refused {
				w.refusedFor(t, "has passed: now it is orders with no operation in progress, under epoch", word)
			}
			unsaid := word
			unsaid.Seen = 0
			w.refusedFor(t, "doesn't say what was seen", unsaid)
			unsaid.Seen = w.state.Applied + 1
			w.refusedFor(t, "nobody can have seen index", unsaid)
			if test.refused {
				word.Seen = w.state.Applied
			}
			w.accepted(t, "", 0, word)
		})
	}
}

// refusedFor wants an operator's request refused as one that is about something else, with what to do instead unless it names another operation.
func (w *world) refusedFor(t *testing.T, why string, body Body) {
	t.Helper()
	rejected, refused := w.entry("", 0, body)
	if !refused || rejected.Rule != "S4" || !strings.Contains(rejected.Text, why) {
		t.Errorf("refused: %v, %s: %q, want S4 and %q", refused, rejected.Rule, rejected.Text, why)
	}
}
