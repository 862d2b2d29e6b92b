package probe

import (
	"strings"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
)

// letters abbreviate evidence in the scripts below.
func letter(t *testing.T, r byte) failover.Reason {
	t.Helper()
	reason, known := map[byte]failover.Reason{
		'g': failover.ReasonAnswered,
		'r': failover.ReasonRefused,
		't': failover.ReasonTimeout,
		'n': failover.ReasonNoRoute,
		's': failover.ReasonStartingUp,
		'x': failover.ReasonTooManyConnections,
		'c': failover.ReasonBadCredentials,
		'?': failover.ReasonNotYetSeen,
	}[r]
	if !known {
		t.Fatalf("letter %q", r)
	}
	return reason
}

// TestJudge gives looks, one letter each, and the state after each of them.
func TestJudge(t *testing.T) {
	for _, test := range []struct {
		name                string
		failures, successes int
		looks, states       string
	}{
		{"one failure is enough", 1, 1, "grg", "grg"},
		{"failures in a row", 3, 1, "grrr", "gggr"},
		{"a good look breaks the row", 3, 1, "grrgrrgr", "gggggggg"},
		{"the first good look is enough", 3, 3, "g", "g"},
		{"nothing is claimed before the first row is full", 3, 1, "rrr", "??r"},
		{"recovery takes successes in a row", 2, 2, "grrgrgg", "ggrrrrg"},
		{"dead and failing support failing", 3, 1, "grsr", "gggs"},
		{"dead, failing and cannot tell support cannot tell", 3, 1, "grcs", "gggc"},
		{"a claim gets milder at once", 3, 1, "grrrs", "gggrs"},
		{"and milder still", 3, 1, "grrrc", "gggrc"},
		{"and worse only by a full row", 3, 1, "grrrsrrr", "gggrsssr"},
		{"a claim gets milder also after a lone good look", 2, 2, "grrgs", "ggrrs"},
		{"reasons that take turns don't change it", 2, 1, "grrtrtr", "ggrrrrr"},
		{"another reason that fills the row does", 2, 1, "grrtt", "ggrrt"},
		{"but no answer is no answer", 2, 1, "gttnnttnn", "ggttttttt"},
		{"nor is a refusal one", 2, 1, "gttnnrrnn", "ggttttrrn"},
		{"no answer fills the row in both words", 2, 1, "grrntntntnt", "ggrrttttttt"},
		{"after refusals too", 3, 1, "grrrnntnntnnt", "gggrrrttttttt"},
		{"and is seen most as one reason", 3, 1, "grntnr", "gggttt"},
		{"the reason seen most is named", 3, 1, "grtt", "gggt"},
		{"the earliest of equals is named", 2, 1, "grt", "ggr"},
		{"too many connections alone", 2, 1, "gxx", "ggx"},
		{"thresholds below one count as one", 0, 0, "grg", "grg"},
	} {
		t.Run(test.name, func(t *testing.T) {
			j := newJudge(failover.Check{Failures: test.failures, Successes: test.successes})
			for i := range test.looks {
				j.count(failover.Evidence{Reason: letter(t, test.looks[i])}, time.Duration(i)*time.Second)
				if want := letter(t, test.states[i]); j.state.Reason != want {
					t.Fatalf("after %q: got %s, want %s", test.looks[:i+1], j.state.Reason, want)
				}
			}
		})
	}
}

// TestJudgeTowards gives looks, one letter each, and how many count towards more than the state claims after each of them.
func TestJudgeTowards(t *testing.T) {
	for _, test := range []struct {
		name, looks, counts string
	}{
		{"until the row is full, then the state says it", "grrrr", "01200"},
		{"a good look breaks the row", "grrgr", "01201"},
		{"before the first judgement", "rr", "12"},
		{"towards down while it is degraded", "gsssrr", "012012"},
		{"the same and milder count for nothing more", "grrrsc", "012000"},
	} {
		t.Run(test.name, func(t *testing.T) {
			j := newJudge(failover.Check{Failures: 3, Successes: 1})
			for i := range test.looks {
				last := failover.Evidence{Reason: letter(t, test.looks[i]), Detail: test.looks[:i+1]}
				j.count(last, 0)
				n, latest := j.towards()
				if n != int(test.counts[i]-'0') || n > 0 && latest != last {
					t.Errorf("after %q: got %d, the latest %v, want %c", test.looks[:i+1], n, latest, test.counts[i])
				}
			}
		})
	}
	t.Run("outside the window nothing counts", func(t *testing.T) {
		j := newJudge(failover.Check{Failures: 3, Window: 2 * time.Second})
		for at, want := range []int{1, 2, 2} {
			j.count(failover.Evidence{Reason: failover.ReasonRefused}, time.Duration(at)*2*time.Second)
			if n, _ := j.towards(); n != want {
				t.Errorf("after look %d: got %d, want %d", at, n, want)
			}
		}
	})
}

func TestJudgeWindow(t *testing.T) {
	j := newJudge(failover.Check{Failures: 3, Window: 2 * time.Second})
	j.count(failover.Evidence{Reason: failover.ReasonAnswered}, 0)
	for i, at := range []time.Duration{1, 4, 6} { // the three lie 5 s apart
		j.count(failover.Evidence{Reason: failover.ReasonRefused}, at*time.Second)
		if j.state.Reason != failover.ReasonAnswered {
			t.Fatalf("after look %d: got %s, want answered", i, j.state.Reason)
		}
	}
	j.count(failover.Evidence{Reason: failover.ReasonRefused}, 6*time.Second) // 4, 6, 6
	if j.state.Reason != failover.ReasonRefused {
		t.Fatalf("three within the window: got %s, want refused", j.state.Reason)
	}
}

func TestJudgeKeepsTheLatestDetail(t *testing.T) {
	j := newJudge(failover.Check{Failures: 2})
	for _, detail := range strings.Fields("one two three") {
		j.count(failover.Evidence{Reason: failover.ReasonRefused, Detail: detail}, 0)
	}
	if j.state.Detail != "three" {
		t.Fatalf("detail: got %q, want %q", j.state.Detail, "three")
	}
}

func TestJudgeAdjustKeepsTheCount(t *testing.T) {
	j := newJudge(failover.Check{Failures: 5})
	for range 3 {
		j.count(failover.Evidence{Reason: failover.ReasonRefused}, 0)
	}
	j.adjust(failover.Check{Failures: 2})
	if len(j.bad) != 2 {
		t.Fatalf("bad looks kept: got %d, want 2", len(j.bad))
	}
	j.count(failover.Evidence{Reason: failover.ReasonRefused}, 0)
	if j.state.Reason != failover.ReasonRefused {
		t.Fatalf("state: got %s, want refused", j.state.Reason)
	}
}

func TestJudgePressing(t *testing.T) {
	j := newJudge(failover.Check{Failures: 3})
	for _, step := range []struct {
		look byte
		want bool
	}{{'g', false}, {'t', false}, {'r', true}, {'g', false}, {'r', true}, {'r', true}, {'r', false}, {'r', false}} {
		j.count(failover.Evidence{Reason: letter(t, step.look)}, 0)
		if got := j.pressing(); got != step.want {
			t.Fatalf("after %c: got %v, want %v", step.look, got, step.want)
		}
	}
}

// A frozen server's queue of connections fills: when one was accepted last is told for as long as no answer comes, whatever the kernel makes of it; and whether
// one is accepted now by the newest look alone, since a person may have cut the machine's power.
func TestJudge_WhenAConnectionWasAccepted(t *testing.T) {
	for _, test := range []struct {
		name          string
		failures      int
		looks, states string // a capital letter: a connection was accepted
		last          []int  // the look that was accepted last, as told after each; 0: none
	}{
		{"one look is enough", 1, "tTtngntT", "tTttgnnN", []int{0, 2, 2, 2, 0, 0, 0, 8}},
		{"the queue is full once the threshold is reached", 3, "gTTttt", "gggttt", []int{0, 0, 0, 3, 3, 3}},
		{"it is full from the second look on", 3, "gTttnt", "gggttt", []int{0, 0, 0, 2, 2, 2}},
		{"the newest look counts", 3, "gttTtT", "gggTtT", []int{0, 0, 0, 4, 4, 6}},
		{"refused now", 3, "gTTTrrr", "gggTTTr", []int{0, 0, 0, 4, 4, 4, 0}},
		{"refused before", 3, "grTt", "gggt", []int{0, 0, 0, 3}},
	} {
		t.Run(test.name, func(t *testing.T) {
			j := newJudge(failover.Check{Failures: test.failures, Successes: 1})
			for i := range test.looks {
				lower := strings.ToLower(test.looks[i : i+1])[0]
				e := failover.Evidence{Reason: letter(t, lower)}
				if e.Accepted = lower != test.looks[i]; e.Accepted {
					e.AcceptedAt = failover.WallTime(i + 1)
				}
				j.count(e, time.Duration(i))
				state := strings.ToLower(test.states[i : i+1])[0]
				want := failover.Evidence{Reason: letter(t, state), Accepted: state != test.states[i], AcceptedAt: failover.WallTime(test.last[i])}
				if j.state != want {
					t.Errorf("after look %d: %+v, want %+v", i+1, j.state, want)
				}
			}
		})
	}
}
