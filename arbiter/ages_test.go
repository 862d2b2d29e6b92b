package arbiter

import (
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
)

// Of who does not say where it is no distance is told, not even 0; where it is told, it is as old as what was told of the two, however often they were
// asked in vain since.
func TestLag_IsToldWhereItIsKnown(t *testing.T) {
	f, n := newLossFixture()
	tell := func(member failover.MemberName, reason failover.Reason, facts failover.Facts) {
		r := f.report(member, reason)
		if r.Observation.Facts = facts; !facts.Stale {
			r.Told = Told{Began: r.Began, Ended: r.Ended}
		}
		f.observe(r)
	}
	tell("db1", failover.ReasonAnswered, failover.Facts{Role: failover.RolePrimary, AcceptsWrites: true, Written: 5000})
	f.clock.Advance(time.Minute)
	tell("db1", failover.ReasonTimeout, failover.Facts{Role: failover.RolePrimary, Stale: true, Written: 5000})
	tell("db2", failover.ReasonAnswered, failover.Facts{Role: failover.RoleStandby, Received: 3000})
	tell("db3", failover.ReasonTimeout, failover.Facts{Role: failover.RoleStandby, Stale: true, Received: 2000})
	if lag, age := n.lag(f.group, "db2"), n.lagAge(f.group, "db2"); lag == nil || *lag != 2000 || age.AsDuration().Truncate(time.Minute) != time.Minute {
		t.Errorf("db2 is %v behind, %v ago", lag, age)
	}
	for _, member := range []failover.MemberName{"db1", "db3", "db9"} {
		if lag, age := n.lag(f.group, member), n.lagAge(f.group, member); lag != nil || age != nil {
			t.Errorf("%s is %v behind, %v ago", member, lag, age)
		}
	}
}
