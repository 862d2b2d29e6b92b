//go:build unix

package pki

import (
	"errors"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/arbiter-ha/arbiter/internal/secret"
)

// Opening a pipe waits for somebody to write to it: nobody opens one.
func TestNewReloader_OfAPipe(t *testing.T) {
	_, files := issue(t, newAuthority(t, "lab"), RoleArbiter, "az-a")
	files.Certificate = filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(files.Certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := NewReloader(files); !errors.Is(err, ErrBadFiles) || !errors.Is(err, secret.ErrNotAFile) || !strings.Contains(err.Error(), files.Certificate) {
		t.Errorf("got %v", err)
	}
}
