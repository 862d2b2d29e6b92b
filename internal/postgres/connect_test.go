package postgres_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/freeport"
	"github.com/arbiter-ha/arbiter/internal/postgres"
	"github.com/arbiter-ha/arbiter/internal/postgres/postgrestest"
	"github.com/arbiter-ha/arbiter/internal/secret"
)

func TestMain(m *testing.M) { os.Exit(postgrestest.Main(m)) }

// plenty is for what has no reason to take long: only a hang reaches it.
const plenty = time.Minute

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestDialSetsTheSession(t *testing.T) {
	server := postgrestest.Start(t)
	t.Setenv("PGAPPNAME", "from the environment")
	t.Setenv("PGOPTIONS", "-c work_mem=1MB")
	conn, err := postgres.NewConnector(postgrestest.Connect(), new(secret.Reader)).Dial(within(t, plenty), server.Address, postgres.Options{
		LocalCommit: true, StatementTimeout: 10*time.Second + 500*time.Microsecond, LockTimeout: time.Second, Parameters: map[string]string{"search_path": "pg_catalog"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for name, want := range map[string]string{
		"application_name": "arbiter", "synchronous_commit": "local", "statement_timeout": "10001ms", "lock_timeout": "1s",
		"search_path": "pg_catalog", "work_mem": "4MB", "is_superuser": "off",
	} {
		var got string
		if err := conn.QueryRow(within(t, plenty), "SELECT current_setting($1)", name).Scan(&got); err != nil || got != want {
			t.Errorf("%s = %q, %v; want %q", name, got, err, want)
		}
	}
	var prepared int
	if err := conn.QueryRow(within(t, plenty), "SELECT count(*) FROM pg_prepared_statements").Scan(&prepared); err != nil || prepared != 0 {
		t.Errorf("%d prepared statements, %v; want none", prepared, err)
	}
}

// TestTheEnvironmentDoesNotCount: pgx takes each of these from the environment, and refuses many of them if they make no sense.
func TestTheEnvironmentDoesNotCount(t *testing.T) {
	server := postgrestest.Start(t)
	for _, name := range []string{
		"PGHOST", "PGPORT", "PGDATABASE", "PGUSER", "PGPASSWORD", "PGPASSFILE", "PGAPPNAME", "PGCONNECT_TIMEOUT", "PGSSLMODE", "PGSSLKEY", "PGSSLCERT",
		"PGSSLCERTMODE", "PGSSLSNI", "PGSSLROOTCERT", "PGSSLPASSWORD", "PGSSLNEGOTIATION", "PGTARGETSESSIONATTRS", "PGSERVICE", "PGSERVICEFILE", "PGTZ",
		"PGOPTIONS", "PGMINPROTOCOLVERSION", "PGMAXPROTOCOLVERSION", "PGCHANNELBINDING", "PGREQUIREAUTH",
	} {
		t.Run(name, func(t *testing.T) {
			for _, value := range []string{"nonsense", ""} {
				t.Setenv(name, value)
				if err := postgres.ForgetService(); err != nil {
					t.Fatal(err)
				}
				conn, err := postgres.NewConnector(postgrestest.Connect(), new(secret.Reader)).Dial(within(t, plenty), server.Address, postgres.Options{})
				if err != nil {
					t.Fatalf("with %q: %v", value, err)
				}
				conn.Close()
			}
		})
	}
}

func TestDialOverIPv6(t *testing.T) {
	server := postgrestest.Start(t)
	_, port, err := net.SplitHostPort(server.Address)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := postgres.NewConnector(postgrestest.Connect(), new(secret.Reader)).Dial(within(t, plenty), net.JoinHostPort("::1", port), postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

func TestConnectorResolvesThePassword(t *testing.T) {
	server := postgrestest.Start(t)
	connect := postgrestest.Connect()
	t.Setenv("CONNECT_TEST_PASSWORD", postgrestest.Password)
	connect.Password = failover.Setting{Env: "CONNECT_TEST_PASSWORD"}
	conn, err := postgres.NewConnector(connect, new(secret.Reader)).Dial(within(t, plenty), server.Address, postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	connect.Password.Env = "CONNECT_TEST_OTHER"
	_, err = postgres.NewConnector(connect, new(secret.Reader)).Dial(within(t, plenty), server.Address, postgres.Options{})
	if got := postgres.Classify(err).Reason; got != failover.ReasonBadConfiguration || !errors.Is(err, postgres.ErrUnusableSettings) {
		t.Errorf("%v is classified as %s; want %s", err, got, failover.ReasonBadConfiguration)
	}
}

// Neither dialling nor a statement nor closing may hang on a server that is frozen, and nothing may pile up.
func TestFrozenServerHoldsNobody(t *testing.T) {
	server := postgrestest.Start(t)
	held, err := postgres.NewConnector(postgrestest.Connect(), new(secret.Reader)).Dial(within(t, plenty), server.Address, postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	server.Freeze()
	defer server.Thaw()
	before := runtime.NumGoroutine()
	begun := time.Now()
	for range 20 {
		_, err := postgres.NewConnector(postgrestest.Connect(), new(secret.Reader)).Dial(within(t, 20*time.Millisecond), server.Address, postgres.Options{})
		if got := postgres.Classify(err).Reason; got != failover.ReasonTimeout {
			t.Fatalf("%v is classified as %s; want %s", err, got, failover.ReasonTimeout)
		}
	}
	_, err = held.Exec(within(t, 20*time.Millisecond), "SELECT 1")
	if got := postgres.Classify(err).Reason; got != failover.ReasonTimeout {
		t.Errorf("%v is classified as %s; want %s", err, got, failover.ReasonTimeout)
	}
	held.Close()
	if took := time.Since(begun); took > plenty/2 {
		t.Errorf("took %v", took)
	}
	server.Eventually("no goroutine is left", func() bool { return runtime.NumGoroutine() <= before+2 })
}

func TestClassifyCancelledByTheCaller(t *testing.T) {
	server := postgrestest.Start(t)
	conn, err := postgres.NewConnector(postgrestest.Connect(), new(secret.Reader)).Dial(within(t, plenty), server.Address, postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(20*time.Millisecond, cancel)
	_, err = conn.Exec(ctx, "SELECT pg_sleep(5)")
	if got := postgres.Classify(err).Reason; got != failover.ReasonArbiterTrouble {
		t.Errorf("%v is classified as %s; want %s", err, got, failover.ReasonArbiterTrouble)
	}
}

// classified is a server, with what can be done wrong with it.
type classified struct {
	*postgrestest.Server
	t *testing.T
}

func (c classified) dial(change func(*failover.Connect), options postgres.Options) (*postgres.Conn, error) {
	connect := postgrestest.Connect()
	change(&connect)
	return postgres.NewConnector(connect, new(secret.Reader)).Dial(within(c.t, plenty), c.Address, options)
}

// login is how a new connection ends.
func (c classified) login(change func(*failover.Connect)) error {
	conn, err := c.dial(change, postgres.Options{})
	if err == nil {
		conn.Close()
	}
	return err
}

// query is how one statement on a new connection ends.
func (c classified) query(sql string, options postgres.Options) error {
	conn, err := c.dial(unchanged, options)
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.Exec(within(c.t, plenty), sql)
	return err
}

func unchanged(*failover.Connect) {}

// classifications are what servers and clients have in common to complain of, in an order in which none disturbs the next.
var classifications = []struct {
	name string
	err  func(classified) error
	want failover.Reason
}{
	{"answer", func(c classified) error { return c.query("SELECT 1", postgres.Options{}) }, failover.ReasonAnswered},
	{"wrong password", func(c classified) error {
		return c.login(func(connect *failover.Connect) { connect.Password.Value = "x" })
	}, failover.ReasonBadCredentials},
	{"unknown role", func(c classified) error {
		return c.login(func(connect *failover.Connect) { connect.User = "nobody" })
	}, failover.ReasonBadCredentials},
	{"unknown database", func(c classified) error {
		return c.login(func(connect *failover.Connect) { connect.Database = "none" })
	}, failover.ReasonBadConfiguration},
	{"TLS required", func(c classified) error {
		return c.login(func(connect *failover.Connect) { connect.SSLMode = "require" })
	}, failover.ReasonBadConfiguration},
	{"unknown sslmode", func(c classified) error {
		return c.login(func(connect *failover.Connect) { connect.SSLMode = "maybe" })
	}, failover.ReasonBadConfiguration},
	{"missing CA file", func(c classified) error {
		return c.login(func(connect *failover.Connect) {
			connect.SSLMode, connect.SSLRoot = "verify-full", filepath.Join(c.t.TempDir(), "none")
		})
	}, failover.ReasonBadConfiguration},
	{"TLS preferred, not offered", func(c classified) error {
		return c.login(func(connect *failover.Connect) { connect.SSLMode = "prefer" })
	}, failover.ReasonAnswered},
	{"missing table", func(c classified) error { return c.query("SELECT * FROM none", postgres.Options{}) }, failover.ReasonBadConfiguration},
	{"missing grant", func(c classified) error { return c.query("SELECT * FROM pg_authid", postgres.Options{}) }, failover.ReasonBadConfiguration},
	{"statement_timeout", func(c classified) error {
		return c.query("SELECT pg_sleep(5)", postgres.Options{StatementTimeout: 20 * time.Millisecond})
	}, failover.ReasonSlow},
	{"read-only", func(c classified) error {
		return c.query("INSERT INTO arbiter.probe VALUES ('x')", postgres.Options{Parameters: map[string]string{"default_transaction_read_only": "on"}})
	}, failover.ReasonReadOnly},
	{"lock_timeout", classified.waitForALock, failover.ReasonSlow},
	{"terminated", classified.terminate, failover.ReasonShuttingDown},
	{"connections exhausted", classified.exhaust, failover.ReasonTooManyConnections},
	{"reset", classified.reset, failover.ReasonReset},
	{"refused", func(c classified) error { return c.login(unchanged) }, failover.ReasonRefused},
}

func (c classified) waitForALock() error {
	c.Exec("INSERT INTO arbiter.probe VALUES ('y')")
	holder := c.Dial()
	defer holder.Close()
	for _, sql := range []string{"BEGIN", "UPDATE arbiter.probe SET beat = 1"} {
		if _, err := holder.Exec(within(c.t, plenty), sql); err != nil {
			return err
		}
	}
	return c.query("UPDATE arbiter.probe SET beat = 2", postgres.Options{LockTimeout: 20 * time.Millisecond})
}

func (c classified) terminate() error {
	conn, err := c.dial(unchanged, postgres.Options{})
	if err != nil {
		return err
	}
	defer conn.Close()
	c.Exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'arbiter'")
	_, err = conn.Exec(within(c.t, plenty), "SELECT 1")
	return err
}

func (c classified) exhaust() error {
	for {
		conn, err := c.dial(unchanged, postgres.Options{})
		if err != nil {
			return err
		}
		defer conn.Close()
	}
}

func (c classified) reset() error {
	// The sessions that the case before held may still be ending.
	var conn *postgres.Conn
	c.Eventually("a slot is free", func() (free bool) {
		var err error
		conn, err = c.dial(unchanged, postgres.Options{})
		return err == nil
	})
	defer conn.Close()
	c.Kill()
	_, err := conn.Exec(within(c.t, plenty), "SELECT 1")
	return err
}

func TestClassifyRealServers(t *testing.T) {
	server := postgrestest.Start(t, postgrestest.Setting{Key: "max_connections", Value: "12"},
		postgrestest.Setting{Key: "superuser_reserved_connections", Value: "3"}, postgrestest.Setting{Key: "max_wal_senders", Value: "2"})
	for _, c := range classifications {
		err := c.err(classified{server, t})
		evidence := postgres.Classify(err)
		if evidence.Reason != c.want {
			t.Errorf("%s: %v is classified as %s; want %s", c.name, err, evidence.Reason, c.want)
		}
		if strings.ContainsAny(evidence.Detail, "\n\t") || (err != nil) != (evidence.Detail != "") {
			t.Errorf("%s: detail %q is not one line", c.name, evidence.Detail)
		}
	}
}

func TestClassifyCrashRecoveryAndStartingUp(t *testing.T) {
	server := postgrestest.Start(t)
	reason := func() failover.Reason {
		conn, err := postgres.NewConnector(postgrestest.Connect(), new(secret.Reader)).Dial(within(t, plenty), server.Address, postgres.Options{})
		if err == nil {
			conn.Close()
		}
		return postgres.Classify(err).Reason
	}
	// One crashed child makes the server end all others and recover: the frozen ones hold it there.
	held := server.Dial()
	var pid string
	if err := held.QueryRow(within(t, plenty), "SELECT pg_backend_pid()::text").Scan(&pid); err != nil {
		t.Fatal(err)
	}
	checkpointer := server.Query("SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'")
	server.SignalProcess(checkpointer, "STOP")
	server.SignalProcess(pid, "KILL")
	server.Eventually("crash recovery is seen", func() bool { return reason() == failover.ReasonCrashRecovery })
	server.Kill()

	server.Start()
	seen := map[failover.Reason]bool{}
	server.Eventually("it answers", func() bool {
		r := reason()
		seen[r] = true
		return r == failover.ReasonAnswered
	})
	for r := range seen {
		if r != failover.ReasonAnswered && r != failover.ReasonStartingUp && r != failover.ReasonRefused {
			t.Errorf("a starting server is classified as %s", r)
		}
	}
}

// What happened to a connection must not be lost, whichever way the statement was sent.
func TestBrokenConnectionIsAResetInEveryStatement(t *testing.T) {
	server := postgrestest.Start(t)
	var conns []*postgres.Conn
	for range 4 {
		conn, err := postgres.NewConnector(postgrestest.Connect(), new(secret.Reader)).Dial(within(t, plenty), server.Address, postgres.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conns = append(conns, conn)
	}
	server.Kill()
	ctx := within(t, plenty)
	var n int
	_, exec := conns[0].Exec(ctx, "SELECT 1")
	_, execArguments := conns[1].Exec(ctx, "SELECT $1::int", 1)
	for name, err := range map[string]error{
		"Exec": exec, "Exec with arguments": execArguments,
		"QueryRow":                conns[2].QueryRow(ctx, "SELECT 1").Scan(&n),
		"QueryRow with arguments": conns[3].QueryRow(ctx, "SELECT $1::int", 1).Scan(&n),
	} {
		if got := postgres.Classify(err).Reason; got != failover.ReasonReset {
			t.Errorf("%s: %v is classified as %s; want %s", name, err, got, failover.ReasonReset)
		}
	}
}

func TestClassifyShuttingDown(t *testing.T) {
	server := postgrestest.Start(t)
	server.Dial() // a session that a smart shutdown waits for
	if err := syscall.Kill(server.ProcessID(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	server.Eventually("shutting down is seen", func() bool {
		conn, err := postgres.NewConnector(postgrestest.Connect(), new(secret.Reader)).Dial(within(t, plenty), server.Address, postgres.Options{})
		if err == nil {
			conn.Close()
		}
		return postgres.Classify(err).Reason == failover.ReasonShuttingDown
	})
}

// A timeline has no room for an address that is said four times.
func TestDialSaysOnceWhatWasRefused(t *testing.T) {
	nobody := freeport.Address(t)
	server := postgrestest.Start(t)
	stranger := postgrestest.Connect()
	stranger.Database = "none"
	for want, dial := range map[string]func() (*postgres.Conn, error){
		"connect to " + nobody + ": connection refused": func() (*postgres.Conn, error) {
			return postgres.NewConnector(postgrestest.Connect(), new(secret.Reader)).Dial(within(t, plenty), nobody, postgres.Options{})
		},
		"connect to " + server.Address + `: the server says: FATAL: database "none" does not exist (SQLSTATE 3D000)`: func() (*postgres.Conn, error) {
			return postgres.NewConnector(stranger, new(secret.Reader)).Dial(within(t, plenty), server.Address, postgres.Options{})
		},
		"connect to nobody.invalid:5432: lookup nobody.invalid": func() (*postgres.Conn, error) {
			return postgres.NewConnector(postgrestest.Connect(), new(secret.Reader)).Dial(within(t, plenty), "nobody.invalid:5432", postgres.Options{})
		},
	} {
		conn, err := dial()
		if err == nil {
			conn.Close()
		}
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
