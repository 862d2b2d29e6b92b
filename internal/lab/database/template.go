package database

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/arbiter-ha/arbiter/internal/postgres"
)

// Template is a data directory that servers are copied from.
type Template struct {
	dir       string
	bin       string
	version   string
	account   account
	passwords map[string]string
}

// account is who servers run as.
type account struct {
	name       string // for hosts.Command.User; "" without root
	current    string // who runs the lab
	credential *syscall.Credential
}

// oldestMajor is the first release in which a role can be allowed to set a single parameter.
const oldestMajor = 15

// FindBinaries returns the directory with the programs of the newest PostgreSQL server on this machine.
func FindBinaries() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return "", fmt.Errorf("look for PostgreSQL: %w", err)
	}
	best, dir := 0, ""
	for _, path := range found {
		major, err := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
		if err == nil && major >= oldestMajor && major > best {
			best, dir = major, filepath.Dir(path)
		}
	}
	if dir != "" {
		return dir, nil
	}
	// Elsewhere all programs share a directory that is in the search path.
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path), nil
	}
	return "", ErrNotInstalled
}

// Usable says why servers can't be run on this machine, if they can't.
func Usable() error {
	if _, err := FindBinaries(); err != nil {
		return err
	}
	_, err := serverAccount()
	return err
}

// NewTemplate makes a template in dir, which must not exist and which the servers' account must be able to reach. It
// takes about a second. The caller removes dir.
func NewTemplate(ctx context.Context, dir string) (*Template, error) {
	t := &Template{dir: dir, passwords: map[string]string{}}
	var err error
	if t.bin, err = FindBinaries(); err != nil {
		return nil, err
	}
	if t.account, err = serverAccount(); err != nil {
		return nil, err
	}
	for _, role := range []string{Arbiter, App, Replicator} {
		t.passwords[role] = rand.Text()
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make template directory: %w", err)
	}
	if err := t.account.own(dir); err != nil {
		return nil, err
	}
	if err := t.initialise(ctx); err != nil {
		return nil, fmt.Errorf("make PostgreSQL template: %w", err)
	}
	return t, nil
}

// Password of one of the roles Arbiter, App and Replicator.
func (t *Template) Password(role string) string { return t.passwords[role] }

// Version is the server's, such as "15.14".
func (t *Template) Version() string { return t.version }

func (t *Template) initialise(ctx context.Context) error {
	out, err := t.run(ctx, "", "postgres", "--version")
	if err != nil {
		return err
	}
	// "postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)"
	if words := strings.Fields(out); len(words) > 2 {
		t.version = words[2]
	}
	if _, err := t.run(ctx, "", "initdb", "--pgdata="+t.dir, "--username="+Superuser, "--encoding=UTF8", "--no-locale",
		"--auth=reject", "--no-sync", "--no-instructions"); err != nil {
		return err
	}
	for name, text := range map[string]string{
		"pg_hba.conf":   accessRules,
		"pg_ident.conf": t.identities(),
	} {
		if err := os.WriteFile(filepath.Join(t.dir, name), []byte(text), 0o600); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	if err := appendTo(filepath.Join(t.dir, "postgresql.conf"), commonSettings); err != nil {
		return err
	}
	return t.fill(ctx)
}

// accessRules let everybody in by password over the network, and the lab's own account as anybody through the socket.
const accessRules = `
local all         all            peer map=lab
host  all         all        all scram-sha-256
host  replication replicator all scram-sha-256
`

// commonSettings are the same on every server. Dynamic shared memory lies in the data directory, so that nothing of a
// killed server stays in the system's memory. Whatever is not named here has PostgreSQL's default.
const commonSettings = `
shared_buffers = 32MB
max_connections = 60
max_wal_senders = 10
wal_keep_size = 256MB
wal_log_hints = on
jit = off
dynamic_shared_memory_type = mmap
log_line_prefix = '%m [%p] %q%u@%a '
include_if_exists = 'member.conf'
`

func (t *Template) identities() string {
	var b strings.Builder
	accounts := []string{t.account.current}
	if t.account.name != "" && t.account.name != t.account.current {
		accounts = append(accounts, t.account.name)
	}
	for _, name := range accounts {
		for _, role := range []string{Superuser, Arbiter, App, Replicator} {
			fmt.Fprintf(&b, "lab %s %s\n", name, role)
		}
	}
	return b.String()
}

// fill makes roles and tables without starting a server (single-user mode), where a statement ends with a semicolon
// and an empty line.
func (t *Template) fill(ctx context.Context) error {
	schema, err := postgres.Schema(Arbiter)
	if err != nil {
		return fmt.Errorf("read schema of role %s: %w", Arbiter, err)
	}
	statements := []string{
		schema,
		"ALTER ROLE arbiter PASSWORD '" + t.passwords[Arbiter] + "'",
		"CREATE ROLE replicator LOGIN REPLICATION PASSWORD '" + t.passwords[Replicator] + "'",
		// What pg_rewind needs on the server that it copies from.
		"GRANT EXECUTE ON FUNCTION pg_ls_dir(text, boolean, boolean), pg_stat_file(text, boolean)," +
			" pg_read_binary_file(text), pg_read_binary_file(text, bigint, bigint, boolean) TO replicator",
		"CREATE ROLE app LOGIN PASSWORD '" + t.passwords[App] + "'",
		OrdersTable,
		"GRANT SELECT, INSERT ON orders TO app",
		"CREATE TABLE truth (only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row), beat bigint NOT NULL)",
		"INSERT INTO truth (beat) VALUES (0)",
	}
	out, err := t.run(ctx, strings.Join(statements, ";\n\n")+";\n\n", "postgres", "--single", "-j", "-D", t.dir,
		"-c", "log_min_messages=warning", Name)
	if err != nil {
		return err
	}
	// Single-user mode goes on after an error and exits with success.
	if strings.Contains(out, "ERROR:") || strings.Contains(out, "FATAL:") {
		return fmt.Errorf("make roles and tables: %s", out)
	}
	return nil
}

// OrdersTable is where the client appends; each writer counts for itself.
const OrdersTable = `CREATE TABLE orders (
	writer text NOT NULL,
	number bigint NOT NULL,
	member text NOT NULL DEFAULT current_setting('cluster_name'),
	written timestamptz NOT NULL DEFAULT clock_timestamp(),
	PRIMARY KEY (writer, number))`

// run runs one of PostgreSQL's programs as the servers' account, on no host, and returns everything that it wrote.
func (t *Template) run(ctx context.Context, stdin, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(t.bin, program), args...)
	cmd.Dir = t.dir
	cmd.Env = []string{"LC_ALL=C", "TZ=UTC", "PATH=" + t.bin}
	cmd.Stdin = strings.NewReader(stdin)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: t.account.credential}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("run %s: %w: %s", program, err, strings.TrimSpace(out.String()))
	}
	return out.String(), nil
}

// serverAccount is user postgres under root, whom PostgreSQL refuses to serve, otherwise the current user.
func serverAccount() (account, error) {
	current, err := user.Current()
	if err != nil {
		return account{}, fmt.Errorf("look up the current user: %w", err)
	}
	a := account{current: current.Username}
	if os.Geteuid() != 0 {
		return a, nil
	}
	a.name = "postgres"
	found, err := user.Lookup(a.name)
	if err != nil {
		return account{}, fmt.Errorf("look up user postgres, whom servers run as under root: %w", errors.Join(ErrNotInstalled, err))
	}
	uid, uidErr := strconv.ParseUint(found.Uid, 10, 32)
	gid, gidErr := strconv.ParseUint(found.Gid, 10, 32)
	if err := errors.Join(uidErr, gidErr); err != nil {
		return account{}, fmt.Errorf("parse ids of user postgres: %w", err)
	}
	a.credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return a, nil
}

// own hands a file or directory to the account.
func (a account) own(path string) error {
	if a.credential == nil {
		return nil
	}
	if err := os.Lchown(path, int(a.credential.Uid), int(a.credential.Gid)); err != nil {
		return fmt.Errorf("hand %s to %s: %w", path, a.name, err)
	}
	return nil
}

func appendTo(path, text string) error {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("append to %s: %w", filepath.Base(path), err)
	}
	_, err = file.WriteString(text)
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("append to %s: %w", filepath.Base(path), err)
	}
	return nil
}

// Version returns what is installed, such as "PostgreSQL 15".
func Version() (string, error) {
	dir, err := FindBinaries()
	if err != nil {
		return "", err
	}
	out, err := exec.Command(filepath.Join(dir, "postgres"), "--version").Output()
	if err != nil {
		return "", fmt.Errorf("ask PostgreSQL for its version: %w", err)
	}
	words := strings.Fields(string(out)) // "postgres (PostgreSQL) 15.14 (Debian ...)"
	if len(words) < 3 {
		return "", fmt.Errorf("ask PostgreSQL for its version: it says %q", out)
	}
	major, _, _ := strings.Cut(words[2], ".")
	return "PostgreSQL " + major, nil
}
