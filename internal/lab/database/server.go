package database

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/arbiter-ha/arbiter/internal/lab/hosts"
)

// Options describe a server.
type Options struct {
	// Template is what it is copied from.
	Template *Template
	// Host is where it runs. Its name is the member's name: cluster_name, and application_name in replication.
	Host *hosts.Host
	// SyncStandbys is synchronous_standby_names, such as FIRST 1 ("pg-b"); empty means that commits wait for nobody.
	SyncStandbys string
	// Settings go to the configuration file as they are.
	Settings map[string]string
}

// Server is one PostgreSQL server on one host.
type Server struct {
	template *Template
	host     *hosts.Host
	name     string
	port     int
	dir      string // data directory
	sockets  string // directory of the Unix socket
	log      string // directory of the write-ahead log; empty if it is in dir
	settings map[string]string
	process  *hosts.Process // the last one started; nil before
}

// New makes the files of a server without starting it: a primary, or a standby of primary when that is not nil.
func New(ctx context.Context, options Options, primary *Server) (*Server, error) {
	s := &Server{template: options.Template, host: options.Host, name: options.Host.Name()}
	s.dir, s.sockets = filepath.Join(s.host.Dir(), "data"), s.host.Dir()
	var err error
	if s.port, err = s.host.FreePort(5432); err != nil {
		return nil, err
	}
	s.settings = map[string]string{
		"listen_addresses":          s.host.Addr().String() + "," + s.host.Addr6().String(),
		"port":                      strconv.Itoa(s.port),
		"unix_socket_directories":   s.sockets,
		"cluster_name":              s.name,
		"synchronous_standby_names": options.SyncStandbys,
	}
	maps.Copy(s.settings, options.Settings)
	if err := s.template.account.own(s.host.Dir()); err != nil {
		return nil, err
	}
	if out, err := exec.CommandContext(ctx, "cp", "-a", s.template.dir, s.dir).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("copy template for %s: %w: %s", s.name, err, out)
	}
	if primary != nil {
		s.settings["primary_conninfo"] = s.connInfoTo(primary)
		if err := s.touch("standby.signal"); err != nil {
			return nil, err
		}
	}
	s.host.OnDeath(s.removeSharedMemory)
	return s, s.writeSettings()
}

// Name is the member's name.
func (s *Server) Name() string { return s.name }

// Host is where it runs.
func (s *Server) Host() *hosts.Host { return s.host }

// Address is where clients reach it, host:port.
func (s *Server) Address() string {
	return net.JoinHostPort(s.host.Addr().String(), strconv.Itoa(s.port))
}

// Port is the TCP port.
func (s *Server) Port() int { return s.port }

// DataDir is the data directory.
func (s *Server) DataDir() string { return s.dir }

// connInfoTo is how this server follows another one.
func (s *Server) connInfoTo(primary *Server) string {
	return fmt.Sprintf("host=%s port=%d user=%s password=%s application_name=%s connect_timeout=2",
		primary.host.Addr(), primary.port, Replicator, s.template.Password(Replicator), s.name)
}

// Set changes settings in the configuration file; they count from the next start or Reload. An empty map only writes
// the file anew.
func (s *Server) Set(settings map[string]string) error {
	maps.Copy(s.settings, settings)
	return s.writeSettings()
}

func (s *Server) writeSettings() error {
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(s.settings)) {
		fmt.Fprintf(&b, "%s = '%s'\n", key, strings.ReplaceAll(s.settings[key], "'", "''"))
	}
	return s.writeFile("member.conf", b.String())
}

func (s *Server) touch(name string) error { return s.writeFile(name, "") }

func (s *Server) writeFile(name, text string) error {
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return fmt.Errorf("write %s of %s: %w", name, s.name, err)
	}
	return s.template.account.own(path)
}

// remove deletes a file of the data directory; that it isn't there is no error.
func (s *Server) remove(name string) error {
	if err := os.Remove(filepath.Join(s.dir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove %s of %s: %w", name, s.name, err)
	}
	return nil
}

// Reload makes a running server read its configuration.
func (s *Server) Reload(ctx context.Context) error {
	return s.Exec(ctx, "SELECT pg_reload_conf()")
}

// Connect opens a connection as superuser through the Unix socket. The caller closes it.
func (s *Server) Connect(ctx context.Context) (*pgx.Conn, error) { return s.ConnectAs(ctx, Superuser) }

// ConnectAs opens a connection as any of the roles through the Unix socket. The caller closes it.
func (s *Server) ConnectAs(ctx context.Context, role string) (*pgx.Conn, error) {
	config, err := s.connConfig(role)
	if err != nil {
		return nil, err
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", s.name, err)
	}
	return conn, nil
}

func (s *Server) connConfig(role string) (*pgx.ConnConfig, error) {
	config, err := pgx.ParseConfig(fmt.Sprintf("host=%s port=%d user=%s dbname=%s sslmode=disable", s.sockets, s.port, role, Name))
	if err != nil {
		return nil, fmt.Errorf("configure connection to %s: %w", s.name, err)
	}
	config.DefaultQueryExecMode = pgx.QueryExecModeExec
	return config, nil
}

// Exec runs one statement as superuser on a connection of its own.
func (s *Server) Exec(ctx context.Context, sql string, args ...any) error {
	conn, err := s.Connect(ctx)
	if err != nil {
		return err
	}
	defer closeConn(conn)
	if _, err := conn.Exec(ctx, sql, args...); err != nil {
		return fmt.Errorf("execute on %s: %w", s.name, err)
	}
	return nil
}

// Ask runs one query as superuser and scans its single row.
func (s *Server) Ask(ctx context.Context, into []any, sql string, args ...any) error {
	conn, err := s.Connect(ctx)
	if err != nil {
		return err
	}
	defer closeConn(conn)
	if err := conn.QueryRow(ctx, sql, args...).Scan(into...); err != nil {
		return fmt.Errorf("ask %s: %w", s.name, err)
	}
	return nil
}

// closePatience bounds the farewell to a server that may be frozen.
const closePatience = 200 * time.Millisecond

func closeConn(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), closePatience)
	defer cancel()
	_ = conn.Close(ctx) // the socket is closed in any case
}

// pollEvery is how often a server is asked whether it has come as far as is awaited.
const pollEvery = 3 * time.Millisecond

// Await asks until holds says yes, or ctx ends, or the server's process ends. Errors count as no.
func (s *Server) Await(ctx context.Context, what string, holds func(context.Context) (bool, error)) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var last error
	for {
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("wait for %s to be %s: %w", s.name, what, context.Cause(ctx)), last)
		case <-timer.C:
		}
		yes, err := holds(ctx)
		if yes && err == nil {
			return nil
		}
		if err != nil && ctx.Err() == nil {
			last = err
		}
		if s.process == nil || !s.process.Running() {
			return fmt.Errorf("wait for %s to be %s: %w: %w", s.name, what, ErrEnded, s.ended())
		}
		timer.Reset(pollEvery)
	}
}

// ended is how the server's process came to its end.
func (s *Server) ended() error {
	if s.process == nil {
		return errors.New("never started")
	}
	return s.process.Err()
}
