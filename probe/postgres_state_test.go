package probe

import (
	"context"
	"net"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/postgres"
	"github.com/arbiter-ha/arbiter/internal/postgres/postgrestest"
	"github.com/arbiter-ha/arbiter/internal/secret"
)

// setting shortens the tables below.
func setting(key, value string) postgrestest.Setting {
	return postgrestest.Setting{Key: key, Value: value}
}

// TestPostgresEvidence brings a real server into each state of DESIGN section 4 and looks at it.
func TestPostgresEvidence(t *testing.T) {
	shared := postgrestest.Start(t).Address // of the cases that don't change the server
	healthy := func(*testing.T) string { return shared }
	for _, test := range []struct {
		name    string
		arrange func(t *testing.T) (address string)
		change  func(*Target)
		timeout time.Duration // 0: one that isn't reached
		want    failover.Reason
		class   failover.EvidenceClass
		role    failover.Role // that the look learns
		writes  bool
	}{
		{
			name: "healthy", arrange: healthy,
			want: failover.ReasonAnswered, class: failover.EvidenceGood, role: failover.RolePrimary, writes: true,
		},
		{
			name: "connections exhausted", arrange: exhausted,
			want: failover.ReasonTooManyConnections, class: failover.EvidenceFailing,
		},
		{
			name: "starting up", arrange: startingUp,
			want: failover.ReasonStartingUp, class: failover.EvidenceFailing,
		},
		{
			name: "crash recovery", arrange: crashRecovery,
			want: failover.ReasonCrashRecovery, class: failover.EvidenceFailing,
		},
		{
			name: "shutting down", arrange: shuttingDown,
			want: failover.ReasonShuttingDown, class: failover.EvidenceFailing,
		},
		{
			name: "read-only", arrange: readOnly,
			want: failover.ReasonReadOnly, class: failover.EvidenceFailing, role: failover.RolePrimary,
		},
		{
			name: "disk full", arrange: diskFull,
			want: failover.ReasonDiskFull, class: failover.EvidenceFailing, role: failover.RolePrimary,
		},
		{
			name: "table of the write locked", arrange: locked, timeout: 10 * time.Second, // half of it is waited for a lock
			want: failover.ReasonSlow, class: failover.EvidenceFailing, role: failover.RolePrimary,
		},
		{
			name: "synchronous standby missing", arrange: withoutItsStandby,
			want: failover.ReasonAnswered, class: failover.EvidenceGood, role: failover.RolePrimary, writes: true,
		},
		{
			name: "wrong password", arrange: healthy,
			change: func(target *Target) { target.Spec.Connect.Password = failover.Setting{Value: "wrong"} },
			want:   failover.ReasonBadCredentials, class: failover.EvidenceCannotTell,
		},
		{
			name: "unknown database", arrange: healthy,
			change: func(target *Target) { target.Spec.Connect.Database = "nowhere" },
			want:   failover.ReasonBadConfiguration, class: failover.EvidenceCannotTell,
		},
		{
			name: "password file missing", arrange: healthy,
			change: func(target *Target) { target.Spec.Connect.Password = failover.Setting{File: "missing"} },
			want:   failover.ReasonBadConfiguration, class: failover.EvidenceCannotTell,
		},
		{
			name: "schema missing", arrange: withoutSchema,
			want: failover.ReasonBadConfiguration, class: failover.EvidenceCannotTell, role: failover.RolePrimary,
		},
		{
			name: "frozen", arrange: frozen, timeout: 300 * time.Millisecond,
			want: failover.ReasonTimeout, class: failover.EvidenceDead,
		},
		{
			name: "refused", arrange: refused,
			want: failover.ReasonRefused, class: failover.EvidenceDead,
		},
		{
			name: "reset", arrange: resets,
			want: failover.ReasonReset, class: failover.EvidenceDead,
		},
		{
			name: "accepts and is silent", arrange: silent, timeout: 300 * time.Millisecond,
			want: failover.ReasonTimeout, class: failover.EvidenceDead,
		},
		{
			name: "no power, on the same network", arrange: withoutPower,
			want: failover.ReasonNoRoute, class: failover.EvidenceDead,
		},
		{
			name: "black hole", arrange: blackHole, timeout: 300 * time.Millisecond,
			want: failover.ReasonTimeout, class: failover.EvidenceDead,
		},
		{
			name: "not PostgreSQL", arrange: speaksHTTP,
			want: failover.ReasonWrongAnswer, class: failover.EvidenceFailing,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			address := test.arrange(t)
			c := patientCheck()
			if test.timeout != 0 {
				c.Timeout = test.timeout
			}
			target := postgresTarget("pg-a", address, c)
			if test.change != nil {
				test.change(&target)
			}
			p := newPostgres(t)
			p.connector.secrets.Open = func(string) (secret.File, error) { return secret.File{}, os.ErrNotExist }
			look := lookAt(p, target, c)
			if look.Evidence.Reason != test.want || failover.ClassOf(look.Evidence.Reason) != test.class {
				t.Fatalf("evidence: got %+v, want %s (%s)", look.Evidence, test.want, test.class)
			}
			if look.Facts.Role != test.role || look.Facts.AcceptsWrites != test.writes {
				t.Fatalf("facts: got %+v, want role %q, accepts writes %v", look.Facts, test.role, test.writes)
			}
		})
	}
}

func exhausted(t *testing.T) string {
	server := postgrestest.Start(t, setting("max_connections", "8"), setting("superuser_reserved_connections", "3"),
		setting("max_wal_senders", "2"))
	for range 5 {
		server.Eventually("there is room for one connection more", func() bool { // the end of the one that saw the server ready takes a moment
			conn, err := postgres.NewConnector(postgrestest.Connect(), new(secret.Reader)).Dial(context.Background(), server.Address, postgres.Options{})
			if err == nil {
				t.Cleanup(conn.Close)
			}
			return err == nil
		})
	}
	return server.Address
}

// startingUp waits for an archive that doesn't answer.
func startingUp(t *testing.T) string {
	server := postgrestest.New(t, setting("restore_command", "sleep 60"))
	server.Touch("standby.signal")
	server.Start()
	server.Eventually("the server listens", func() bool {
		_, err := server.TryQuery("SELECT 1")
		return postgres.SQLState(err) == "57P03"
	})
	return server.Address
}

// crashRecovery kills one session's process while another is frozen, so that the postmaster can't restart all at once.
func crashRecovery(t *testing.T) string {
	server := postgrestest.Start(t)
	stuck, victim := server.Dial(), server.Dial()
	for _, s := range []struct {
		conn   *postgres.Conn
		signal syscall.Signal
	}{{stuck, syscall.SIGSTOP}, {victim, syscall.SIGKILL}} {
		if err := syscall.Kill(int(s.conn.PgConn().PID()), s.signal); err != nil {
			t.Fatalf("send %v: %v", s.signal, err)
		}
	}
	server.Eventually("the server notices the crash", func() bool {
		_, err := server.TryQuery("SELECT 1")
		return postgres.SQLState(err) == "57P03"
	})
	return server.Address
}

// shuttingDown asks for a shutdown that waits for its sessions.
func shuttingDown(t *testing.T) string {
	server := postgrestest.Start(t)
	server.Dial()
	if err := syscall.Kill(server.ProcessID(), syscall.SIGTERM); err != nil {
		t.Fatalf("ask for a shutdown: %v", err)
	}
	server.Eventually("the server shuts down", func() bool {
		_, err := server.TryQuery("SELECT 1")
		return postgres.SQLState(err) == "57P03"
	})
	return server.Address
}

func readOnly(t *testing.T) string {
	return postgrestest.Start(t, setting("default_transaction_read_only", "on")).Address
}

func locked(t *testing.T) string {
	server := postgrestest.Start(t)
	session := server.Dial()
	for _, statement := range []string{"BEGIN", "LOCK TABLE arbiter.probe IN ACCESS EXCLUSIVE MODE"} {
		if _, err := session.Exec(context.Background(), statement); err != nil {
			t.Fatalf("lock the table: %v", err)
		}
	}
	return server.Address
}

func withoutItsStandby(t *testing.T) string {
	return postgrestest.Start(t, setting("synchronous_standby_names", "nobody")).Address
}

func withoutSchema(t *testing.T) string {
	server := postgrestest.Start(t)
	server.Exec("DROP SCHEMA arbiter CASCADE")
	return server.Address
}

func frozen(t *testing.T) string {
	server := postgrestest.Start(t)
	server.Freeze()
	t.Cleanup(server.Thaw)
	return server.Address
}

func refused(t *testing.T) string {
	server := postgrestest.Start(t)
	server.Kill()
	return server.Address
}

// listen serves connections of an address of its own until the test ends.
func listen(t *testing.T, serve func(*net.TCPConn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serve(conn.(*net.TCPConn))
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-done
	})
	return listener.Addr().String()
}

func resets(t *testing.T) string {
	return listen(t, func(conn *net.TCPConn) {
		_ = conn.SetLinger(0) // a reset instead of an orderly end
		_ = conn.Close()
	})
}

func silent(t *testing.T) string {
	return listen(t, func(conn *net.TCPConn) { t.Cleanup(func() { _ = conn.Close() }) })
}

func speaksHTTP(t *testing.T) string {
	return listen(t, func(conn *net.TCPConn) {
		_, _ = conn.Write([]byte("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"))
		buffer := make([]byte, 512)
		_, _ = conn.Read(buffer)
		_ = conn.Close()
	})
}

// blackHole is an address whose queue of connections is full, so that the kernel drops every further SYN without a word.
func blackHole(t *testing.T) string {
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatalf("make a socket: %v", err)
	}
	t.Cleanup(func() { _ = unix.Close(socket) })
	if err := unix.Bind(socket, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatalf("bind: %v", err)
	}
	if err := unix.Listen(socket, 0); err != nil {
		t.Fatalf("listen: %v", err)
	}
	name, err := unix.Getsockname(socket)
	if err != nil {
		t.Fatalf("read the address: %v", err)
	}
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(name.(*unix.SockaddrInet4).Port))
	for {
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err != nil {
			return address
		}
		t.Cleanup(func() { _ = conn.Close() })
	}
}

// A frozen server's kernel accepts connections, so its machine runs, and that is told apart from a machine of which nothing is heard.
func TestPostgresTellsWhetherAConnectionWasAccepted(t *testing.T) {
	c := patientCheck()
	c.Timeout = 300 * time.Millisecond
	if e := wantLook(t, newPostgres(t), postgresTarget("pg-a", silent(t), c), c, failover.ReasonTimeout).Evidence; !e.Accepted {
		t.Errorf("it accepts and is silent: %+v", e)
	}
	if e := wantLook(t, newPostgres(t), postgresTarget("pg-a", blackHole(t), c), c, failover.ReasonTimeout).Evidence; e.Accepted {
		t.Errorf("nothing is heard of it: %+v", e)
	}
}
