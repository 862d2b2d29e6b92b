package arbiter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/fsm"
	"github.com/arbiter-ha/arbiter/internal/clock"
)

// watchedRoutes is a watch over settled groups whose writer is db1, "pay" and more if a test says so, and what it asked and proposed.
type watchedRoutes struct {
	*routeWatch

	mu       sync.Mutex
	group    failover.Group
	more     []failover.GroupName // groups like that one
	answer   func(route string) (string, error)
	hangs    func(ctx context.Context, asked string) // what a router does before it answers
	most     int                                     // were asked at the same time
	asking   int
	asked    []string
	proposed []failover.StartOperation
	refuses  error // what a proposal comes to
	told     *eventLog
	said     bytes.Buffer // the log
}

func newWatchedRoutes() *watchedRoutes {
	spec := &failover.Spec{Routes: []failover.Route{{Name: "front"}, {Name: "back"}}}
	spec.Policy.Automation = failover.AutomationFull
	w := &watchedRoutes{
		group: failover.Group{
			Name: "pay", Spec: spec, Adopted: true, Epoch: 7, SpecSince: 40, Stage: failover.Steady,
			Members: []failover.Member{{Name: "db1", Authority: failover.AuthorityWriter}, {Name: "db2", Authority: failover.AuthorityNone}},
			Looks: []failover.Look{{Node: "a", Generation: 1, Observation: failover.Observation{
				Member: "db1", Checks: []failover.CheckState{{Evidence: failover.Evidence{Reason: failover.ReasonAnswered}}},
				Facts: failover.Facts{Role: failover.RolePrimary, AcceptsWrites: true},
			}}},
		},
		answer: func(string) (string, error) { return "", nil }, hangs: func(context.Context, string) {}, told: newEventLog(),
	}
	w.routeWatch = &routeWatch{
		every: 10 * time.Second, clock: clock.Monotonic(), leading: newLatch(), events: w.told.after, log: hclog.New(&hclog.LoggerOptions{Output: &w.said, DisableTime: true}),
		program: func(r failover.Route) bool { return r.Router == "command" },
		places:  newRoutePlaces(), looking: map[routesLook]bool{},
	}
	w.state = func() *failover.State {
		w.mu.Lock()
		defer w.mu.Unlock()
		s := &failover.State{Voters: []failover.NodeID{"a"}, Views: []failover.View{{Node: "a", Generation: 1, Current: true}}}
		for _, name := range slices.Sorted(slices.Values(append([]failover.GroupName{w.group.Name}, w.more...))) {
			g := w.group
			g.Name = name
			s.Groups = append(s.Groups, &g)
		}
		return s
	}
	w.astray = func(ctx context.Context, r failover.Route, group *failover.Group, writer failover.MemberName) (look RouteLook) {
		asked := string(group.Name) + " " + r.Name + " " + string(writer)
		w.set(func() {
			w.asked = append(w.asked, asked)
			w.asking++
			w.most = max(w.most, w.asking)
		})
		w.hangs(ctx, asked)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.asking--
		what, err := w.answer(r.Name)
		if ctx.Err() != nil {
			what, err = "", context.Cause(ctx)
		}
		if what != "" {
			look.Astray = []Finding{{Member: writer, What: what}}
		}
		if err != nil {
			look.Unread = &Finding{Unreachable: true, What: err.Error(), Next: "start it"}
		}
		return look
	}
	w.propose = func(body failover.Body, done func(*fsm.Response, error)) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.proposed = append(w.proposed, body.(failover.StartOperation))
		done(&fsm.Response{}, w.refuses)
	}
	return w
}

func (w *watchedRoutes) set(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
}

// lead lets the watch run under an arbiter that leads until the test ends.
func (w *watchedRoutes) lead(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = w.run(ctx) // always the end of the context
	}()
	t.Cleanup(func() { stop(); <-ended })
	w.leading.set(true)
}

// after is how often a router was asked, and what was proposed, after some time more.
func (w *watchedRoutes) after(d time.Duration, asked string) (times int, proposed []failover.StartOperation) {
	time.Sleep(d)
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, a := range w.asked {
		if a == asked {
			times++
		}
	}
	return times, slices.Clone(w.proposed)
}

func TestRouteWatch_ProposesWhatIsAstray(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatchedRoutes()
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- w.run(ctx) }()
		after := func(d time.Duration) (asked, proposed int) {
			time.Sleep(d)
			synctest.Wait()
			w.mu.Lock()
			defer w.mu.Unlock()
			return len(w.asked), len(w.proposed)
		}
		if asked, _ := after(time.Minute); asked != 0 {
			t.Errorf("an arbiter that does not lead asked %q", w.asked)
		}
		w.leading.set(true)
		if asked, proposed := after(15 * time.Second); asked != 4 || proposed != 0 || !slices.Contains(w.asked, "pay front db1") {
			t.Errorf("two rounds of two routes that lead to the writer: asked %q, proposed %+v", w.asked, w.proposed)
		}
		w.set(func() {
			w.answer = func(route string) (string, error) {
				if route == "back" {
					return "nobody knows", errors.New("it does not answer")
				}
				return "front sends nobody to db1", nil
			}
		})
		want := failover.StartOperation{Group: "pay", Kind: failover.KindReroute, Epoch: 7, SpecSince: 40, Request: failover.Request{Reason: "db1: front sends nobody to db1"}}
		if _, proposed := after(10 * time.Second); proposed != 1 || w.proposed[0] != want {
			t.Errorf("proposed %+v, want %+v", w.proposed, want)
		}
		w.set(func() { w.group.Pause = &failover.Paused{} })
		before, _ := after(0)
		if asked, proposed := after(time.Minute); asked == before || proposed != 1 {
			t.Errorf("while the group is paused: asked %d times more, proposed %+v", asked-before, w.proposed)
		}
		stop()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("it ended with %v", err)
		}
	})
}

// hang lets the named routes hang until whoever asks gives up.
func (w *watchedRoutes) hang(asked ...string) {
	w.set(func() {
		w.hangs = func(ctx context.Context, a string) {
			if slices.Contains(asked, a) {
				<-ctx.Done()
			}
		}
	})
}

// A router that is silent until the time limit delays what is known of no other one: routes of other groups are brought back meanwhile, and the
// next round comes when it should. From then on it delays those of its own group no more either.
func TestRouteWatch_ASilentRouterDelaysNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatchedRoutes()
		w.more = []failover.GroupName{"shop"}
		w.hang("pay front db1")
		w.answer = func(route string) (string, error) { return route + " leads elsewhere", nil }
		w.lead(t)
		if asked, proposed := w.after(0, "pay back db1"); asked != 1 || len(proposed) != 1 || proposed[0].Group != "shop" {
			t.Errorf("at once: the other router of the group was asked %d times, proposed %+v", asked, proposed)
		}
		if _, proposed := w.after(askRoute, ""); len(proposed) != 2 || proposed[1].Group != "pay" || proposed[1].Request.Reason != "db1: back leads elsewhere" {
			t.Errorf("after the time limit: proposed %+v", proposed)
		}
		if asked, _ := w.after(w.every-askRoute, "shop front db1"); asked != 2 {
			t.Errorf("when the second round is due: asked %d times", asked)
		}
		if asked, proposed := w.after(0, "pay front db1"); asked != 2 || len(proposed) != 4 || proposed[2].Request.Reason == proposed[3].Request.Reason {
			t.Errorf("in the second round: the silent router is asked %d times, proposed %+v", asked, proposed)
		}
	})
}

// However many routers are silent until the time limit, none of those that answer waits for its turn behind them, and one that answers again
// is told from them.
func TestRouteWatch_ManySilentRouters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatchedRoutes()
		silent := []string{"pay front db1"}
		for i := range 19 {
			w.more = append(w.more, failover.GroupName(fmt.Sprintf("g%d", i)))
			silent = append(silent, fmt.Sprintf("g%d front db1", i))
		}
		w.hang(silent...)
		w.answer = func(route string) (string, error) { return route + " leads elsewhere", nil }
		w.lead(t)
		w.after(40*time.Second-time.Millisecond, "")
		w.set(func() { w.proposed = nil })
		if _, proposed := w.after(time.Millisecond, ""); len(proposed) != 20 {
			t.Errorf("a round of 20 routes that lead elsewhere beside as many silent routers: at once proposed %+v", proposed)
		}
		w.hang()
		w.after(time.Minute, "")
		w.set(func() { w.proposed = nil })
		if _, proposed := w.after(w.every, ""); len(proposed) != 20 || proposed[0].Request.Reason != "db1: front leads elsewhere; db1: back leads elsewhere" {
			t.Errorf("after all answered again: proposed %+v", proposed)
		}
	})
}

// In the first round of a reign it isn't known yet who is silent. However many are, those that answer wait for them only a moment.
func TestRouteWatch_TheFirstRoundWaitsForSilentRoutersOnlyAMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatchedRoutes()
		silent := []string{"pay front db1", "pay back db1"}
		for i := range 19 {
			name := fmt.Sprintf("g%d", i)
			w.more = append(w.more, failover.GroupName(name), failover.GroupName("well-"+name))
			silent = append(silent, name+" front db1", name+" back db1")
		}
		w.hang(silent...)
		w.answer = func(route string) (string, error) { return route + " leads elsewhere", nil }
		w.lead(t)
		turns := time.Duration((len(silent) + routesAtOnce - 1) / routesAtOnce)
		if _, proposed := w.after(turns*placePatience, ""); len(proposed) != 19 {
			t.Errorf("19 groups beside %d silent routers, after %v: proposed of %d", len(silent), turns*placePatience, len(proposed))
		}
	})
}

// That it isn't known where a route leads is logged once, and that it is again; a proposal that fails each time.
func TestRouteWatch_LogsWhatChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatchedRoutes()
		said := func() string {
			w.mu.Lock()
			defer w.mu.Unlock()
			defer w.said.Reset()
			return w.said.String()
		}
		w.hang("pay front db1")
		w.lead(t)
		const silent = "[WARN]  not known where a route leads: group=pay route=front error=\"its time limit has passed\"\n"
		w.after(time.Minute, "")
		if got := said(); got != silent {
			t.Errorf("while it is silent: %q", got)
		}
		w.set(func() { w.refuses = errors.New("no quorum") })
		w.answer = func(route string) (string, error) { return strings.TrimPrefix(route, "back"), nil }
		w.hang()
		w.after(w.every, "")
		const back, failed = "[INFO]  known again where a route leads: group=pay route=front\n", "[WARN]  fate of a reroute is unknown: group=pay error=\"no quorum\"\n"
		if got := said(); got != back+failed {
			t.Errorf("when it answers: %q", got)
		}
		w.hang("pay front db1")
		w.after(w.every+askRoute, "")
		said()
		w.leading.set(false)
		w.after(0, "")
		w.leading.set(true)
		w.after(askRoute, "")
		if got := said(); got != silent {
			t.Errorf("in another reign: %q", got)
		}
	})
}

// Nothing is kept of a route whose group was deleted, nor of one that is in the spec no more, however long the reign.
func TestRouteWatch_ForgetsWhatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatchedRoutes()
		w.more = []failover.GroupName{"stock"}
		w.hang("pay front db1", "pay back db1", "stock front db1")
		w.lead(t)
		for _, step := range []struct {
			change func()
			want   []watchedRoute
		}{
			{func() {}, []watchedRoute{{"pay", "back"}, {"pay", "front"}, {"stock", "back"}, {"stock", "front"}}},
			{func() { w.more = nil }, []watchedRoute{{"pay", "back"}, {"pay", "front"}}},
			{func() {
				spec := *w.group.Spec
				spec.Routes = spec.Routes[:1]
				w.group.Spec = &spec
			}, []watchedRoute{{"pay", "front"}}},
		} {
			w.set(step.change)
			w.after(2*w.every+askRoute, "")
			w.routeWatch.mu.Lock()
			kept := slices.SortedFunc(maps.Keys(w.newest), func(a, b watchedRoute) int { return strings.Compare(string(a.group)+a.name, string(b.group)+b.name) })
			w.routeWatch.mu.Unlock()
			if !slices.Equal(kept, step.want) {
				t.Errorf("kept %v, want %v", kept, step.want)
			}
		}
	})
}

// A look ends with the reign in which it began, and comes to nothing; the next reign begins with a round of its own.
func TestRouteWatch_LooksEndWithTheReign(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatchedRoutes()
		w.hang("pay front db1")
		w.answer = func(route string) (string, error) { return route + " leads elsewhere", nil }
		w.lead(t)
		w.after(time.Second, "")
		w.leading.set(false)
		w.after(time.Second, "")
		w.set(func() {
			if w.asking != 0 || len(w.proposed) != 0 || w.said.Len() != 0 {
				t.Errorf("after the reign: %d are asked still, proposed %+v, said %q", w.asking, w.proposed, w.said.String())
			}
		})
		w.leading.set(true)
		if asked, _ := w.after(0, "pay front db1"); asked != 2 {
			t.Errorf("when the next reign begins: asked %d times in all", asked)
		}
	})
}

// What is found stands in the order of the spec, whoever answers first.
func TestRouteWatch_FindingsKeepTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatchedRoutes()
		w.hangs = func(_ context.Context, asked string) {
			if asked == "pay front db1" {
				time.Sleep(time.Second)
			}
		}
		w.answer = func(route string) (string, error) { return route, nil }
		w.lead(t)
		if _, proposed := w.after(2*time.Second, ""); len(proposed) != 1 || proposed[0].Request.Reason != "db1: front; db1: back" {
			t.Errorf("proposed %+v", proposed)
		}
	})
}

// A look that does not end by its time limit is waited for, and not begun again beside itself.
func TestRouteWatch_NoLookBesideItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatchedRoutes()
		w.more = []failover.GroupName{"shop"}
		w.hangs = func(_ context.Context, asked string) {
			if asked == "pay front db1" {
				time.Sleep(25 * time.Second)
			}
		}
		w.lead(t)
		if asked, _ := w.after(24*time.Second, "pay front db1"); asked != 1 {
			t.Errorf("while it hangs it is asked %d times", asked)
		}
		if asked, _ := w.after(0, "shop front db1"); asked != 3 {
			t.Errorf("meanwhile the other group's is asked %d times", asked)
		}
		if asked, _ := w.after(10*time.Second, "pay front db1"); asked != 2 {
			t.Errorf("after it has ended it is asked %d times", asked)
		}
	})
}

// However many there are, only so many are asked at the same time, and all in the end.
func TestRouteWatch_AsksOnlySoManyAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatchedRoutes()
		for i := range 19 {
			w.more = append(w.more, failover.GroupName(fmt.Sprintf("g%d", i)))
		}
		w.hangs = func(context.Context, string) { time.Sleep(100 * time.Millisecond) }
		w.lead(t)
		w.after(time.Second, "")
		w.set(func() {
			if w.most != routesAtOnce || len(w.asked) != 40 {
				t.Errorf("%d were asked at the same time, %d in all", w.most, len(w.asked))
			}
		})
	})
}

// Programs are processes: however long they take, and also those that give no answer in time, only so many run at the same time. Routers that are
// asked over the network, of the same group too, do not wait for them.
func TestRouteWatch_RunsOnlySoManyPrograms(t *testing.T) {
	for name, takes := range map[string]time.Duration{"slow ones": 4 * time.Second, "silent ones": time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWatchedRoutes()
				w.group.Spec.Routes = []failover.Route{{Name: "front", Router: "command"}, {Name: "back", Router: "command"}}
				for i := range 199 {
					w.more = append(w.more, failover.GroupName(fmt.Sprintf("g%d", i)))
				}
				w.hangs = func(ctx context.Context, _ string) {
					select {
					case <-ctx.Done():
					case <-time.After(takes):
					}
				}
				w.lead(t)
				w.after(30*time.Minute, "")
				w.set(func() {
					if w.most < programsAtOnce || w.most > programsAtOnce+hungProgramsAtOnce || len(w.asked) < 2*400 {
						t.Errorf("%d ran at the same time, %d in all", w.most, len(w.asked))
					}
				})
			})
		})
	}
}

func TestRouteWatch_ProgramsDelayNoOtherRouter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatchedRoutes()
		w.group.Spec.Routes = []failover.Route{{Name: "front", Router: "command"}, {Name: "back", Router: "haproxy"}}
		for i := range 39 {
			w.more = append(w.more, failover.GroupName(fmt.Sprintf("g%d", i)))
		}
		w.hangs = func(_ context.Context, asked string) {
			if strings.Contains(asked, " front ") {
				time.Sleep(4 * time.Second)
			}
		}
		w.answer = func(route string) (string, error) { return route + " leads elsewhere", nil }
		w.lead(t)
		if _, proposed := w.after(0, ""); len(w.asked) != programsAtOnce+40 || len(proposed) != 40 || proposed[0].Request.Reason != "db1: back leads elsewhere" {
			t.Errorf("at once %d were asked, and proposed %+v", len(w.asked), proposed)
		}
	})
}

// What the leader has seen of a route can be told before anybody brings it back, and where nobody may.
func TestRouteWatch_TellsWhatIsAstray(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatchedRoutes()
		w.group.Pause = &failover.Paused{}
		w.answer = func(route string) (string, error) { return route + " in maint", nil }
		seen := w.seenAstray
		w.lead(t)
		_, proposed := w.after(time.Second, "")
		if got := seen(); got != "db1: front in maint; db1: back in maint" || len(proposed) != 0 {
			t.Errorf("of a paused group: %q, proposed %d", got, len(proposed))
		}
		w.set(func() {
			w.group.Pause = nil
			w.answer = func(route string) (string, error) {
				if route == "back" {
					return "", errors.New("silent")
				}
				return route + " in maint", nil
			}
		})
		if _, proposed = w.after(10*time.Second, ""); seen() != "db1: front in maint" || len(proposed) != 1 {
			t.Errorf("of one that is not: %q, proposed %d", seen(), len(proposed))
		}
		w.leading.set(false)
		if got := seen(); got != "" {
			t.Errorf("by an arbiter that leads no more: %q", got)
		}
		w.leading.set(true)
		w.set(func() { w.answer = func(string) (string, error) { return "", nil } })
		if w.after(11*time.Second, ""); seen() != "" {
			t.Errorf("once it is right again: %q", seen())
		}
		w.set(func() { w.answer = func(route string) (string, error) { return "astray", nil } })
		w.after(10*time.Second, "")
		w.set(func() { w.group.Operation = &failover.Operation{} })
		if seen() != "" {
			t.Errorf("while an operation moves them: %q", seen())
		}
	})
	if (*routeWatch)(nil).seen(&failover.State{}, &failover.Group{}) != nil {
		t.Error("where nobody looks at routes")
	}
}

// seenNow is what is told of the routes of the first group.
func (w *watchedRoutes) seenNow() []seenRoute {
	s := w.state()
	return w.seen(s, s.Group("pay"))
}

// seenAstray is what of them is told to lead elsewhere.
func (w *watchedRoutes) seenAstray() string {
	var found []Finding
	for _, r := range w.seenNow() {
		found = append(found, r.Astray...)
	}
	return astrayInWords(found)
}

// seenSilent is how long it is told of each route that its router does not answer.
func (w *watchedRoutes) seenSilent() string {
	var words []string
	for _, r := range w.seenNow() {
		if r.Unread != nil {
			words = append(words, fmt.Sprintf("%s for %v: %s", r.name, w.clock.Boot()-r.since, r.Unread.What))
		}
	}
	return strings.Join(words, ", ")
}

// A router that does not answer is told with the time since the first look that it left without an answer, however many followed. An answer, another leader or
// another spec ends that; what was done to the group since does not, but is no longer told of what was seen before.
func TestRouteWatch_TellsWhichRoutersAreSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatchedRoutes()
		w.hang("pay front db1")
		w.lead(t)
		want := func(when string, passed time.Duration, silent string) {
			t.Helper()
			if w.after(passed, ""); w.seenSilent() != silent {
				t.Errorf("%s: told %q, want %q", when, w.seenSilent(), silent)
			}
		}
		want("while it is asked first", askRoute-time.Millisecond, "")
		want("after that look", time.Millisecond, "front for 5s: its time limit has passed")
		want("after the next one", w.every, "front for 15s: its time limit has passed")
		w.hang()
		want("when it answers", w.every-askRoute, "")
		w.set(func() { w.answer = func(string) (string, error) { return "", errors.New("refused") } })
		want("when all are silent", w.every, "front for 0s: refused, back for 0s: refused")
		want("later", 2*w.every+time.Second, "front for 21s: refused, back for 21s: refused")
		w.set(func() { w.group.Epoch++ })
		want("after something was done", 0, "")
		want("and they were asked again", w.every, "front for 31s: refused, back for 31s: refused")
		w.set(func() { w.group.SpecSince++ })
		want("under another spec", w.every, "front for 1s: refused, back for 1s: refused")
		w.leading.set(false)
		want("by one that leads no more", 0, "")
		w.leading.set(true)
		want("in another reign", time.Second, "front for 1s: refused, back for 1s: refused")
	})
}

// ended lets an operation on the first group end.
func (w *watchedRoutes) ended() {
	w.set(func() {
		w.group.Epoch, w.group.Operation = w.group.Epoch+1, nil
		w.told.add([]failover.Event{{Sequence: uint64(w.group.Epoch), Kind: failover.OperationEnded, Group: "pay"}}, uint64(w.group.Epoch))
	})
}

// When a reroute has put the routes right this is told at once, not when the next round is due. What that look finds is brought back no sooner than before.
func TestRouteWatch_LooksAgainWhenAnOperationEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatchedRoutes()
		w.more = []failover.GroupName{"shop"}
		w.answer = func(route string) (string, error) { return route + " in maint", nil }
		w.lead(t)
		if w.after(time.Second, ""); w.seenAstray() != "db1: front in maint; db1: back in maint" {
			t.Errorf("before: told %q", w.seenAstray())
		}
		w.set(func() { w.group.Operation = &failover.Operation{} })
		w.set(func() { w.proposed, w.asked = nil, nil })
		w.set(func() {
			w.answer = func(route string) (string, error) { return strings.TrimPrefix(route, "front"), nil }
		})
		w.set(func() { w.group.Epoch++ })
		if w.seenAstray() != "" {
			t.Errorf("before anybody has looked again: %q", w.seenAstray())
		}
		w.ended()
		asked, proposed := w.after(0, "pay front db1")
		if other, _ := w.after(0, "shop front db1"); asked != 1 || other != 0 || len(proposed) != 0 || w.seenAstray() != "db1: back" {
			t.Errorf("at once: asked %q, proposed %+v, told %q", w.asked, proposed, w.seenAstray())
		}
		if _, proposed := w.after(9*time.Second-time.Millisecond, ""); len(proposed) != 0 {
			t.Errorf("before the next round: proposed %+v", proposed)
		}
		if _, proposed := w.after(time.Millisecond, ""); len(proposed) != 2 || proposed[0].Epoch != 9 || proposed[0].Request.Reason != "db1: back" {
			t.Errorf("in the next round: proposed %+v", proposed)
		}
	})
}

// A spec that names another way to a router, say, is looked by at once.
func TestRouteWatch_LooksAgainAfterAnApply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatchedRoutes()
		w.answer = func(string) (string, error) { return "", errors.New("refused") }
		w.lead(t)
		if w.after(time.Second, ""); w.seenSilent() == "" {
			t.Error("it is not told that they are silent")
		}
		w.set(func() {
			w.answer = func(string) (string, error) { return "", nil }
			w.group.SpecSince++
			w.told.add([]failover.Event{{Sequence: 1, Kind: failover.GroupApplied, Group: "pay"}}, 1)
		})
		if w.after(0, ""); len(w.seenNow()) != 2 || w.seenSilent() != "" {
			t.Errorf("at once: told %+v", w.seenNow())
		}
	})
}

// What a look saw that was under way when an operation ended is of before: it is made again as soon as it has ended.
func TestRouteWatch_ALookFromBeforeIsMadeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatchedRoutes()
		w.hangs = func(_ context.Context, asked string) {
			if asked == "pay front db1" {
				time.Sleep(3 * time.Second)
			}
		}
		w.answer = func(string) (string, error) { return "in maint", nil }
		w.lead(t)
		w.after(time.Second, "")
		w.ended()
		w.set(func() {
			w.hangs = func(context.Context, string) {}
			w.answer = func(string) (string, error) { return "", nil }
		})
		asked, proposed := w.after(2*time.Second, "pay front db1")
		if asked != 2 || len(proposed) != 0 || len(w.seenNow()) != 2 || w.seenAstray() != "" {
			t.Errorf("asked %d times, proposed %+v, told %+v", asked, proposed, w.seenNow())
		}
	})
}

// A round that is due while a look is under way that only tells has what it finds brought back.
func TestRouteWatch_ARoundTakesOverALookThatOnlyTells(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatchedRoutes()
		w.lead(t)
		w.after(8*time.Second, "")
		w.set(func() {
			w.hangs = func(context.Context, string) { time.Sleep(4 * time.Second) }
			w.answer = func(string) (string, error) { return "in maint", nil }
		})
		w.ended()
		if _, proposed := w.after(4*time.Second, ""); len(proposed) != 1 || proposed[0].Epoch != 8 {
			t.Errorf("proposed %+v", proposed)
		}
	})
}

// A group may be deleted while its routers are asked: what they say then is about nobody's routes.
func TestRouteWatch_DeletedWhileItIsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatchedRoutes()
		w.answer = func(string) (string, error) { return "front leads to db2", nil }
		var gone atomic.Bool
		inner := w.state
		w.state = func() *failover.State {
			if gone.Load() {
				return &failover.State{Voters: []failover.NodeID{"az-a"}}
			}
			return inner()
		}
		w.hangs = func(context.Context, string) { time.Sleep(100 * time.Millisecond); gone.Store(true) }
		w.lead(t)
		if _, proposed := w.after(time.Second, ""); len(proposed) != 0 {
			t.Errorf("proposed %d reroutes", len(proposed))
		}
	})
}
