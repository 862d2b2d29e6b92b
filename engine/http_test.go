package engine

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/lab/standin/standintest"
	"github.com/arbiter-ha/arbiter/internal/permit"
	"github.com/arbiter-ha/arbiter/internal/secret"
	"github.com/arbiter-ha/arbiter/internal/serviceapi"
)

// services is a primary a and its standbys b and c, as real processes, with the spec that describes them.
type services struct {
	t        *testing.T
	engine   *HTTP
	spec     *failover.Spec
	servers  map[failover.MemberName]*standintest.Server
	systemID string
}

func startServices(t *testing.T) *services {
	t.Helper()
	a := standintest.Start(t, "a", "b")
	s := &services{
		t: t, engine: NewHTTP(new(secret.Reader)), spec: &failover.Spec{Engine: failover.EngineHTTP, Connect: serviceapi.Plain()},
		servers:  map[failover.MemberName]*standintest.Server{"a": a, "b": a.Standby("b"), "c": a.Standby("c")},
		systemID: a.State().SystemID,
	}
	for _, name := range []failover.MemberName{"a", "b", "c"} {
		s.spec.Members = append(s.spec.Members, failover.MemberSpec{
			Name: name, Address: s.servers[name].Address, ApplicationName: string(name),
		})
	}
	return s
}

func (s *services) member(name failover.MemberName) failover.MemberSpec {
	s.t.Helper()
	m, known := s.spec.Member(name)
	if !known {
		s.t.Fatalf("no member %s", name)
	}
	return m
}

func (s *services) action(member failover.MemberName, epoch failover.Epoch) failover.Action {
	return failover.Action{
		Kind: failover.ActionPromote, Group: "g", Operation: "op", Member: member, Former: "a", Epoch: epoch,
		SystemID: s.systemID, Spec: s.spec,
	}
}

func (s *services) promote(member failover.MemberName, epoch failover.Epoch) failover.Outcome {
	s.t.Helper()
	return s.engine.Promote(limit(s.t, plenty), s.action(member, epoch))
}

func (s *services) want(o failover.Outcome, result failover.Result, cause error) {
	s.t.Helper()
	if o.Result != result || cause != nil && !strings.Contains(o.Detail, cause.Error()) {
		s.t.Errorf("outcome %s %q, want %s with %v", o.Result, o.Detail, result, cause)
	}
}

// failOver is what the executors do after a was fenced.
func (s *services) failOver(to failover.MemberName, epoch failover.Epoch) {
	s.t.Helper()
	for _, name := range []failover.MemberName{"b", "c"} {
		p := s.engine.StopFollowing(limit(s.t, plenty), s.member(name), s.spec, epoch, s.systemID)
		if !p.Answered || p.Epoch != epoch || p.Position() == 0 {
			s.t.Fatalf("%s did not stop: %+v", name, p)
		}
	}
	s.want(s.promote(to, epoch), failover.ResultDone, nil)
}

func TestHTTP_Failover(t *testing.T) {
	s := startServices(t)
	acked := s.servers["a"].Append(limit(t, plenty), "w", 20)
	s.servers["a"].Kill()
	s.failOver("b", 2)
	if have := len(s.servers["b"].Orders("w")); acked != 20 || have < acked {
		t.Errorf("%d orders were acknowledged, b has %d", acked, have)
	}
	s.want(s.engine.Point(limit(t, plenty), s.member("c"), s.member("b"), s.spec, 2, s.systemID), failover.ResultDone, nil)
	s.want(s.engine.AwaitFollowing(limit(t, plenty), s.member("c"), s.member("b"), s.spec, 2), failover.ResultDone, nil)
	s.want(s.engine.VerifyThroughRoute(limit(t, plenty), s.member("b").Address, s.action("b", 2)), failover.ResultDone, nil)
	if st := s.servers["c"].State(); st.Timeline != 2 || st.Epoch != 2 || st.Row == nil || st.Row.Member != "b" {
		t.Errorf("c says %+v", st)
	}
}

func TestS9_HTTP_OlderEpochIsRefused(t *testing.T) {
	s := startServices(t)
	ctx := limit(t, plenty)
	s.want(s.engine.RaiseToken(ctx, s.member("b"), s.spec, 7), failover.ResultDone, nil)
	s.want(s.promote("b", 6), failover.ResultFailed, ErrNewerEpoch)
	s.want(s.engine.RaiseToken(ctx, s.member("b"), s.spec, 6), failover.ResultFailed, ErrNewerEpoch)
	s.want(s.engine.Point(ctx, s.member("b"), s.member("c"), s.spec, 6, s.systemID), failover.ResultFailed, ErrNewerEpoch)
	s.want(s.engine.Promoted(ctx, s.action("b", 6)), failover.ResultFailed, ErrNewerEpoch)
	if p := s.engine.StopFollowing(ctx, s.member("b"), s.spec, 6, s.systemID); p.Answered {
		t.Errorf("b stopped under an older epoch: %+v", p)
	}
	s.want(s.engine.RaiseToken(ctx, s.member("a"), s.spec, 7), failover.ResultDone, nil)
	s.want(s.engine.EndSessions(ctx, s.member("a"), s.spec, 6), failover.ResultFailed, ErrNewerEpoch)
	if st := s.servers["b"].State(); st.Role != failover.RoleStandby || st.Epoch != 7 || !st.Streaming {
		t.Errorf("b says %+v", st)
	}
}

// The token of kill -9 is the one that was answered for.
func TestS9_HTTP_TokenSurvivesKill(t *testing.T) {
	s := startServices(t)
	for _, name := range []failover.MemberName{"a", "b"} {
		s.want(s.engine.RaiseToken(limit(t, plenty), s.member(name), s.spec, 7), failover.ResultDone, nil)
		s.servers[name].Kill()
		s.servers[name].Start()
		s.want(s.engine.RaiseToken(limit(t, plenty), s.member(name), s.spec, 6), failover.ResultFailed, ErrNewerEpoch)
	}
	if a, b := s.servers["a"].State(), s.servers["b"].State(); a.Role != failover.RolePrimary || b.Role != failover.RoleStandby {
		t.Errorf("after kill -9 a is %s and b is %s", a.Role, b.Role)
	}
}

func TestHTTP_PromoteTwiceIsOnce(t *testing.T) {
	s := startServices(t)
	s.servers["a"].Kill()
	s.failOver("b", 2)
	before := s.servers["b"].State()
	s.want(s.promote("b", 2), failover.ResultDone, nil)
	s.want(s.promote("b", 3), failover.ResultDone, nil) // the same operation, resumed under the next epoch
	if after := s.servers["b"].State(); after.Timeline != before.Timeline || after.Row.Position != before.Row.Position || after.Row.Epoch != 3 {
		t.Errorf("a second promotion changed %+v to %+v", before.Row, after.Row)
	}
	s.want(s.engine.Promoted(limit(t, plenty), s.action("b", 3)), failover.ResultDone, nil)
	s.want(s.promote("b", 2), failover.ResultFailed, ErrNewerEpoch)
}

// A primary that never left gets its token and its row, and nothing else.
func TestHTTP_PromoteOfAPrimary(t *testing.T) {
	s := startServices(t)
	o := s.promote("a", 4)
	s.want(o, failover.ResultDone, nil)
	if st := s.servers["a"].State(); o.Timeline != 1 || st.Timeline != 1 || st.Epoch != 4 || st.Row.Epoch != 4 {
		t.Errorf("outcome on timeline %d, a says %+v", o.Timeline, st)
	}
}

func TestS2_HTTP_EpochOnlyPromotesNobody(t *testing.T) {
	s := startServices(t)
	action := s.action("b", 5)
	action.EpochOnly = true
	s.want(s.engine.Promote(limit(t, plenty), action), failover.ResultFailed, ErrNotPrimary)
	if role := s.servers["b"].State().Role; role != failover.RoleStandby {
		t.Errorf("b is %s", role)
	}
}

func TestHTTP_PromoteOfAnotherSystem(t *testing.T) {
	s := startServices(t)
	a := s.action("b", 2)
	a.SystemID = "another"
	s.want(s.engine.Promote(limit(t, plenty), a), failover.ResultFailed, ErrWrongSystem)
	s.want(s.engine.Promoted(limit(t, plenty), a), failover.ResultFailed, ErrWrongSystem)
}

func TestHTTP_PromotionOfAKilledOneIsFound(t *testing.T) {
	s := startServices(t)
	s.servers["a"].Kill()
	s.failOver("b", 2)
	s.servers["b"].Kill()
	s.want(s.engine.Promoted(limit(t, plenty), s.action("b", 2)), failover.ResultUnknown, nil)
	s.want(s.promote("b", 2), failover.ResultFailed, nil) // nothing was sent
	s.servers["b"].Start()
	s.want(s.engine.Promoted(limit(t, plenty), s.action("b", 2)), failover.ResultDone, nil)
}

// An order that a frozen service takes up when it wakes is judged by the token that it has then.
func TestS9_HTTP_FrozenServiceRefusesWhatCameLate(t *testing.T) {
	s := startServices(t)
	s.servers["a"].Kill()
	s.want(s.engine.RaiseToken(limit(t, plenty), s.member("b"), s.spec, 5), failover.ResultDone, nil)
	s.servers["b"].Freeze()
	short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	s.want(s.engine.RaiseToken(short, s.member("b"), s.spec, 6), failover.ResultUnknown, nil)
	if p := s.engine.StopFollowing(short, s.member("b"), s.spec, 6, s.systemID); p.Answered {
		t.Errorf("a frozen service answered: %+v", p)
	}
	s.servers["b"].Thaw()
	s.want(s.promote("b", 7), failover.ResultDone, nil)
	s.want(s.promote("b", 5), failover.ResultFailed, ErrNewerEpoch)
	if st := s.servers["b"].State(); st.Row.Epoch != 7 || st.Timeline != 2 {
		t.Errorf("b says %+v", st)
	}
}

func TestHTTP_RouteThatLeadsElsewhere(t *testing.T) {
	s := startServices(t)
	s.servers["a"].Append(limit(t, plenty), "w", 1)
	s.failOver("b", 2) // a, which nobody fenced, goes on
	for _, name := range []failover.MemberName{"a", "c"} {
		told(t, ErrRouteElsewhere.Error(), func(ctx context.Context) string {
			outcome := s.engine.VerifyThroughRoute(ctx, s.member(name).Address, s.action("b", 2))
			s.want(outcome, failover.ResultFailed, nil)
			return outcome.Detail
		})
	}
}

func TestS6_HTTP_NothingIsDoneWithoutTheLease(t *testing.T) {
	s := startServices(t)
	none := func() context.Context { return allowing(limit(t, plenty), 0) }
	s.want(s.engine.Promote(none(), s.action("b", 5)), failover.ResultFailed, permit.ErrExpired)
	s.want(s.engine.RaiseToken(none(), s.member("b"), s.spec, 5), failover.ResultUnknown, permit.ErrExpired)
	s.want(s.engine.EndSessions(none(), s.member("a"), s.spec, 5), failover.ResultFailed, permit.ErrExpired)
	s.want(s.engine.Promote(allowing(limit(t, plenty), 1), s.action("b", 5)), failover.ResultFailed, permit.ErrExpired)
	s.want(s.engine.Promote(allowing(limit(t, plenty), 2), s.action("b", 6)), failover.ResultUnknown, permit.ErrExpired)
	s.want(s.engine.Promoted(limit(t, plenty), s.action("b", 6)), failover.ResultUnknown, nil)
	s.want(s.promote("b", 6), failover.ResultDone, nil)
}

// An arbiter may freeze while it connects: the lease is read when the connection stands.
func TestS6_HTTP_TheLeaseIsReadOnceConnected(t *testing.T) {
	connected, asked := make(chan struct{}, 1), false
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connected <- struct{}{}
		}
	}
	server.Start()
	member := failover.MemberSpec{Name: "b", Address: server.Listener.Addr().String()}
	ctx := limit(t, plenty)
	lost := permit.With(ctx, func() error {
		select {
		case <-connected:
		case <-ctx.Done():
			t.Error("the lease was read before there was a connection")
		}
		return permit.ErrExpired
	})
	outcome := NewHTTP(new(secret.Reader)).EndSessions(lost, member, &failover.Spec{Connect: serviceapi.Plain()}, 5)
	server.Close() // ends what the handler does
	if outcome.Result != failover.ResultFailed || !strings.Contains(outcome.Detail, permit.ErrExpired.Error()) || asked {
		t.Errorf("outcome %s %q, asked: %v", outcome.Result, outcome.Detail, asked)
	}
}

func TestHTTP_Preconditions(t *testing.T) {
	s := startServices(t)
	elsewhere := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(elsewhere.Close)
	look := func(name failover.MemberName, address string) []Problem {
		m := s.member(name)
		if address != "" {
			m.Address = address
		}
		return s.engine.Preconditions(limit(t, plenty), m, s.spec)
	}
	for _, name := range []failover.MemberName{"a", "b", "c"} {
		if found := look(name, ""); len(found) != 0 {
			t.Errorf("%s lacks %+v", name, found)
		}
	}
	if found := look("a", elsewhere.Listener.Addr().String()); len(found) != 1 || !found[0].Blocks || found[0].Unreachable {
		t.Errorf("of what isn't the contract: %+v", found)
	}
	s.servers["a"].Kill()
	if found := look("a", ""); len(found) != 1 || !found[0].Blocks || !found[0].Unreachable || found[0].Fix == "" {
		t.Errorf("of a killed one: %+v", found)
	}
	s.failOver("b", 2) // whose own rule asks for no standby
	if found := look("b", ""); len(found) != 1 || !strings.Contains(found[0].What, "synchronous") {
		t.Errorf("of a primary without a synchronous standby: %+v", found)
	}
}
