package probe

import (
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
)

// What a member tells is as old as the look that was told it. That another required check was made long before says nothing of it, and bounds all that is decided
// as before.
func TestReport_WhatWasToldIsAsOldAsItsLook(t *testing.T) {
	telling := func(began, ended time.Duration) Look {
		return Look{Began: began, Ended: ended, Facts: failover.Facts{Role: failover.RoleStandby, Received: failover.LSN(ended)}}
	}
	postgres := &task{check: failover.Check{Name: "postgres", Required: true}}
	slow := &task{check: failover.Check{Name: "tcp", Required: true}, last: Look{Began: 1, Ended: 2}}
	m := &member{tasks: []*task{postgres, slow}}
	for _, step := range []struct {
		name  string
		look  Look
		began time.Duration
		ended time.Duration
	}{
		{"nothing was told yet", Look{Began: 3, Ended: 4}, 0, 0},
		{"it told", telling(20, 25), 20, 25},
		{"it did not answer", Look{Began: 30, Ended: 35}, 20, 25},
		{"it told what could not all be examined", func() Look { l := telling(40, 45); l.Partial = true; return l }(), 40, 45},
	} {
		if postgres.learn(step.look); !step.look.Partial {
			postgres.last = step.look
		}
		r := m.report(0)
		if r.ToldBegan != step.began || r.ToldEnded != step.ended {
			t.Errorf("%s: from %v to %v, want %v to %v", step.name, r.ToldBegan, r.ToldEnded, step.began, step.ended)
		}
		if r.Began != 1 || r.Ended != 2 {
			t.Errorf("%s: what decides goes by a look from %v to %v", step.name, r.Began, r.Ended)
		}
	}
}
