package e2e

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/arbiter-ha/arbiter/internal/lab/hosts"
)

// `KEEP=1 make demo` stays until Ctrl-C, and what its screen says can be done meanwhile can be done. It leaves nothing, and removes what
// an earlier one left that was killed, and nothing else.
func TestDemo_KeptRunning(t *testing.T) {
	full(t)
	for name, demo := range map[string]func(context.Context, *testing.T) *exec.Cmd{
		"make":         makeDemo,
		"without root": demoOfAnotherUser,
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), 2*limit)
			t.Cleanup(cancel)
			bystander := bystander(t, ctx)
			killed := keepDemo(t, demo(ctx, t))
			killed.signal(syscall.SIGKILL)
			if err := killed.ended(); err == nil || len(killed.remains()) == 0 {
				t.Fatalf("a demo that was killed ended with %v and left nothing", err)
			}
			next := keepDemo(t, demo(ctx, t))
			if left := killed.remains(); len(left) > 0 {
				t.Errorf("the next demo leaves of the one that was killed: %v", left)
			}
			next.doWhatItSays(ctx)
			next.signal(syscall.SIGINT)
			err := next.ended() // make says that it was interrupted
			if said := next.said.String(); !strings.Contains(said, "Cleaning up") || strings.Contains(said, "arbiter-lab: ") {
				t.Errorf("it ended with %v:\n%s", err, said)
			}
			if left := next.remains(); len(left) > 0 {
				t.Errorf("it leaves %v", left)
			}
			if !bystander.Running() {
				t.Error("a process of another site was ended")
			}
		})
	}
}

// makeDemo is what the README says, at the root of the repository.
func makeDemo(ctx context.Context, _ *testing.T) *exec.Cmd {
	command := exec.CommandContext(ctx, "make", "-C", "../..", "demo")
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "MAKE") && !strings.HasPrefix(variable, "MFLAGS=") { // this is no part of the make that runs the tests
			command.Env = append(command.Env, variable)
		}
	}
	return command
}

// demoOfAnotherUser is its last step, by a user who can make no network namespaces.
func demoOfAnotherUser(ctx context.Context, t *testing.T) *exec.Cmd {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("the other case is without root")
	}
	binaries, err := released()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(workshop.Dir(), "demo", "arbiter-lab")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", program, "github.com/arbiter-ha/arbiter/internal/lab/cmd/arbiter-lab").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	uid, err := strconv.ParseUint(nobody.Uid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	gid, err := strconv.ParseUint(nobody.Gid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(ctx, program, "demo", "--binaries="+binaries)
	command.Dir, command.Env = "/", os.Environ()
	command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	return command
}

// bystander is a process on a host that belongs to nobody's demo.
func bystander(t *testing.T, ctx context.Context) *hosts.Process {
	t.Helper()
	site, err := hosts.Open(ctx, hosts.Options{Names: []string{"bystander"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := site.Close(); err != nil {
			t.Error(err)
		}
	})
	process, err := site.Host("bystander").Start(hosts.Command{Name: "bystander", Path: "/bin/sleep", Args: []string{"1000"}})
	if err != nil {
		t.Fatal(err)
	}
	return process
}

// kept is a demo that goes on until it is stopped.
type kept struct {
	t       *testing.T
	command *exec.Cmd
	said    bytes.Buffer // up to what it says last before it waits; all, once it has ended
	rest    chan error
	dir     string // of its site
	path    string // what it says to put before PATH
	lines   []string
}

// keepDemo starts a demo with KEEP=1, in a group of processes of its own as a terminal does, and reads what it says until it waits.
func keepDemo(t *testing.T, command *exec.Cmd) *kept {
	t.Helper()
	k := &kept{t: t, command: command, rest: make(chan error, 1)}
	if command.SysProcAttr == nil {
		command.SysProcAttr = &syscall.SysProcAttr{}
	}
	command.SysProcAttr.Setpgid = true
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGKILL) }
	command.Env = append(command.Env, "KEEP=1")
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	command.Stdout, command.Stderr = writer, writer
	err = command.Start()
	_ = writer.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if command.ProcessState == nil { // the test failed
			_ = command.Cancel()
			_ = command.Wait()
		}
	})
	screen := bufio.NewReader(io.TeeReader(reader, &k.said))
	for k.dir == "" {
		line, err := screen.ReadString('\n')
		if err != nil {
			t.Fatalf("the demo ended: %v\n%s", command.Wait(), k.said.String())
		}
		k.read(strings.TrimSuffix(line, "\n"))
	}
	go func() {
		_, err := io.Copy(io.Discard, screen)
		k.rest <- errors.Join(err, reader.Close())
	}()
	return k
}

// read takes a line of the screen for what it tells to do.
func (k *kept) read(line string) {
	if path, found := strings.CutPrefix(line, "  export PATH="); found {
		k.path = path
	} else if k.path != "" && strings.HasPrefix(line, "  ") {
		k.lines = append(k.lines, strings.TrimSpace(line))
	} else if dir, found := strings.CutPrefix(line, "Logs: "); found {
		k.dir = strings.TrimSuffix(dir, "/*/log")
	}
}

// doWhatItSays types the lines of the screen into a shell of the same user.
func (k *kept) doWhatItSays(ctx context.Context) {
	k.t.Helper()
	var asked []string
	for _, line := range k.lines {
		shell := exec.CommandContext(ctx, "sh", "-c", "export PATH="+k.path+"\n"+line)
		shell.SysProcAttr = &syscall.SysProcAttr{Credential: k.command.SysProcAttr.Credential}
		out, err := shell.CombinedOutput()
		program, _, _ := strings.Cut(line, " ")
		want := "pg-" // the members
		var exit *exec.ExitError
		if program == "fence_lab" {
			want = "OFF"
			if errors.As(err, &exit) && exit.ExitCode() == 2 { // as fence agents say off
				err = nil
			}
		}
		if err != nil || !strings.Contains(string(out), want) {
			k.t.Errorf("%s: %v\n%s", line, err, out)
		}
		asked = append(asked, program)
	}
	if !slices.Contains(asked, "arbiterctl") || !slices.Contains(asked, "fence_lab") {
		k.t.Errorf("the screen says to run %q", k.lines)
	}
}

// signal is what the terminal does: all processes of the group get it.
func (k *kept) signal(signal syscall.Signal) {
	k.t.Helper()
	if err := syscall.Kill(-k.command.Process.Pid, signal); err != nil {
		k.t.Fatal(err)
	}
}

// ended waits for the end and for the last words, and returns how it ended.
func (k *kept) ended() error {
	k.t.Helper()
	if err := <-k.rest; err != nil {
		k.t.Error(err)
	}
	return k.command.Wait()
}

// remains are what is left of the demo's site: its directory, namespaces and processes.
func (k *kept) remains() []string {
	k.t.Helper()
	var left []string
	if _, err := os.Stat(k.dir); err == nil {
		left = append(left, k.dir)
	}
	for _, pattern := range []string{"/run/netns/%s", "/run/netns/%s-*"} {
		found, err := filepath.Glob(fmt.Sprintf(pattern, filepath.Base(k.dir)))
		if err != nil {
			k.t.Fatal(err)
		}
		left = append(left, found...)
	}
	return append(left, k.processes()...)
}

// processes are those that work below the site's directory, or were started with it in their arguments or environment.
func (k *kept) processes() []string {
	k.t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		k.t.Fatal(err)
	}
	var found []string
	for _, process := range all {
		work, _ := os.Readlink(filepath.Join(process, "cwd")) // what ends meanwhile is no remains
		arguments, _ := os.ReadFile(filepath.Join(process, "cmdline"))
		environment, _ := os.ReadFile(filepath.Join(process, "environ"))
		if id := filepath.Base(k.dir); strings.Contains(work+string(arguments)+string(environment), id) {
			found = append(found, process+" "+strings.ReplaceAll(string(arguments), "\x00", " "))
		}
	}
	return found
}
