package arbiter

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/clock"
)

// fakeDrivers are all drivers at once. What a test leaves out succeeds at once.
type fakeDrivers struct {
	isolate  func(ctx context.Context) failover.Proof
	readBack failover.Proof
	engine   error // there is no engine
	follow   func(ctx context.Context, m failover.MemberName) failover.MemberPosition
	point    func(m failover.MemberName) failover.Outcome
	await    func(ctx context.Context, m failover.MemberName) failover.Outcome
	verify   func(address string) failover.Outcome
	raise    func(ctx context.Context, m failover.MemberName) failover.Outcome
	promoted failover.Outcome
	hangs    bool                     // the member that is fenced, as one without power does
	router   func(route string) error // to have one
	route    func(ctx context.Context, route string) error

	mu    sync.Mutex
	calls []string
}

func (f *fakeDrivers) called(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, fmt.Sprintf(format, args...))
}

// all are the calls so far, sorted: most are made at the same time.
func (f *fakeDrivers) all() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Sorted(slices.Values(f.calls))
}

func (f *fakeDrivers) Isolate(ctx context.Context, m failover.MemberSpec, _ failover.Policy, _ Answers) (failover.Proof, []failover.StepTime) {
	f.called("isolate %s", m.Name)
	return f.isolate(ctx), []failover.StepTime{{Name: "bmc off"}}
}

func (f *fakeDrivers) ReadBack(_ context.Context, m failover.MemberSpec, _ failover.Policy, _ Answers) (failover.Proof, []failover.StepTime) {
	f.called("read back %s", m.Name)
	return f.readBack, nil
}

func (f *fakeDrivers) PathStatus(context.Context, failover.MemberSpec) failover.FencePath {
	return failover.FencePath{}
}

func (f *fakeDrivers) EndSessions(ctx context.Context, m failover.MemberSpec, _ *failover.Spec, _ failover.Epoch) failover.Outcome {
	f.called("end sessions %s", m.Name)
	if f.hangs {
		<-ctx.Done()
		return failover.Outcome{Result: failover.ResultUnknown}
	}
	return done()
}

func (f *fakeDrivers) Promote(_ context.Context, a failover.Action) failover.Outcome {
	f.called("promote %s", a.Member)
	return done()
}

func (f *fakeDrivers) Promoted(context.Context, failover.Action) failover.Outcome { return f.promoted }

func (f *fakeDrivers) VerifyThroughRoute(_ context.Context, address string, _ failover.Action) failover.Outcome {
	f.called("verify %s", address)
	if f.verify != nil {
		return f.verify(address)
	}
	return failover.Outcome{Result: failover.ResultDone, Detail: "proven", Steps: []failover.StepTime{{Name: "wrote at " + address}}}
}

func (f *fakeDrivers) RaiseToken(ctx context.Context, m failover.MemberSpec, _ *failover.Spec, e failover.Epoch) failover.Outcome {
	f.called("raise %s to %d", m.Name, e)
	if f.raise != nil {
		return f.raise(ctx, m.Name)
	}
	return done()
}

func (f *fakeDrivers) StopFollowing(ctx context.Context, m failover.MemberSpec, _ *failover.Spec, _ failover.Epoch, _ string) failover.MemberPosition {
	f.called("stop following %s", m.Name)
	return f.follow(ctx, m.Name)
}

func (f *fakeDrivers) Point(_ context.Context, standby, primary failover.MemberSpec, _ *failover.Spec, _ failover.Epoch, _ string) failover.Outcome {
	f.called("point %s at %s", standby.Name, primary.Name)
	if f.point != nil {
		return f.point(standby.Name)
	}
	return done()
}

func (f *fakeDrivers) AwaitFollowing(ctx context.Context, standby, _ failover.MemberSpec, _ *failover.Spec, _ failover.Epoch) failover.Outcome {
	if f.await != nil {
		return f.await(ctx, standby.Name)
	}
	return done()
}

type fakeRouter struct {
	*fakeDrivers
	name string
}

func (r fakeRouter) Close(ctx context.Context, _ failover.Action, members ...failover.MemberName) error {
	r.called("close %s to %v", r.name, members)
	return r.send(ctx)
}

func (r fakeRouter) Open(ctx context.Context, _ failover.Action, m failover.MemberName) error {
	r.called("open %s to %s", r.name, m)
	return r.send(ctx)
}

func (r fakeRouter) send(ctx context.Context) error {
	if r.route == nil {
		return nil
	}
	return r.route(ctx, r.name)
}

// run carries out an action of epoch 5 against the fakes, for a group of db1 (the former writer), db2 and db3 with routes lb1 and lb2.
func (f *fakeDrivers) run(t *testing.T, kind failover.ActionKind, member failover.MemberName, change func(*failover.Action)) failover.Outcome {
	t.Helper()
	a := failover.Action{Group: "pay", Kind: kind, Member: member, Former: "db1", Epoch: 5, Intent: 7, Attempt: 1, SystemID: "1", Spec: &failover.Spec{
		Routes: []failover.Route{{Name: "lb1", VerifyAddress: "lb1:5432"}, {Name: "lb2", VerifyAddress: "lb2:5432"}},
		Policy: failover.Policy{VerifyTimeout: 4 * time.Second},
	}}
	for _, name := range []failover.MemberName{"db1", "db2", "db3"} {
		a.Spec.Members = append(a.Spec.Members, failover.MemberSpec{Name: name, Address: string(name) + ":5432"})
	}
	if change != nil {
		change(&a)
	}
	drivers := Drivers{
		Fencer:  f,
		Engine:  func(failover.Engine) (Engine, error) { return f, f.engine },
		Answers: func(failover.MemberSpec, time.Duration) Answers { return nil },
		Router: func(_ context.Context, r failover.Route) (Router, error) {
			if f.router != nil {
				if err := f.router(r.Name); err != nil {
					return nil, err
				}
			}
			return fakeRouter{f, r.Name}, nil
		},
	}
	all := newExecutors(drivers, clock.Monotonic(), func(failover.GroupName, failover.MemberName) time.Duration { return time.Second })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if a.Tried {
		return all[kind].Check(ctx, a)
	}
	return all[kind].Do(ctx, a)
}

func off(context.Context) failover.Proof {
	return failover.Proof{Grade: failover.ProofConfirmedOff, By: "bmc"}
}

// named says whether a step of that name is told.
func named(o failover.Outcome, name string) bool {
	return slices.ContainsFunc(o.Steps, func(s failover.StepTime) bool { return s.Name == name })
}

// undone says whether a step of that name is told as one that did not succeed.
func undone(o failover.Outcome, name string) bool {
	return slices.ContainsFunc(o.Steps, func(s failover.StepTime) bool { return s.Name == name && s.Undone && s.Detail != "" })
}

func TestIsolate_OnlyTheFenceDecides(t *testing.T) {
	tests := []struct {
		name   string
		proof  failover.Proof
		engine error
		route  error
		accept []failover.ProofGrade
		want   failover.Result
	}{
		{"fenced", failover.Proof{Grade: failover.ProofConfirmedOff, By: "bmc"}, nil, nil, nil, failover.ResultDone},
		{"fenced, routes fail", failover.Proof{Grade: failover.ProofConfirmedOff, By: "bmc"}, nil, errors.New("no socket"), nil, failover.ResultDone},
		{"fenced, no engine", failover.Proof{Grade: failover.ProofConfirmedOff, By: "bmc"}, errors.New("none"), nil, nil, failover.ResultDone},
		{"not fenced, all else is done", failover.Proof{Grade: failover.ProofUnknown, Detail: "no answer"}, nil, nil, nil, failover.ResultUnknown},
		{"no proof at all", failover.Proof{}, nil, nil, nil, failover.ResultUnknown},
		{"a grade that the policy does not take", failover.Proof{Grade: failover.ProofHeldByAgent}, nil, nil, []failover.ProofGrade{failover.ProofConfirmedOff}, failover.ResultUnknown},
		{"unknown, even if the policy takes it", failover.Proof{Grade: failover.ProofUnknown}, nil, nil, []failover.ProofGrade{failover.ProofUnknown}, failover.ResultUnknown},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fakeDrivers{
					isolate: func(context.Context) failover.Proof { return test.proof }, engine: test.engine,
					route: func(context.Context, string) error { return test.route },
				}
				o := f.run(t, failover.ActionIsolate, "db1", func(a *failover.Action) { a.Former, a.Spec.Policy.AcceptProofs = "", test.accept })
				if o.Result != test.want || o.Proof != test.proof || !named(o, "bmc off") {
					t.Errorf("outcome %+v, want %s", o, test.want)
				}
				if test.engine != nil {
					return
				}
				want := []string{"close lb1 to [db1]", "close lb2 to [db1]", "end sessions db1", "isolate db1", "raise db2 to 5", "raise db3 to 5"}
				if got := f.all(); !slices.Equal(got, want) {
					t.Errorf("done %q, want %q", got, want)
				}
			})
		})
	}
}

func TestIsolate_WhatHangsBesideTheFenceGetsAGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeDrivers{
			isolate: func(ctx context.Context) failover.Proof { time.Sleep(2 * time.Second); return off(ctx) },
			route:   func(ctx context.Context, _ string) error { <-ctx.Done(); return ctx.Err() },
		}
		began := time.Now()
		o := f.run(t, failover.ActionIsolate, "db1", nil)
		if took := time.Since(began); took != 2*time.Second+besideGrace {
			t.Errorf("took %v, want the fence's 2 s and %v", took, besideGrace)
		}
		if o.Result != failover.ResultDone || !undone(o, "lb1 not closed") {
			t.Errorf("outcome %+v", o)
		}
	})
}

// A fence that was quicker than a token raised beside it is no trouble: catch_up raises it. What failed by itself is told as that.
func TestIsolate_TokensThatTheFenceOvertook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeDrivers{isolate: off, raise: func(ctx context.Context, m failover.MemberName) failover.Outcome {
			if m == "db3" {
				return failover.Outcome{Result: failover.ResultFailed, Detail: "no privilege"}
			}
			<-ctx.Done()
			return failover.Outcome{Result: failover.ResultUnknown, Detail: ctx.Err().Error()}
		}, route: func(ctx context.Context, _ string) error { <-ctx.Done(); return ctx.Err() }}
		o := f.run(t, failover.ActionIsolate, "db1", nil)
		if !named(o, "token of db2 left to catch up") || undone(o, "token of db2 left to catch up") || !undone(o, "db3 refuses epochs before 5") {
			t.Errorf("outcome %+v", o)
		}
		for _, s := range o.Steps {
			if strings.Contains(s.Detail, "context canceled") {
				t.Errorf("%+v says nothing to a reader", s)
			}
		}
	})
}

// A machine without power answers nothing: who asked it to end its sessions is not waited for once it is proven off.
func TestIsolate_SessionsOfAProvenMemberAreNotWaitedFor(t *testing.T) {
	for grade, want := range map[failover.ProofGrade]time.Duration{failover.ProofConfirmedOff: 2 * time.Second, failover.ProofUnknown: 2*time.Second + besideGrace} {
		synctest.Test(t, func(t *testing.T) {
			f := &fakeDrivers{hangs: true, isolate: func(context.Context) failover.Proof {
				time.Sleep(2 * time.Second)
				return failover.Proof{Grade: grade}
			}}
			began := time.Now()
			f.run(t, failover.ActionIsolate, "db1", nil)
			if took := time.Since(began); took != want {
				t.Errorf("%s: took %v, want %v", grade, took, want)
			}
		})
	}
}

func TestIsolate_CheckOnlyReads(t *testing.T) {
	f := &fakeDrivers{readBack: failover.Proof{Grade: failover.ProofConfirmedOff, By: "bmc"}}
	o := f.run(t, failover.ActionIsolate, "db1", func(a *failover.Action) { a.Tried, a.ReadBack = true, true })
	if o.Result != failover.ResultDone || !slices.Equal(f.all(), []string{"read back db1"}) {
		t.Errorf("outcome %+v, done %q", o, f.all())
	}
}

// That a machine is off is no proof while nobody is known to have switched it off: it may be restarting.
func TestS3_IsolateTakesNoMachineThatIsFoundOffForFenced(t *testing.T) {
	f := &fakeDrivers{readBack: failover.Proof{Grade: failover.ProofConfirmedOff, By: "bmc"}}
	o := f.run(t, failover.ActionIsolate, "db1", func(a *failover.Action) { a.Tried = true })
	if o.Result == failover.ResultDone || len(f.all()) != 0 {
		t.Errorf("outcome %+v, done %q", o, f.all())
	}
}

func TestCatchUp(t *testing.T) {
	at := func(m failover.MemberName, p failover.LSN) failover.MemberPosition {
		return failover.MemberPosition{Member: m, Answered: true, Received: p}
	}
	silent := func(ctx context.Context, m failover.MemberName) failover.MemberPosition {
		<-ctx.Done()
		return failover.MemberPosition{Member: m, Detail: context.Cause(ctx).Error()}
	}
	after := func(d time.Duration) func(context.Context, failover.MemberName) failover.MemberPosition {
		return func(ctx context.Context, m failover.MemberName) failover.MemberPosition {
			if err := clock.Wait(ctx, clock.Monotonic(), d); err != nil {
				return failover.MemberPosition{Member: m, Detail: err.Error()}
			}
			return at(m, failover.LSN(1000))
		}
	}
	tests := []struct {
		name     string
		db2, db3 func(context.Context, failover.MemberName) failover.MemberPosition
		answered []failover.MemberName
		took     time.Duration
	}{
		{"both at once", after(0), after(0), []failover.MemberName{"db2", "db3"}, 0},
		{"one is gone: the least grace", after(0), silent, []failover.MemberName{"db2"}, catchUpGrace},
		{"one is slower, within the grace", after(0), after(catchUpGrace / 2), []failover.MemberName{"db2", "db3"}, catchUpGrace / 2},
		{"the first one took long: four times as long", after(time.Second), silent, []failover.MemberName{"db2"}, 5 * time.Second},
		{"nobody: the whole time limit", silent, silent, nil, time.Minute},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fakeDrivers{follow: func(ctx context.Context, m failover.MemberName) failover.MemberPosition {
					if m == "db2" {
						return test.db2(ctx, m)
					}
					return test.db3(ctx, m)
				}}
				began := time.Now()
				o := f.run(t, failover.ActionCatchUp, "db1", nil)
				if took := time.Since(began); took != test.took {
					t.Errorf("took %v, want %v", took, test.took)
				}
				var answered []failover.MemberName
				for _, p := range o.Positions {
					if p.Answered {
						answered = append(answered, p.Member)
					}
				}
				want := failover.ResultDone
				if len(test.answered) == 0 {
					want = failover.ResultUnknown
				}
				if o.Result != want || !slices.Equal(answered, test.answered) || len(o.Positions) != 2 {
					t.Errorf("outcome %+v, want %s with %v", o, want, test.answered)
				}
				if got := f.all(); !slices.Equal(got, []string{"stop following db2", "stop following db3"}) {
					t.Errorf("done %q", got) // never the former writer
				}
			})
		})
	}
}

// Where nobody answered it is told whether that is for want of a grant; where somebody did, it is no matter of the whole.
func TestCatchUp_TellsAMissingGrant(t *testing.T) {
	for _, answered := range []bool{false, true} {
		f := &fakeDrivers{follow: func(_ context.Context, m failover.MemberName) failover.MemberPosition {
			if m == "db2" && answered {
				return failover.MemberPosition{Member: m, Answered: true, Received: 1000}
			}
			return failover.MemberPosition{Member: m, Detail: "permission denied", GrantMissing: m == "db3"}
		}}
		if o := f.run(t, failover.ActionCatchUp, "db1", nil); o.GrantMissing == answered {
			t.Errorf("db2 answered: %t, outcome %+v", answered, o)
		}
	}
}

func TestPromote_CheckIsTheTwin(t *testing.T) {
	f := &fakeDrivers{promoted: failover.Outcome{Result: failover.ResultDone, Timeline: 9}}
	if o := f.run(t, failover.ActionPromote, "db2", func(a *failover.Action) { a.Tried = true }); o.Timeline != 9 || len(f.all()) != 0 {
		t.Errorf("check: %+v, done %q", o, f.all())
	}
	if o := f.run(t, failover.ActionPromote, "db2", nil); o.Result != failover.ResultDone || !slices.Equal(f.all(), []string{"promote db2"}) {
		t.Errorf("do: %+v, done %q", o, f.all())
	}
}

func TestConfigure_AStandbyThatIsGoneHoldsNobodyUp(t *testing.T) {
	f := &fakeDrivers{point: func(failover.MemberName) failover.Outcome {
		return failover.Outcome{Result: failover.ResultUnknown, Detail: "no answer"}
	}}
	o := f.run(t, failover.ActionConfigure, "db2", nil)
	if o.Result != failover.ResultDone || o.Detail != "0 of 1 standbys point at db2, not: db3" || !undone(o, "db3 points at db2") {
		t.Errorf("outcome %+v", o)
	}
	if !slices.Equal(f.all(), []string{"point db3 at db2"}) {
		t.Errorf("done %q", f.all())
	}
}

func TestRoute_AllMustOpen(t *testing.T) {
	broken := errors.New("no socket")
	tests := []struct {
		name   string
		router func(string) error
		route  func(context.Context, string) error
		want   failover.Result
		says   string
	}{
		{"all", nil, nil, failover.ResultDone, "clients are sent to db2"},
		{"one fails", nil, func(_ context.Context, name string) error {
			if name == "lb2" {
				return broken
			}
			return nil
		}, failover.ResultFailed, "lb2 not opened db2: no socket"},
		{"one has no router", func(name string) error {
			if name == "lb1" {
				return broken
			}
			return nil
		}, nil, failover.ResultFailed, "lb1 not opened db2: no socket"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := &fakeDrivers{router: test.router, route: test.route}
			if o := f.run(t, failover.ActionRoute, "db2", nil); o.Result != test.want || o.Detail != test.says || len(o.Steps) != 2 {
				t.Errorf("outcome %+v, want %s %q", o, test.want, test.says)
			}
		})
	}
}

func TestVerify_EveryRoute(t *testing.T) {
	refused := failover.Outcome{Result: failover.ResultFailed, Detail: "read-only"}
	tests := []struct {
		name   string
		verify func(string) failover.Outcome
		change func(*failover.Action)
		want   failover.Result
		says   string
		calls  []string
	}{
		{"both routes", nil, nil, failover.ResultDone, "proven; proven", []string{"verify lb1:5432", "verify lb2:5432"}},
		{"the second one fails", func(address string) failover.Outcome {
			if address == "lb2:5432" {
				return refused
			}
			return done()
		}, nil, failover.ResultFailed, "read-only", []string{"verify lb1:5432", "verify lb2:5432"}},
		{
			"only those with an address", nil, func(a *failover.Action) { a.Spec.Routes[0].VerifyAddress = "" },
			failover.ResultDone, "proven; not verified, without verify_address: lb1",
			[]string{"verify lb2:5432"},
		},
		{
			"without addresses the primary itself", nil, func(a *failover.Action) { a.Spec.Routes[0].VerifyAddress, a.Spec.Routes[1].VerifyAddress = "", "" },
			failover.ResultDone, "proven; not verified, without verify_address: lb1, lb2",
			[]string{"verify db2:5432"},
		},
		{"without routes the primary itself", nil, func(a *failover.Action) { a.Spec.Routes = nil }, failover.ResultDone, "proven", []string{"verify db2:5432"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := &fakeDrivers{verify: test.verify}
			o := f.run(t, failover.ActionVerify, "db2", test.change)
			calls := append([]string{"raise db3 to 5"}, test.calls...) // S9: it may have been told by an earlier leader, under an older epoch
			if o.Result != test.want || o.Detail != test.says || !slices.Equal(f.all(), calls) || !named(o, "db3 follows db2") {
				t.Errorf("outcome %+v of %q, want %s %q of %q", o, f.all(), test.want, test.says, calls)
			}
			for _, call := range test.calls {
				if address := strings.TrimPrefix(call, "verify "); test.verify == nil && !named(o, "wrote at "+address) {
					t.Errorf("the step at %s is not told: %+v", address, o.Steps)
				}
			}
		})
	}
}

// Routes are tried side by side, and every one that leads elsewhere is named. When the write through the last one was seen is when the outage ended.
func TestVerify_RoutesAreTriedSideBySide(t *testing.T) {
	takes := map[string]time.Duration{"lb1:5432": 3 * time.Second, "lb2:5432": 40 * time.Millisecond}
	for name, test := range map[string]struct {
		result failover.Result
		says   string
	}{
		"all lead there": {failover.ResultDone, ""},
		"none does":      {failover.ResultFailed, "lb1:5432 leads elsewhere; lb2:5432 leads elsewhere"},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := &fakeDrivers{verify: func(address string) failover.Outcome {
				time.Sleep(takes[address]) // virtual time: how long the write takes
				o := failover.Outcome{Result: test.result, Took: takes[address], Steps: []failover.StepTime{{Name: address, Length: takes[address], WriteSeen: true}}}
				if test.says != "" {
					o.Detail = address + " leads elsewhere"
				}
				return o
			}}
			began := time.Now()
			o := f.run(t, failover.ActionVerify, "db2", nil)
			if took := time.Since(began); took != 3*time.Second || o.Took != took || o.Result != test.result || o.Detail != test.says && test.says != "" {
				t.Errorf("%s: %+v after %v", name, o, took)
			}
			ends := map[string]time.Duration{}
			for _, step := range o.Steps {
				if step.WriteSeen {
					ends[step.Name] = step.Start + step.Length
				}
			}
			if !maps.Equal(ends, takes) {
				t.Errorf("%s: the writes were seen after %v, want %v", name, ends, takes)
			}
		})
	}
}

func TestVerify_StandbysAreToldAndDecideNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeDrivers{await: func(ctx context.Context, _ failover.MemberName) failover.Outcome {
			<-ctx.Done()
			return failover.Outcome{Result: failover.ResultUnknown, Detail: "it does not stream"}
		}}
		began := time.Now()
		o := f.run(t, failover.ActionVerify, "db2", nil)
		if o.Result != failover.ResultDone || !undone(o, "db3 follows db2") {
			t.Errorf("outcome %+v", o)
		}
		if took := time.Since(began); took < 2*time.Second || took > 2*time.Second+clock.PollInterval {
			t.Errorf("took %v, want half of the time limit", took)
		}
	})
}

func TestExecutors_WithoutAnEngine(t *testing.T) {
	for _, kind := range []failover.ActionKind{failover.ActionCatchUp, failover.ActionPromote, failover.ActionConfigure, failover.ActionVerify} {
		f := &fakeDrivers{engine: errors.New("no such engine")}
		if o := f.run(t, kind, "db2", nil); o.Result != failover.ResultFailed || o.Detail != "no such engine" || len(f.all()) != 0 {
			t.Errorf("%s: %+v, done %q", kind, o, f.all())
		}
	}
}
