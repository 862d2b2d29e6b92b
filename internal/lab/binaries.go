package lab

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/arbiter-ha/arbiter/internal/lab/hosts"
)

// Programs that a lab with arbiters needs, by package; and those that only the built-in service and router need.
var (
	programs        = []string{"cmd/arbiterd", "cmd/arbiterctl", "internal/lab/cmd/fence_lab"}
	builtinPrograms = []string{"internal/lab/cmd/standin"}
	routerPrograms  = []string{"internal/lab/cmd/route_lab"}
)

// Build builds the programs under test into dir, from the sources that the working directory belongs to. Tests use
// it; flags are those of go build, such as -race or -tags. They are built without cgo, as the released ones are, except for -race, which needs it.
func Build(ctx context.Context, dir string, flags ...string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make directory of programs: %w", err)
	}
	args := append([]string{"build", "-trimpath", "-o", dir + "/"}, flags...) // as scripts/build does: what that has compiled is not compiled again
	for _, program := range slices.Concat(programs, builtinPrograms, routerPrograms) {
		args = append(args, "github.com/arbiter-ha/arbiter/"+program)
	}
	build := exec.CommandContext(ctx, "go", args...)
	if !slices.Contains(flags, "-race") {
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
	}
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the programs under test: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

// binaries is the directory of the programs under test, in which those that are needed must be: the usual ones, unless
// others are named.
func (l *Lab) binaries(needed ...string) (string, error) {
	if len(needed) == 0 {
		needed = programs
	}
	dir := l.options.Binaries
	if dir == "" {
		self, err := os.Executable()
		if err != nil {
			return "", fmt.Errorf("find own program: %w", err)
		}
		dir = filepath.Dir(self)
	}
	for _, program := range needed {
		name := filepath.Base(program)
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return "", fmt.Errorf("find %s in %s: %w (`make build` makes it)", name, dir, err)
		}
	}
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("find programs: %w", err)
	}
	return absolute, nil
}

// Ctl runs arbiterctl on the client's host as an operator and returns its output.
func (l *Lab) Ctl(ctx context.Context, args ...string) ([]byte, error) {
	binaries, err := l.binaries()
	if err != nil {
		return nil, err
	}
	return l.Site.Host(ClientHost).Run(ctx, hosts.Command{
		Path: filepath.Join(binaries, "arbiterctl"), Args: args, Env: []string{"HOME=" + l.Home()},
	})
}

// WriteTools makes a directory of commands for people and returns its path: arbiterctl, which runs as Ctl does, and fence_lab, which asks the
// lab's power switch.
func (l *Lab) WriteTools() (string, error) {
	binaries, err := l.binaries()
	if err != nil {
		return "", err
	}
	enter := ""
	if l.Site.Kind() == hosts.Namespaces {
		enter = "nsenter --net=/run/netns/" + l.Site.ID() + "-" + ClientHost + " "
	}
	dir := filepath.Join(l.Site.Dir(), "bin")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make directory of commands for people: %w", err)
	}
	for name, script := range map[string]string{
		"arbiterctl": fmt.Sprintf("# as the operator of lab %s, on its client's host\nunset XDG_CONFIG_HOME\nHOME='%s' exec %s'%s' \"$@\"\n",
			l.Site.ID(), l.Home(), enter, filepath.Join(binaries, "arbiterctl")),
		"fence_lab": fmt.Sprintf("# asks the power switch of lab %s\nexec '%s' --socket='%s' \"$@\"\n",
			l.Site.ID(), filepath.Join(binaries, "fence_lab"), l.PowerSocket()),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
			return "", fmt.Errorf("write command for people: %w", err)
		}
	}
	return dir, nil
}
