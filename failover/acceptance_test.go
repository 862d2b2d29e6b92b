package failover

import (
	"slices"
	"strings"
	"testing"
)

// What could spare a loss depends on whether the primary is there: nobody catches up with one that is gone. An estimate is named as one, and
// where it is nothing no amount is offered.
func TestLossCommands(t *testing.T) {
	const release, reason = `arbiterctl release orders --seen `, ` --reason "..."`
	const estimate = "or, if that can't be, accept the loss once. Its amount is an estimate: what pg-a wrote after it was last seen is lost too:"
	const nothingSeen = "or, if that can't be, accept the loss once. Nobody knows how large it is: nothing is seen that would be lost, but what pg-a wrote after it was last seen is lost too:"
	behind := strings.Replace(adopted, "pg-b=standby@1000 pg-c=standby@990", "pg-b=standby@999 pg-c=standby@150", 1)
	behind = strings.Replace(behind, "max_loss=100", "max_loss=none", 1)
	level := strings.Replace(adopted, "max_loss=100", "max_loss=none", 1)
	for name, c := range map[string]struct {
		log  string
		want []string
	}{
		"the primary serves": {behind + "failover orders\nlook-again answers\n", []string{
			"wait for pg-b to catch up with pg-a: it goes on by itself", estimate, "--accept-loss 1",
		}},
		"the primary is down": {behind + "observe all: pg-a=down(refused)\nlook-again answers\n", []string{
			"bring back pg-a, on which nothing was done, and this ends by itself; or a standby that holds more, and it goes on by itself", estimate, "--accept-loss 1",
		}},
		"it died under an operator's failover": {behind + "failover orders\nlook-again answers\nobserve all: pg-a=down(refused)\n", []string{
			"bring back pg-a, on which nothing was done, so that pg-b can catch up, or a standby that holds more: it goes on by itself", estimate, "--accept-loss 1",
		}},
		"it is fenced": {level + "observe all: pg-a=down(refused)\nlook-again answers\nrelease orders accept_loss=0\nlook-again answers\noutcome isolate CONFIRMED_OFF\noutcome catch_up pg-b@999\n", []string{
			"bring back a standby that holds more: it goes on by itself", estimate, "--accept-loss 1",
		}},
		"nothing is seen to be lost": {level + "observe all: pg-a=down(refused)\nlook-again answers\n", []string{
			"bring back pg-a, on which nothing was done, and this ends by itself; or a standby that holds more, and it goes on by itself", nothingSeen, "--accept-loss unknown --member pg-b",
		}},
	} {
		w := given(t, c.log)
		w.wantStage(t, Held)
		got := Explain(&w.state, "orders", Durations{SinceLastFailover: -1}).Next
		last := len(c.want) - 1
		if len(got) != len(c.want) || !slices.Equal(got[:last], c.want[:last]) || !strings.HasPrefix(got[last], release) || !strings.HasSuffix(got[last], " "+c.want[last]+reason) {
			t.Errorf("%s: %q\nwant %q", name, got, c.want)
		}
	}
}

// Who held too little when it was held, and does not even answer now, is promoted by no acceptance.
func TestLossCommands_OfOneThatIsGoneMeanwhile(t *testing.T) {
	w := given(t, strings.Replace(adopted, "pg-b=standby@1000 pg-c=standby@990", "pg-b=standby@200 pg-c=standby@150", 1)+
		"failover orders\nlook-again answers\nkeep a\nobserve all: pg-b=down(refused) pg-c=down(refused)\n") // the leader has not held it anew yet
	if reason := w.group(t).Hold.Reason; reason != HoldLossBound {
		t.Fatalf("held for %s", reason)
	}
	if got, want := Explain(&w.state, "orders", Durations{SinceLastFailover: -1}).Next, []string{"wait for a standby to catch up with pg-a: it goes on by itself"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestInBytes(t *testing.T) {
	for bytes, want := range map[uint64]string{0: "0 bytes", 1: "1 byte", 2: "2 bytes"} {
		if got := (LossBound{Grade: LossEstimate, Bytes: bytes, Why: "why"}).String(); got != want+" (estimate: why)" {
			t.Errorf("%d: %q", bytes, got)
		}
	}
}
