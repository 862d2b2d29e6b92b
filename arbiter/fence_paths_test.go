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
	broken  func(memberKey) bool // no device answers; nil: all do
	hang    time.Duration        // how long each of the broken ones takes
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
		key := memberKey{Group: failover.GroupName(m.Zone), Member: m.Name}
		a.mu.Lock()
		a.times[key] = append(a.times[key], c.Boot())
		a.running++
		a.most = max(a.most, a.running)
		took, armed := a.took, !a.unarmed[key]
		if a.broken != nil && a.broken(key) {
			took, armed = a.hang, false
		}
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

// setGroups makes the state one of so many groups.
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
func pathGroup(name string, since failover.Index) *failover.Group {
	g := &failover.Group{Name: failover.GroupName(name), SpecSince: since, Spec: &failover.Spec{}}
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
		if new := (memberKey{Group: "g0200", Member: "db3"}); a.timesOf(new) != 1 {
			t.Error("the new group's paths were not asked at once")
		}
		unarmed := memberKey{Group: "g0007", Member: "db2"}
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

// breaks says whose devices don't answer from now on, and how long each takes not to.
func (a *askedPaths) breaks(broken func(memberKey) bool, hang time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.broken, a.hang = broken, hang
}

// longest is the longest time that any path which was asked so far was not, until now.
func (a *askedPaths) longest(of func(memberKey) bool) (longest time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for key, times := range a.times {
		for i, at := range times {
			next := a.clock.Boot()
			if i+1 < len(times) {
				next = times[i+1]
			}
			if of(key) {
				longest = max(longest, next-at)
			}
		}
	}
	return longest
}

// However many paths are unarmed, the repair of each is noticed as soon as the pace of new ones allows.
func TestFencePaths_AllUnarmed(t *testing.T) {
	const groups = 300
	const round = 3 * groups * fencePathFirst
	synctest.Test(t, func(t *testing.T) {
		all := func(memberKey) bool { return true }
		a := watchPaths(t, groups)
		a.breaks(all, a.took)
		time.Sleep(2 * round)
		a.forget()
		const minutes = 4
		for second := range minutes * 60 {
			before := a.total()
			time.Sleep(time.Second)
			if n := a.total() - before; n > int(time.Second/fencePathFirst)+fencePathsAtOnce {
				t.Fatalf("second %d: %d paths were asked", second, n)
			}
		}
		if paths, least, _ := a.asked(); paths != 3*groups || least < minutes {
			t.Errorf("in %d minutes %d of %d paths were asked, each at least %d times", minutes, paths, 3*groups, least)
		}
		if gap := a.longest(all); gap > round+5*time.Second {
			t.Errorf("a path was not asked for %v, want %v", gap, round)
		}
	})
}

// Devices that hang until their time-out leave a place to new paths, and their turns to those that answer.
func TestFencePaths_HangingDevices(t *testing.T) {
	const groups, hang = 20, 20 * time.Second
	hanging := func(key memberKey) bool { return key.Group < "g0004" } // 12 of 60
	answering := func(key memberKey) bool { return !hanging(key) }
	synctest.Test(t, func(t *testing.T) {
		a := watchPaths(t, groups)
		a.breaks(hanging, hang)
		time.Sleep(10 * time.Minute)
		a.forget()
		time.Sleep(20 * time.Minute)
		if gap := a.longest(hanging); gap > 12*hang/fencePathsUnarmed+2*smallFleet {
			t.Errorf("a hanging path was not asked for %v", gap)
		}
		if gap := a.longest(answering); gap > 3*groups*fencePathShare+smallFleet {
			t.Errorf("beside hanging ones a path was not asked for %v, want about %v", gap, 3*groups*fencePathShare)
		}
		a.breaks(func(key memberKey) bool { return key.Group < "g0020" }, hang) // all that there are, and most were armed
		for i := range 20 {
			a.setGroups(groups + i + 1)
			a.wake()
			time.Sleep(4 * fencePathFirst)
			for _, m := range []failover.MemberName{"db1", "db2", "db3"} {
				if key := (memberKey{Group: failover.GroupName(fmt.Sprintf("g%04d", groups+i)), Member: m}); a.timesOf(key) != 1 {
					t.Fatalf("beside hanging ones the new path %v was not asked at once", key)
				}
			}
			time.Sleep(7 * time.Second)
		}
	})
}

// What is known of a path decides who leads: one by which a fence was not proven is asked at once, and once for each try.
func TestFencePaths_AfterAFenceThatWasNotProven(t *testing.T) {
	const groups = 20
	failed := memberKey{Group: "g0007", Member: "db2"}
	try := func(outcome failover.Index, action failover.ActionKind, result failover.Result) failover.Step {
		return failover.Step{Name: string(action), Member: failed.Member, Intent: outcome - 1, Outcome: outcome, Result: result}
	}
	stage := failover.Step{Name: "held", Member: failed.Member}
	for name, test := range map[string]struct {
		steps []failover.Step
		want  int
	}{
		"not proven":             {[]failover.Step{try(100, failover.ActionIsolate, failover.ResultUnknown), stage}, 1},
		"not proven twice":       {[]failover.Step{try(100, failover.ActionIsolate, failover.ResultUnknown), try(110, failover.ActionIsolate, failover.ResultFailed)}, 2},
		"proven":                 {[]failover.Step{try(100, failover.ActionIsolate, failover.ResultDone)}, 0},
		"a promotion that fails": {[]failover.Step{try(100, failover.ActionPromote, failover.ResultFailed)}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := watchPaths(t, groups)
				time.Sleep(3*groups*fencePathFirst + time.Second)
				a.forget()
				asked := 0
				for i := range test.steps {
					for n := a.timesOf(failed); a.timesOf(failed) == n; { // until its turn has just been: the next one is far away
						time.Sleep(a.took)
					}
					time.Sleep(2 * a.took)
					a.setGroups(groups)
					a.state.Group(failed.Group).Operation = &failover.Operation{Steps: test.steps[:i+1]}
					for range 2 {
						before := a.timesOf(failed)
						a.wake()
						synctest.Wait() // at once: no time passes
						asked += a.timesOf(failed) - before
						time.Sleep(2 * a.took)
					}
				}
				if asked != test.want {
					t.Errorf("the path was asked %d times, want %d", asked, test.want)
				}
			})
		})
	}
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
		if _, least, most := a.asked(); least < 2 || most > 3 { // the turn of one, which is drawn, may come besides
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
