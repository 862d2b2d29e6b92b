package engine

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/lab/standin/standintest"
	"github.com/arbiter-ha/arbiter/internal/postgres"
	"github.com/arbiter-ha/arbiter/internal/postgres/postgrestest"
	"github.com/arbiter-ha/arbiter/internal/secret"
)

func TestMain(m *testing.M) {
	os.Exit(standintest.Main(func() int { return postgrestest.Main(m) }))
}

// group is a primary and its standbys in a test, with the spec that describes them.
type group struct {
	t        testing.TB
	engine   *Postgres
	spec     *failover.Spec
	servers  map[failover.MemberName]*postgrestest.Server
	systemID string
}

// startGroup starts servers that leave syncing to the operating system: a killed process loses nothing by that, and tests on a busy disk
// take a quarter of the time.
func startGroup(t testing.TB, standbys ...failover.MemberName) *group {
	t.Helper()
	return startGroupOn(t, postgrestest.Start(t, postgresSetting("fsync", "off")), standbys...)
}

func startDurableGroup(t testing.TB, standbys ...failover.MemberName) *group {
	t.Helper()
	return startGroupOn(t, postgrestest.Start(t), standbys...)
}

func startGroupOn(t testing.TB, primary *postgrestest.Server, standbys ...failover.MemberName) *group {
	t.Helper()
	g := &group{
		t: t, engine: NewPostgres(new(secret.Reader)), spec: &failover.Spec{Engine: failover.EnginePostgres, Connect: postgrestest.Connect()},
		servers:  map[failover.MemberName]*postgrestest.Server{"a": primary},
		systemID: primary.Query("SELECT system_identifier FROM pg_control_system()"),
	}
	t.Cleanup(func() { g.engine.Close() })
	for _, name := range standbys {
		g.servers[name] = primary.Standby(string(name))
	}
	for _, name := range append([]failover.MemberName{"a"}, standbys...) {
		g.spec.Members = append(g.spec.Members, failover.MemberSpec{
			Name: name, Address: g.servers[name].Address, ApplicationName: string(name),
		})
	}
	return g
}

func (g *group) member(name failover.MemberName) failover.MemberSpec {
	g.t.Helper()
	m, known := g.spec.Member(name)
	if !known {
		g.t.Fatalf("no member %s", name)
	}
	return m
}

func (g *group) promotion(name failover.MemberName, epoch failover.Epoch) failover.Action {
	return failover.Action{
		Group: "orders", Operation: "orders-1", Kind: failover.ActionPromote, Member: name, Epoch: epoch, SystemID: g.systemID, Spec: g.spec,
	}
}

// limit is a context for one action of a test.
func limit(t testing.TB, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

const plenty = 30 * time.Second

// told gives what goes on until its time is over ever more time, until it tells why. On a busy machine a short time is over before one try was.
func told(t testing.TB, why string, try func(context.Context) (detail string)) string {
	t.Helper()
	detail := ""
	for given := 200 * time.Millisecond; given < 2*plenty; given *= 2 {
		if detail = try(limit(t, given)); strings.Contains(detail, why) {
			return detail
		}
	}
	t.Fatalf("it tells %q, and not %q", detail, why)
	return ""
}

func (g *group) promote(name failover.MemberName, epoch failover.Epoch) failover.Outcome {
	g.t.Helper()
	return g.engine.Promote(limit(g.t, plenty), g.promotion(name, epoch))
}

func (g *group) stop(name failover.MemberName, epoch failover.Epoch) failover.MemberPosition {
	g.t.Helper()
	return g.engine.StopFollowing(limit(g.t, plenty), g.member(name), g.spec, epoch, g.systemID)
}

func (g *group) follow(name, primary failover.MemberName, epoch failover.Epoch) failover.Outcome {
	g.t.Helper()
	return g.engine.Follow(limit(g.t, plenty), g.member(name), g.member(primary), g.spec, epoch, g.systemID)
}

func (g *group) wantResult(o failover.Outcome, want failover.Result, detail error) {
	g.t.Helper()
	if o.Result != want || detail != nil && !strings.Contains(o.Detail, detail.Error()) {
		g.t.Fatalf("outcome %s (%s); want %s with %v", o.Result, o.Detail, want, detail)
	}
}

func (g *group) wantAnswered(p failover.MemberPosition) {
	g.t.Helper()
	if !p.Answered || p.Detail != "" {
		g.t.Fatalf("position of %s is not certain: %+v", p.Member, p)
	}
}

// token is what a new session on the member sees.
func (g *group) token(name failover.MemberName) string {
	g.t.Helper()
	return g.servers[name].Query("SELECT current_setting('arbiter.epoch', true)")
}

func (g *group) inRecovery(name failover.MemberName) bool {
	g.t.Helper()
	return g.servers[name].Query("SELECT pg_is_in_recovery()") == "true"
}

// position is what a server's answer says; as texts, positions don't compare.
func (g *group) position(text string) failover.LSN {
	g.t.Helper()
	position, err := postgres.ParseLSN(text)
	if err != nil {
		g.t.Fatal(err)
	}
	return position
}

func postgresSetting(key, value string) postgrestest.Setting {
	return postgrestest.Setting{Key: key, Value: value}
}
