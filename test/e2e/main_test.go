package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/arbiter-ha/arbiter/internal/lab"
	"github.com/arbiter-ha/arbiter/internal/lab/database"
	"github.com/arbiter-ha/arbiter/internal/lab/hosts"
)

// workshop is a site without hosts: a directory that not even a crash leaves behind, for programs and the template that
// all databases are copied from. TestMain makes it.
var workshop *hosts.Site

// template is made when the first deployment needs it.
var template = sync.OnceValues(func() (*database.Template, error) {
	return database.NewTemplate(context.Background(), filepath.Join(workshop.Dir(), "template"))
})

// released are the programs as users get them, failing those with places at which a test can end or stop an arbiter.
var (
	released = sync.OnceValues(func() (string, error) { return build("released") })
	failing  = sync.OnceValues(func() (string, error) { return build("failing", "-tags", "failpoints") })
)

// binariesVariable names a directory with released programs to test instead of the present sources.
const binariesVariable = "ARBITER_E2E_BINARIES"

func build(name string, flags ...string) (string, error) {
	if dir := os.Getenv(binariesVariable); dir != "" && len(flags) == 0 {
		return dir, nil
	}
	dir := filepath.Join(workshop.Dir(), name)
	return dir, lab.Build(context.Background(), dir, append(flags, detector...)...)
}

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if workshop, err = hosts.Open(context.Background(), hosts.Options{}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer workshop.Close()
		code := m.Run()
		if err := closeShared(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return max(code, 1)
		}
		return code
	}())
}
