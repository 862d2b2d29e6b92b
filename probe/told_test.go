package probe

import (
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
)

// A look that is told nothing leaves the facts as they were, and the report says of when they are.
func TestReport_SaysWhenItsFactsWereTold(t *testing.T) {
	check := failover.Check{Name: "postgres", Kind: failover.CheckPostgres, Required: true}
	told := &task{check: check}
	m := &member{tasks: []*task{told}}
	if r := m.report(0); r.Told != 0 {
		t.Errorf("told nothing yet: %v", r.Told)
	}
	for ended, facts := range []failover.Facts{{Role: failover.RoleStandby, Received: 7}, {}, {}} {
		look := Look{Facts: facts, Ended: time.Duration(ended + 1)}
		told.learn(look)
		told.last = look
	}
	if r := m.report(0); r.Told != 1 || r.Ended != 3 || !r.Observation.Facts.Stale || r.Observation.Facts.Received != 7 {
		t.Errorf("told at %v, looked at until %v: %+v", r.Told, r.Ended, r.Observation.Facts)
	}
}
