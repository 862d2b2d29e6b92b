package engine

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/postgres"
	"github.com/arbiter-ha/arbiter/internal/postgres/postgrestest"
	"github.com/arbiter-ha/arbiter/internal/secret"
)

func (g *group) problems(name failover.MemberName) []string {
	g.t.Helper()
	var found []string
	for _, p := range g.engine.Preconditions(limit(g.t, plenty), g.member(name), g.spec) {
		if p.Member != name || p.What == "" || p.Fix == "" {
			g.t.Errorf("incomplete problem: %+v", p)
		}
		kind := "advice: "
		if p.Blocks {
			kind = "blocks: "
		}
		if p.Halts {
			kind = "halts: "
		}
		found = append(found, kind+p.What)
	}
	return found
}

func (g *group) wantProblem(name failover.MemberName, want string) {
	g.t.Helper()
	found := g.problems(name)
	if !slices.ContainsFunc(found, func(p string) bool { return strings.Contains(p, want) }) {
		g.t.Errorf("no problem of %s says %q: %q", name, want, found)
	}
}

func TestPreconditionsHold(t *testing.T) {
	g := startDurableGroup(t, "b")
	g.spec.Policy.MaxLossBytes = 1 << 20
	for _, name := range []failover.MemberName{"a", "b"} {
		if found := g.problems(name); len(found) > 0 {
			t.Errorf("problems of %s: %q", name, found)
		}
	}
	g.spec.Policy.MaxLossBytes = 0
	g.wantProblem("a", "blocks: no standby is synchronous")
	g.spec.Connect.Password.Value = "wrong"
	g.wantProblem("a", "halts: can't be asked: the server says")
	if found := strings.Join(g.problems("a"), " "); strings.Contains(found, "wrong") {
		t.Errorf("a problem quotes the password: %s", found)
	}
}

// Who can't be asked is told apart: a server that is down, an arbiter that lacks a secret, a login that is refused.
func TestPreconditionsOfWhoCannotBeAsked(t *testing.T) {
	g := startGroup(t)
	ask := func(change func(*failover.Spec), address string) Problem {
		t.Helper()
		spec, member := *g.spec, g.member("a")
		change(&spec)
		if address != "" {
			member.Address = address
		}
		found := NewPostgres(new(secret.Reader)).Preconditions(limit(t, plenty), member, &spec)
		if len(found) != 1 || !found[0].Blocks || !found[0].Halts {
			t.Fatalf("problems: %+v", found)
		}
		return found[0]
	}
	for name, test := range map[string]struct {
		change      func(*failover.Spec)
		address     string
		unreachable bool
		what, fix   string
	}{
		"nobody listens":   {func(*failover.Spec) {}, "127.0.0.1:1", true, "nobody listens at 127.0.0.1:1", "start it"},
		"no secret":        {func(s *failover.Spec) { s.Connect.Password = failover.Setting{File: "/nowhere/pw"} }, "", false, "password: resolve from file /nowhere/pw", "on this arbiter's machine"},
		"a wrong password": {func(s *failover.Spec) { s.Connect.Password = failover.Setting{Value: "hunter2"} }, "", false, "the server says: password authentication failed for user \"arbiter\" (SQLSTATE 28P01)", "pg_hba.conf"},
	} {
		t.Run(name, func(t *testing.T) {
			p := ask(test.change, test.address)
			if p.Unreachable != test.unreachable || !strings.Contains(p.What, test.what) || !strings.Contains(p.Fix, test.fix) || strings.Contains(p.What, "hunter2") {
				t.Errorf("got %+v, want %q with %q to do", p, test.what, test.fix)
			}
		})
	}
}

// PostgreSQL 14 as far as Arbiter's role can tell: another version, and no has_parameter_privilege.
func TestPreconditionsOfAnOldServer(t *testing.T) {
	g := startGroup(t)
	a := g.servers["a"]
	a.Exec("CREATE SCHEMA old")
	a.Exec("GRANT USAGE ON SCHEMA old TO arbiter")
	a.Exec("ALTER ROLE arbiter SET search_path = old, pg_catalog")
	a.Exec(`CREATE FUNCTION old.current_setting(name text) RETURNS text LANGUAGE sql
		AS $$ SELECT CASE name WHEN 'server_version_num' THEN '140011' ELSE pg_catalog.current_setting(name) END $$`)
	a.Exec(`CREATE FUNCTION old.has_parameter_privilege(text, text) RETURNS boolean LANGUAGE plpgsql
		AS $$ BEGIN RAISE undefined_function; END $$`)
	want := []string{"halts: its version is 14; ALTER SYSTEM can be granted from PostgreSQL 15 on"}
	if found := g.problems("a"); !slices.Equal(found, want) {
		t.Errorf("problems %q; want %q", found, want)
	}
}

func TestPreconditionsNameWhatIsMissing(t *testing.T) {
	g := startGroup(t)
	a := g.servers["a"]
	a.Exec("DROP TABLE arbiter.route_proof")
	a.Exec("REVOKE UPDATE ON arbiter.epoch FROM arbiter")
	a.Exec("ALTER ROLE arbiter SET arbiter.epoch = '9'")
	a.Configure(
		postgrestest.Setting{Key: "fsync", Value: "off"}, postgrestest.Setting{Key: "wal_log_hints", Value: "off"},
		postgrestest.Setting{Key: "max_wal_senders", Value: "0"}, postgrestest.Setting{Key: "wal_level", Value: "minimal"},
		postgrestest.Setting{Key: "synchronous_commit", Value: "off"},
	)
	a.Stop()
	a.Start()
	a.WaitReady()
	g.spec.Members = append(g.spec.Members, failover.MemberSpec{Name: "x"})
	for _, want := range []string{
		"halts: the role \"arbiter\" lacks: table arbiter.epoch, to write; table arbiter.route_proof, to write", "halts: arbiter.epoch is set for a role",
		"blocks: fsync is off", "advice: neither wal_log_hints", "blocks: max_wal_senders is 0", "blocks: wal_level is minimal", "advice: synchronous_commit is off",
	} {
		g.wantProblem("a", want)
	}

	a.Exec("DROP SCHEMA arbiter CASCADE")
	g.wantProblem("a", "table arbiter.probe, to write; table arbiter.epoch")
}

// Where a grant can be made is told with what is missing: after a fence there may be no primary to make it on.
func TestPreconditions_SayWhereAGrantCanBeMade(t *testing.T) {
	found := &findings{spec: &failover.Spec{}}
	found.checkPrivileges(serverFacts{inRecovery: true, missing: []string{"EXECUTE on pg_promote(boolean, integer)"}})
	for _, want := range []string{"on the primary", "a server in recovery takes no grant", "Without a primary, arbiterctl explain"} {
		if fix := found.problems[0].Fix; !strings.Contains(fix, want) {
			t.Errorf("%q is not in %q", want, fix)
		}
	}
}

func TestPreconditionsOfAStandby(t *testing.T) {
	g := startGroup(t, "b")
	b := g.servers["b"]
	b.Configure(
		postgrestest.Setting{Key: "primary_conninfo", Value: b.Query("SELECT current_setting('primary_conninfo')") + " application_name=other"},
		postgrestest.Setting{Key: "primary_slot_name", Value: "b_slot"}, postgrestest.Setting{Key: "recovery_min_apply_delay", Value: "5s"},
		postgrestest.Setting{Key: "recovery_target_timeline", Value: "current"},
	)
	b.Stop()
	b.Start()
	b.WaitReady()
	for _, want := range []string{
		`blocks: it makes itself known as "other", and the spec says "b"`, "advice: it uses the replication slot b_slot",
		"advice: recovery_min_apply_delay is set", "blocks: recovery_target_timeline is current",
	} {
		g.wantProblem("b", want)
	}
}

// A standby's own rule counts from its promotion on, and without an application_name its cluster_name is what its primary knows it by.
func TestPreconditionsOfAStandbyThatIsToBecomePrimary(t *testing.T) {
	g := startGroup(t, "b")
	b := g.servers["b"]
	found := func() string { // apart from the fsync of tests
		return strings.Join(slices.DeleteFunc(g.problems("b"), func(p string) bool { return strings.Contains(p, "fsync") }), "; ")
	}
	g.wantProblem("b", "advice: it has no synchronous_standby_names")
	// The good rule comes last: what follows finds it in force.
	two := g.spec.Members
	three := append(slices.Clone(two), failover.MemberSpec{Name: "c", ApplicationName: "c"})
	const all = "advice: its synchronous_standby_names asks all that it names"
	for _, test := range []struct {
		members    []failover.MemberSpec
		rule, want string
	}{
		{two, `FIRST 1 (b, c)`, "advice: its synchronous_standby_names names itself"},
		{three, `FIRST 1 (a)`, all},
		{three, `ANY 2 (a, c)`, all},
		{three, `ANY 1 (a, c)`, ""},
		{three, `ANY 1 (*)`, ""},
		{two, `FIRST 1 (a)`, ""},
	} {
		rule, want := test.rule, test.want
		g.spec.Members = test.members
		b.Configure(postgrestest.Setting{Key: "synchronous_standby_names", Value: rule})
		b.Exec("SELECT pg_reload_conf()")
		b.Eventually("the rule is in force", func() bool { return b.Query("SHOW synchronous_standby_names") == rule })
		if found := found(); want == "" && found != "" || !strings.HasPrefix(found, want) {
			t.Errorf("%s: problems %q; want %q", rule, found, want)
		}
	}

	info, err := postgres.ParseConnInfo(b.Query("SELECT current_setting('primary_conninfo')"))
	if err != nil {
		t.Fatal(err)
	}
	b.Configure(
		postgrestest.Setting{Key: "primary_conninfo", Value: info.Without("application_name").String()}, postgrestest.Setting{Key: "cluster_name", Value: "b"},
	)
	b.Stop()
	b.Start()
	b.WaitReady()
	if found := found(); found != "" {
		t.Errorf("known by its cluster_name: problems %q", found)
	}
}

// Every privilege of the schema is named when it is missing, and something fails without it: it is needed.
func TestLeastPrivileges(t *testing.T) {
	g := startGroup(t, "b")
	a, b := g.servers["a"], g.servers["b"]
	replicated := func() {
		end := a.Query("SELECT pg_current_wal_flush_lsn()")
		b.Eventually("the grants are replicated", func() bool {
			return b.Query("SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn", end) == "true"
		})
	}
	epoch, given := failover.Epoch(1), 2*time.Second
	stop := func() (ok bool, detail string) {
		p := g.engine.StopFollowing(limit(t, given), g.member("b"), g.spec, epoch, g.systemID)
		return p.Answered, p.Detail
	}
	follow := func() (ok bool, detail string) {
		o := g.engine.Follow(limit(t, given), g.member("b"), g.member("a"), g.spec, epoch, g.systemID)
		return o.Result == failover.ResultDone, o.Detail
	}
	promote := func() (ok bool, detail string) {
		o := g.engine.Promote(limit(t, given), g.promotion("b", epoch))
		return o.Result == failover.ResultDone, o.Detail
	}
	end := func() (ok bool, detail string) {
		o := g.engine.EndSessions(limit(t, given), g.member("a"), g.spec, epoch)
		return o.Result == failover.ResultDone, o.Detail
	}
	a.Exec("CREATE ROLE client LOGIN")
	for _, privilege := range []struct {
		grant string // after GRANT or REVOKE, with %s for TO or FROM
		named string
		use   func() (bool, string)
	}{
		{"pg_read_all_settings %s arbiter", "pg_read_all_settings", stop},
		{"pg_read_all_stats %s arbiter", "pg_read_all_stats", follow},
		{"EXECUTE ON FUNCTION pg_ls_waldir() %s arbiter", "pg_ls_waldir", stop},
		{"EXECUTE ON FUNCTION pg_show_all_file_settings() %s arbiter", "pg_show_all_file_settings", stop},
		{"SELECT ON pg_file_settings %s arbiter", "pg_file_settings", stop},
		{"EXECUTE ON FUNCTION pg_reload_conf() %s arbiter", "pg_reload_conf", stop},
		{`ALTER SYSTEM ON PARAMETER "arbiter.epoch" %s arbiter`, "arbiter.epoch", stop},
		{"ALTER SYSTEM ON PARAMETER primary_conninfo %s arbiter", "primary_conninfo", stop},
		{"EXECUTE ON FUNCTION pg_promote(boolean, integer) %s arbiter", "pg_promote", promote},
		{"pg_signal_backend %s arbiter", "pg_signal_backend", end},
	} {
		a.Exec("REVOKE " + strings.Replace(privilege.grant, "%s", "FROM", 1))
		replicated()
		connection := a.DialAs("client")
		epoch++
		if ok, _ := privilege.use(); ok {
			t.Errorf("nothing fails without %s: it is not needed", privilege.named)
		} else {
			g.wantProblem("a", privilege.named)
		}
		connection.Close()
		// Let b follow again before the next one.
		a.Exec("GRANT " + strings.Replace(privilege.grant, "%s", "TO", 1))
		b.Exec("ALTER SYSTEM RESET primary_conninfo")
		b.Reload()
		replicated()
	}
	given = plenty
	for _, use := range []func() (bool, string){stop, follow, end, promote} {
		epoch++
		if ok, detail := use(); !ok {
			t.Errorf("with all privileges: %s", detail)
		}
	}
}
