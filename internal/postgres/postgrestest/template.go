package postgrestest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/arbiter-ha/arbiter/internal/postgres"
)

// Main runs a package's tests and removes the template afterwards; a package calls it in TestMain, as
// os.Exit(postgrestest.Main(m)). Without it each server makes a template of its own, which takes about a second.
func Main(m *testing.M) int {
	template.mu.Lock()
	template.shared = true
	template.mu.Unlock()
	defer func() {
		template.mu.Lock()
		defer template.mu.Unlock()
		if template.root != "" {
			_ = os.RemoveAll(template.root)
		}
	}()
	return m.Run()
}

// template is shared by the tests of one process.
var template struct {
	mu     sync.Mutex
	shared bool   // Main will remove it
	root   string // its folder, once it is made
}

// copyTemplate makes a data folder that is initialised, configured, and holds the schema.
func (s *Server) copyTemplate() error {
	template.mu.Lock()
	defer template.mu.Unlock()
	root := template.root
	if root == "" {
		var err error
		if root, err = makeTemplate(s.user); err != nil {
			return err
		}
		if template.shared {
			template.root = root
		} else {
			defer func() { _ = os.RemoveAll(root) }()
		}
	}
	if out, err := s.user.output("cp", "-a", filepath.Join(root, "data"), s.Dir); err != nil {
		return fmt.Errorf("copy %s: %w\n%s", root, err, out)
	}
	return nil
}

const templateConf = `
shared_buffers = 16MB
dynamic_shared_memory_type = mmap
max_connections = 30
wal_keep_size = 64MB
wal_log_hints = on
max_wal_senders = 8
hot_standby = on
autovacuum = off
log_line_prefix = '%m [%p] %q%a '
`

// The arbiters' role needs its password; everybody else is let in, the superuser also for replication.
const templateHBA = `
host all         arbiter  all scram-sha-256
host all         all      all trust
host replication postgres all trust
`

func makeTemplate(user *account) (root string, err error) {
	root, err = os.MkdirTemp("", "arbiter-pg-template-")
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(root)
		}
	}()
	if err := user.own(root); err != nil {
		return "", err
	}
	dir := filepath.Join(root, "data")
	out, err := user.output(binary("initdb"), "--pgdata="+dir, "--username="+Superuser, "--encoding=UTF8", "--no-locale",
		"--auth=trust", "--no-sync", "--no-instructions")
	if err != nil {
		return "", fmt.Errorf("run initdb: %w\n%s", err, out)
	}
	if err := appendTo(filepath.Join(dir, "postgresql.conf"), templateConf); err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(dir, "pg_hba.conf"), []byte(templateHBA), 0o600); err != nil {
		return "", err
	}
	return root, installSchema(user, dir)
}

// installSchema runs the schema without a running server (single-user mode), where a statement ends with a semicolon
// before an empty line.
func installSchema(user *account, dir string) error {
	schema, err := postgres.Schema(Role)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary("postgres"), "--single", "-j", "-D", dir, "-c", "log_min_messages=warning", Database)
	cmd.SysProcAttr = user.attributes()
	cmd.Dir = os.TempDir()
	cmd.Env = []string{"LC_ALL=C", "TZ=UTC"}
	cmd.Stdin = strings.NewReader(schema + "\n\nALTER ROLE " + Role + " PASSWORD '" + Password + "';\n\n")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("install the schema: %w\n%s", err, out.Bytes())
	}
	// Single-user mode goes on after an error.
	if text := out.String(); strings.Contains(text, "ERROR") || strings.Contains(text, "FATAL") {
		return fmt.Errorf("install the schema:\n%s", text)
	}
	return nil
}

func appendTo(path, text string) error {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	_, err = file.WriteString(text)
	return err
}
