package arbiter

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/clock"
)

// askedPaths is a fleet whose fence paths are asked, and when each was.
type askedPaths struct {
	*fencePaths

	mu      sync.Mutex
	state   *failover.State
	times   map[memberKey][]time.Duration
	took    time.Duration // how long each answer takes
	unarmed map[memberKey]bool
	running int
	most    int
}

const smallFleet = 30 * time.Second

// watchPaths starts to watch the paths of groups with three members each.
func watchPaths(t *testing.T, groups int) *askedPaths {
	t.Helper()
	a := &askedPaths{times: map[memberKey][]time.Duration{}, took: 20 * time.Millisecond, unarmed: map[memberKey]bool{}}
	c := clock.Monotonic()
	a.setGroups(groups)
	ask := func(ctx context.Context, m failover.MemberSpec) failover.FencePath {
		key := memberKey{failover.GroupName(m.Zone), m.Name}
		a.mu.Lock()
		a.times[key] = append(a.times[key], c.Boot())
		a.running++
		a.most = max(a.most, a.running)
		took, armed := a.took, !a.unarmed[key]
		a.mu.Unlock()
		_ = clock.Pause(ctx, took)
		a.mu.Lock()
		defer a.mu.Unlock()
		a.running--
		return failover.FencePath{Member: m.Name, Armed: armed}
	}
	current := func() *failover.State {
		a.mu.Lock()
		defer a.mu.Unlock()
		return a.state
	}
	a.fencePaths = newFencePaths(smallFleet, c, current, ask, func(failover.FencePath) {})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = a.run(ctx)
	}()
	t.Cleanup(func() { cancel(); <-ended })
	return a
}

// setGroups makes the state one of so many groups, all at version 1.
func (a *askedPaths) setGroups(n int) {
	s := failover.NewState()
	for i := range n {
		s.Groups = append(s.Groups, pathGroup(fmt.Sprintf("g%04d", i), 1))
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.state = &s
}

// pathGroup is a group of three; its name stands in the members' zone too, so that it is known who is asked about.
func pathGroup(name string, version uint64) *failover.Group {
	g := &failover.Group{Name: failover.GroupName(name), SpecVersion: version, Spec: &failover.Spec{}}
	for _, m := range []failover.MemberName{"db1", "db2", "db3"} {
		g.Spec.Members = append(g.Spec.Members, failover.MemberSpec{Name: m, Zone: name})
		g.Members = append(g.Members, failover.Member{Name: m})
	}
	return g
}

// asked is how often each path was asked, the least and the most, and how many have been asked.
func (a *askedPaths) asked() (paths, least, most int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, times := range a.times {
		if least == 0 || len(times) < least {
			least = len(times)
		}
		most = max(most, len(times))
	}
	return len(a.times), least, most
}

func (a *askedPaths) timesOf(key memberKey) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.times[key])
}

// together is how many were asked at the same time, at most.
func (a *askedPaths) together() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.most
}

func (a *askedPaths) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.times = map[memberKey][]time.Duration{}
}

func TestFencePaths_SmallFleetIsAskedAtOnceAndThenEvery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := watchPaths(t, 1)
		time.Sleep(25 * time.Millisecond)
		if paths, _, _ := a.asked(); paths != 3 {
			t.Fatalf("%d of 3 paths were asked at once", paths)
		}
		time.Sleep(10 * smallFleet)
		if _, least, most := a.asked(); least < 10 || most > 12 {
			t.Errorf("the paths were asked between %d and %d times, want one time in %v", least, most, smallFleet)
		}
	})
}

func TestFencePaths_LargeFleetHasAPace(t *testing.T) {
	const groups = 400
	synctest.Test(t, func(t *testing.T) {
		a := watchPaths(t, groups)
		time.Sleep(3 * groups * fencePathFirst)
		if paths, _, _ := a.asked(); paths != 3*groups {
			t.Fatalf("at first %d of %d paths were asked", paths, 3*groups)
		}
		if n := a.together(); n > fencePathsAtOnce {
			t.Errorf("%d were asked at the same time", n)
		}
		time.Sleep(2 * fencePathLongest) // over the first round
		a.forget()
		const rounds = 4
		for minute := range rounds * fencePathLongest / time.Minute {
			before := a.total()
			time.Sleep(time.Minute)
			if n := a.total() - before; n > 2*3*groups*int(time.Minute)/int(fencePathLongest)+1 {
				t.Fatalf("minute %d: %d paths were asked", minute, n)
			}
		}
		if paths, least, most := a.asked(); paths != 3*groups || least < rounds-1 || most > rounds+1 {
			t.Errorf("in %d times %v %d paths were asked, each %d to %d times", rounds, fencePathLongest, paths, least, most)
		}
	})
}

func (a *askedPaths) total() (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, times := range a.times {
		n += len(times)
	}
	return n
}

func TestFencePaths_PaceNeverKeepsAGroupUnarmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := watchPaths(t, 200)
		time.Sleep(600*fencePathFirst + time.Minute)
		a.forget()
		a.setGroups(201)
		a.wake()
		time.Sleep(25 * time.Millisecond)
		if new := (memberKey{"g0200", "db3"}); a.timesOf(new) != 1 {
			t.Error("the new group's paths were not asked at once")
		}
		unarmed := memberKey{"g0007", "db2"}
		a.mu.Lock()
		a.unarmed[unarmed] = true
		a.mu.Unlock()
		time.Sleep(fencePathInterval(smallFleet, 603) + time.Minute)
		a.forget()
		time.Sleep(10 * smallFleet)
		if n := a.timesOf(unarmed); n < 9 {
			t.Errorf("an unarmed path was asked %d times in %v: its repair would be noticed late", n, 10*smallFleet)
		}
	})
}

func TestFencePaths_AChangeWhileItIsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := watchPaths(t, 1)
		time.Sleep(a.took / 2)
		changed := failover.NewState()
		changed.Groups = []*failover.Group{pathGroup("g0000", 2)}
		a.mu.Lock()
		a.state = &changed
		a.mu.Unlock()
		a.wake()
		time.Sleep(a.took + 3*fencePathFirst)
		if _, least, most := a.asked(); least != 2 || most != 2 {
			t.Errorf("the paths were asked %d to %d times, want again as soon as the answers about the old spec were there", least, most)
		}
		a.setGroups(0)
		a.wake()
		a.forget()
		time.Sleep(2 * smallFleet)
		if paths, _, _ := a.asked(); paths != 0 {
			t.Errorf("%d paths of a deleted group were asked", paths)
		}
	})
}
