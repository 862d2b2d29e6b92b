package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/arbiter-ha/arbiter/internal/lab"
	"github.com/arbiter-ha/arbiter/internal/lab/database"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// The leader is killed with an operator's change in hand, before it is committed or before anybody has been told. The client asks the next leader, by the same
// request id: the change is answered as done, and was made once.
func TestScenario36_LeaderKilledWithARequest(t *testing.T) {
	full(t)
	for _, when := range []string{"before", "after"} {
		t.Run(when+" a failover", func(t *testing.T) {
			s := enter(t, plan{failpoints: true})
			before, operations := s.state(s.primary), len(s.operations())
			s.fault = lab.Now()
			dead := s.killedBy(when+"-request-failover.StartOperation", func() error {
				_, err := s.api.Failover(s.ctx, &arbiterv1.FailoverRequest{Change: change(), Group: lab.Group})
				return err
			})
			to, op := s.failedOver()
			s.promoted(to, op)
			s.afterwards(dead, before, to, op, operations)
		})
		t.Run(when+" a pause", func(t *testing.T) {
			s := enter(t, plan{failpoints: true})
			began := s.lastEvent()
			dead := s.killedBy(when+"-request-failover.Pause", func() error {
				_, err := s.api.Pause(s.ctx, &arbiterv1.PauseRequest{Change: change(), Group: lab.Group})
				return err
			})
			s.toldOnce(began, "group-paused")
			if s.status().GetPause() == nil {
				t.Error("the group is not paused")
			}
			s.must(dead.Start())
		})
		t.Run(when+" a spec", func(t *testing.T) {
			s := enter(t, plan{failpoints: true})
			began := s.lastEvent()
			dead := s.killedBy(when+"-request-failover.ApplySpec", func() error {
				s.apply(s.yaml(plan{policy: []string{"max_attempts: 7"}}))
				return nil
			})
			s.toldOnce(began, "group-applied")
			if out, err := s.Ctl(s.ctx, "get", lab.Group); err != nil || !strings.Contains(string(out), "max_attempts: 7") {
				t.Errorf("get: %v\n%s", err, out)
			}
			s.must(dead.Start())
		})
	}
}

// A follower is frozen, and the leader killed around the entry that voids its view. There is no majority until the frozen one goes on; then all is as it was, and
// a failover goes well.
func TestScenario36_LeaderKilledWithAnExpiredView(t *testing.T) {
	full(t)
	for _, when := range []string{"before", "after"} {
		t.Run(when, func(t *testing.T) {
			s := enter(t, plan{failpoints: true})
			_, others := s.followers()
			place := when + "-commit-failover.ExpireView"
			setFailpoint(s.Lab, "kill "+place)
			s.must(others[0].Host().Freeze(s.ctx))
			s.reached(place)
			dead := s.dead()
			s.must(others[0].Host().Thaw())
			s.until("steady with a primary that is up", func(g *arbiterv1.GroupStatus) bool { return steady(g) && primaryIs("up")(g) })
			s.nothingDone()
			s.must(dead.Start())
			s.crash()
			s.promoted(s.failedOver())
		})
	}
}

// Every place of the program at which a build for tests can end it is one where scenario 36 ends it. Entries' names are made while it runs; one that
// is added to a failover is found missing by the scenario itself (onceOnly).
func TestScenario36_EveryPlaceIsKilledAt(t *testing.T) {
	killed := []string{"before-views-status"} // it is for waiting at: nothing is committed or done there
	for _, k := range killings() {
		killed = append(killed, k.place)
	}
	place := regexp.MustCompile(`(?:failpoint\.Pass\(\w+, |\.pass\()"([^"]+-[^"]+-[^"]+)"`)
	found := 0
	for _, folder := range []string{"arbiter", "engine", "fence", "route"} {
		files, err := filepath.Glob(filepath.Join("..", "..", folder, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no Go files in %s: %v", folder, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, match := range place.FindAllStringSubmatch(string(text), -1) {
				found++
				if !slices.Contains(killed, match[1]) {
					t.Errorf("%s: no leader is killed at %s", file, match[1])
				}
			}
		}
	}
	if found < 10 {
		t.Errorf("only %d places were found: has their form changed?", found)
	}
}

// killedBy makes a request that kills the leader at a place, and that must succeed all the same.
func (s *stage) killedBy(place string, request func() error) *lab.Arbiter {
	s.t.Helper()
	setFailpoint(s.Lab, "kill "+place)
	s.must(request())
	s.reached(place)
	return s.dead()
}

// afterwards asserts that there is one operation more than there were, that nothing in it was done twice, and that all arbiters are there again.
func (s *stage) afterwards(dead *lab.Arbiter, before database.State, to *database.Server, op *arbiterv1.Operation, operations int) {
	s.t.Helper()
	s.must(dead.Start())
	s.until("steady", steady)
	s.onceOnly(before, to, op)
	s.newEpochs(dead, op)
	if now := s.operations(); len(now) != operations+1 {
		s.t.Errorf("%d operations before the request, and now %q", operations, now)
	}
}

// toldOnce asserts that an event came once since another one.
func (s *stage) toldOnce(after uint64, kind string) {
	s.t.Helper()
	told := 0
	for _, e := range s.events(after) {
		if e.GetGroup() == lab.Group && e.GetKind() == kind {
			told++
		}
	}
	if told != 1 {
		s.t.Errorf("%q was told %d times, want once: %v", kind, told, s.events(after))
	}
}
