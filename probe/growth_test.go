package probe

import (
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
)

const ms = time.Millisecond

// standbyAt is a look at a standby that took 1 ms.
func standbyAt(began time.Duration, position failover.LSN, streaming bool) Look {
	return Look{
		Began: began, Ended: began + ms, Evidence: failover.Evidence{Reason: failover.ReasonAnswered},
		Facts: failover.Facts{Role: failover.RoleStandby, Received: position, Streaming: streaming},
	}
}

func primarySight(bad bool, ended time.Duration) sight {
	s := sight{member: "a", role: failover.RolePrimary, bad: bad, ended: ended}
	if !bad {
		s.says = failover.RolePrimary
	}
	return s
}

func TestGrowthNeedsTwoPositionsFromAfterTheFailure(t *testing.T) {
	var g growth
	g.primaryLook(primarySight(false, 10*ms))
	if grows, _ := g.standbyLook("b", standbyAt(11*ms, 100, true), 1000*ms); grows {
		t.Fatal("a healthy primary's standby grows: nothing to witness")
	}
	if !g.primaryLook(primarySight(true, 20*ms)) {
		t.Fatal("the first failing look was not noticed")
	}
	if g.primaryLook(primarySight(true, 30*ms)) {
		t.Fatal("the second failing look was taken for the first")
	}
	if grows, first := g.standbyLook("b", standbyAt(19*ms, 200, true), 1000*ms); grows || first {
		t.Fatal("a look that began before the failure counts for nothing")
	}
	if grows, first := g.standbyLook("b", standbyAt(21*ms, 300, true), 1000*ms); grows || !first {
		t.Fatalf("first position after the failure: got grows %v, first %v", grows, first)
	}
	if grows, first := g.standbyLook("b", standbyAt(46*ms, 300, true), 1000*ms); grows || first {
		t.Fatalf("the same position: got grows %v, first %v", grows, first)
	}
	if grows, _ := g.standbyLook("b", standbyAt(50*ms, 301, true), 1000*ms); !grows {
		t.Fatal("a greater position was not taken for growth")
	}
	if grows, _ := g.standbyLook("b", standbyAt(1000*ms, 301, true), 1000*ms); !grows {
		t.Fatal("growth was forgotten within three intervals")
	}
	if grows, _ := g.standbyLook("b", standbyAt(1100*ms, 301, false), 1000*ms); grows {
		t.Fatal("a standby that doesn't stream is a witness")
	}
	if grows, _ := g.standbyLook("b", standbyAt(3100*ms, 301, true), 1000*ms); grows {
		t.Fatal("growth was remembered for more than three intervals")
	}
	g.primaryLook(primarySight(false, 3200*ms))
	if grows, _ := g.standbyLook("b", standbyAt(3300*ms, 400, true), 1000*ms); grows {
		t.Fatal("the primary has recovered: nothing to witness")
	}
}

func TestGrowthFollowsTheRole(t *testing.T) {
	var g growth
	g.primaryLook(primarySight(false, 0))
	g.primaryLook(primarySight(true, 1*ms))
	newPrimary := sight{member: "b", role: failover.RolePrimary, says: failover.RolePrimary, ended: 2 * ms}
	g.primaryLook(newPrimary)
	g.primaryLook(primarySight(true, 3*ms)) // the former primary stays dead
	for i, position := range []failover.LSN{1, 2, 3} {
		if grows, _ := g.standbyLook("c", standbyAt(time.Duration(4+i)*ms, position, true), 1000*ms); grows {
			t.Fatal("the standby of the new, healthy primary is taken for a witness")
		}
	}
	newPrimary.bad, newPrimary.says = true, ""
	if !g.primaryLook(newPrimary) {
		t.Fatal("the new primary's failure was not noticed")
	}
}

func TestGrowthOfAPrimaryThatWasNeverSeenGood(t *testing.T) {
	var g growth
	stalled := primarySight(true, 1*ms)
	stalled.says = failover.RolePrimary // it answers, but its write is stalled
	if !g.primaryLook(stalled) {
		t.Fatal("the failure was not noticed")
	}
}
