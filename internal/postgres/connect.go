package postgres

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/secret"
)

// closeBound is how long ending a connection may take. It only decides whether the server reads a polite farewell or
// finds the connection closed.
const closeBound = 100 * time.Millisecond

// ErrUnusableSettings says that connecting was not even tried: the address, the TLS files, or the reference to the
// password are wrong on this arbiter. It says nothing of the server.
var ErrUnusableSettings = errors.New("unusable connection settings")

// ErrCertificateDoubt says that the connection broke between the TLS handshake and the first answer, while this arbiter showed a
// certificate. That is how a server refuses a certificate in TLS 1.3, where the handshake ends before the server has judged it; so it is no
// sign that the server is gone. An arbiter whose certificate has run out must not take all its members for dead.
var ErrCertificateDoubt = errors.New("broken after the TLS handshake; the server may have refused the client certificate")

// DoubtCertificate adds ErrCertificateDoubt to an error from between the TLS handshake and the end of the log-in, if the connection
// just broke. It is for connections that a client certificate was shown on.
func DoubtCertificate(err error) error {
	if SQLState(err) != "" || reasonOfSocket(err) != failover.ReasonReset {
		return err
	}
	return fmt.Errorf("%w: %w", ErrCertificateDoubt, err)
}

// errAbandoned refuses the cancel request that pgx would send over a second connection.
var errAbandoned = errors.New("the connection was abandoned; no cancel request is sent")

// Options are what differs between the connections of one group.
type Options struct {
	// ApplicationName is what the server lists the session under; empty means "arbiter".
	ApplicationName string
	// StatementTimeout and LockTimeout make the server give up by itself; 0 sets none. They are rounded up to whole
	// milliseconds.
	StatementTimeout time.Duration
	LockTimeout      time.Duration
	// LocalCommit makes commits wait for the server's own disk only, not for synchronous standbys.
	LocalCommit bool
	// Parameters are further run-time parameters of the session.
	Parameters map[string]string
}

// Connector opens connections to the members of one group.
type Connector struct {
	connect failover.Connect
	secrets *secret.Reader
}

// NewConnector returns a Connector that reads the password and the TLS files at each Dial, so that rotated ones are used at once.
func NewConnector(connect failover.Connect, secrets *secret.Reader) Connector {
	return Connector{connect: connect, secrets: secrets}
}

// ServerError is what a server itself said.
type ServerError = pgconn.PgError

// Conn is one connection. Statements go out without being prepared, in one round trip each.
type Conn struct {
	*pgx.Conn
}

// Exec runs one statement.
func (c *Conn) Exec(ctx context.Context, sql string, arguments ...any) (pgconn.CommandTag, error) {
	if len(arguments) > 0 {
		return c.Conn.Exec(ctx, sql, arguments...)
	}
	return c.extended(ctx, sql).Close()
}

// Query runs one statement that answers rows. Errors turn up at the end of the rows.
func (c *Conn) Query(ctx context.Context, sql string, arguments ...any) (pgx.Rows, error) {
	if len(arguments) > 0 {
		return c.Conn.Query(ctx, sql, arguments...)
	}
	return pgx.RowsFromResultReader(c.TypeMap(), c.extended(ctx, sql)), nil
}

// QueryRow runs one statement of which the first row counts.
func (c *Conn) QueryRow(ctx context.Context, sql string, arguments ...any) pgx.Row {
	rows, err := c.Query(ctx, sql, arguments...)
	return firstRow{rows: rows, err: err}
}

// extended sends a statement without arguments in the same way as one with arguments. By itself pgx would take the simple protocol, in which
// it loses what was wrong with a broken connection ("conn closed" instead of a reset).
func (c *Conn) extended(ctx context.Context, sql string) *pgconn.ResultReader {
	return c.PgConn().ExecParams(ctx, sql, nil, nil, nil, nil)
}

// firstRow is a pgx.Row.
type firstRow struct {
	rows pgx.Rows
	err  error
}

// Scan reads the row, or returns pgx.ErrNoRows.
func (r firstRow) Scan(destinations ...any) error {
	if r.err != nil {
		return r.err
	}
	defer r.rows.Close()
	if !r.rows.Next() {
		if err := r.rows.Err(); err != nil {
			return err
		}
		return pgx.ErrNoRows
	}
	if err := r.rows.Scan(destinations...); err != nil {
		return err
	}
	r.rows.Close()
	return r.rows.Err()
}

// Reset has the server undo whatever was set, locked or begun on the connection, within closeBound, and says whether it can be used
// again.
func (c *Conn) Reset() bool {
	if c.IsClosed() || c.PgConn().IsBusy() || c.PgConn().TxStatus() != 'I' {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeBound)
	defer cancel()
	_, err := c.Exec(ctx, "DISCARD ALL")
	return err == nil
}

// Close ends the connection within closeBound. It may be called more than once.
func (c *Conn) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), closeBound)
	defer cancel()
	// The error is of no use: the socket is closed in any case.
	_ = c.Conn.Close(ctx)
}

// Dial opens a new connection to address (host:port, IPv6 in brackets, or a socket folder and port) within ctx. The caller closes it.
func (c Connector) Dial(ctx context.Context, address string, options Options) (*Conn, error) {
	config, err := c.config(ctx, address, options)
	if err != nil {
		return nil, err
	}
	gate := &dialGate{}
	config.DialFunc = gate.dial
	// The dialer resolves names itself: it tries addresses of both families at the same time, so that one that is
	// silent doesn't use up the time of the other.
	config.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil }
	showedCertificate := false
	config.AfterNetConnect = func(_ context.Context, _ *pgconn.Config, conn net.Conn) (net.Conn, error) {
		_, encrypted := conn.(*tls.Conn)
		showedCertificate = encrypted && c.connect.SSLCert != ""
		return conn, nil
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	gate.closed.Store(true)
	if err != nil {
		err = dialError{err: err, accepted: gate.passed.Load()}
		if showedCertificate {
			err = DoubtCertificate(err)
		}
		return nil, fmt.Errorf("connect to %s: %w", address, err)
	}
	return &Conn{Conn: conn}, nil
}

// ForgetService takes out of the process's environment the name of a service of libpq, which no setting keeps pgx from looking for. A program
// that connects calls it once, before anything else: where it is missing and the environment has one, every Dial is ErrUnusableSettings.
func ForgetService() error {
	if err := os.Unsetenv("PGSERVICE"); err != nil {
		return fmt.Errorf("forget PGSERVICE: %w", err)
	}
	return nil
}

// config is all that pgx needs to open a session.
func (c Connector) config(ctx context.Context, address string, options Options) (*pgx.ConnConfig, error) {
	config, err := ReadSettings(ctx, c.secrets, address, c.connect)
	if err != nil {
		return nil, err
	}
	if config.Password, err = c.secrets.Resolve(ctx, c.connect.Password); err != nil {
		return nil, fmt.Errorf("%w: password: %w", ErrUnusableSettings, err)
	}
	config.DefaultQueryExecMode = pgx.QueryExecModeExec
	config.StatementCacheCapacity = 0
	config.DescriptionCacheCapacity = 0
	config.RuntimeParams = options.parameters()
	return config, nil
}

func (o Options) parameters() map[string]string {
	parameters := map[string]string{"application_name": "arbiter"}
	if o.ApplicationName != "" {
		parameters["application_name"] = o.ApplicationName
	}
	if o.StatementTimeout > 0 {
		parameters["statement_timeout"] = milliseconds(o.StatementTimeout)
	}
	if o.LockTimeout > 0 {
		parameters["lock_timeout"] = milliseconds(o.LockTimeout)
	}
	if o.LocalCommit {
		parameters["synchronous_commit"] = "local"
	}
	maps.Copy(parameters, o.Parameters)
	return parameters
}

// milliseconds rounds up: 0 would switch the time limit off.
func milliseconds(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Millisecond-1)/time.Millisecond), 10)
}

// dialGate lets sockets be opened only while Dial runs. Afterwards pgx would use it only to send a cancel request, from a
// goroutine of up to 15 s: against a silent server those would pile up.
type dialGate struct {
	closed atomic.Bool
	passed atomic.Bool // a connection was accepted
}

func (g *dialGate) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if g.closed.Load() {
		return nil, errAbandoned
	}
	dialer := net.Dialer{KeepAlive: -1} // see NoticeLoss
	conn, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	g.passed.Store(true)
	NoticeLoss(conn)
	return &boundedConn{Conn: conn}, nil
}

// boundedConn shortens deadlines in the future. pgx sets one only when it gives a connection up (15 s, for saying goodbye
// and reading what is left); to interrupt a statement it sets one in the past.
type boundedConn struct {
	net.Conn
}

func (c *boundedConn) SetDeadline(t time.Time) error {
	if !t.IsZero() && time.Until(t) > closeBound {
		t = time.Now().Add(closeBound)
	}
	return c.Conn.SetDeadline(t)
}
