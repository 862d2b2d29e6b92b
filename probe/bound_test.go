package probe

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/arbiter-ha/arbiter/failover"
)

// TestReportsAreBounded: what a member says goes into every arbiter's log, whatever it says.
func TestReportsAreBounded(t *testing.T) {
	var names []string
	var replicas []failover.Replica
	for i := range mostNames + 1 {
		names = append(names, fmt.Sprintf("pg-%03d", i))
		replicas = append(replicas, failover.Replica{Name: names[i]})
	}
	long := strings.Repeat("x", longestName+1)
	rule := func(names ...string) failover.SyncRule { return failover.SyncRule{Need: 1, Names: names} }
	for _, test := range []struct {
		name     string
		facts    failover.Facts
		names    int
		replicas int
	}{
		{"as much as there is room for", failover.Facts{SyncRule: rule(names[1:]...), Replicas: replicas[1:]}, mostNames, mostNames},
		{"too many", failover.Facts{SyncRule: rule(names...), Replicas: replicas}, 0, mostNames},
		{"too long", failover.Facts{SyncRule: rule("pg-b", long), Replicas: []failover.Replica{{Name: "pg-b"}, {Name: long}}}, 0, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.facts.Role = failover.RolePrimary
			inBubble(t, plain, func(r *rig) {
				r.checker.look = func(context.Context, failover.MemberName, int) Look {
					detail := strings.Repeat("é", 450_000)
					return Look{Evidence: failover.Evidence{Reason: failover.ReasonWrongAnswer, Detail: "x" + detail}, Facts: test.facts}
				}
				r.scheduler.SetTargets(targets(fastCheck(), "pg-a"))
				time.Sleep(2 * time.Second)
				r.wantState("pg-a", failover.ReasonWrongAnswer)
				report := r.last("pg-a")
				for _, e := range []failover.Evidence{report.Observation.Checks[0].Evidence, report.Look.Evidence} {
					if len(e.Detail) > longestDetail || len(e.Detail) < longestDetail-2 || !utf8.ValidString(e.Detail) || !strings.HasSuffix(e.Detail, "é ...") {
						t.Errorf("detail: got %d bytes, %q", len(e.Detail), e.Detail)
					}
				}
				f := report.Observation.Facts
				if len(f.SyncRule.Names) != test.names || (f.SyncRule.Need == 0) != (test.names == 0) || len(f.Replicas) != test.replicas {
					t.Errorf("facts: got %d names of which %d are needed, %d standbys", len(f.SyncRule.Names), f.SyncRule.Need, len(f.Replicas))
				}
			})
		})
	}
}
