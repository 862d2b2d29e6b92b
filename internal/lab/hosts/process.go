package hosts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Command says what to run on a host.
type Command struct {
	// Name labels the process; its output goes to log/NAME.log in the host's directory. Defaults to the base of Path.
	Name string
	// Path is the program; it is looked up in PATH when it has no slash.
	Path string
	Args []string
	// Env is added to a small clean environment.
	Env []string
	// Dir is the working directory; it defaults to the host's directory.
	Dir string
	// User is the account that it runs under. Only root can change it; otherwise it is ignored.
	User string
	// Stdin is what the program reads; empty by default.
	Stdin string
	// TimerSlack is how late the kernel may wake the program; 0 leaves that to the kernel.
	TimerSlack time.Duration
}

// Process is a program that runs, or ran, on a host.
type Process struct {
	// Name is the label given by its Command.
	Name string
	// LogFile receives the standard output and error.
	LogFile string

	cmd  *exec.Cmd
	done chan struct{}
	err  error // set before done is closed
}

// PID is the process id, the same on the host and outside of it.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Running tells whether the process has not ended yet.
func (p *Process) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Err waits for the end and returns nil for exit status 0, else what ended the process with the tail of its log.
func (p *Process) Err() error {
	<-p.done
	if p.err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w%s", p.Name, p.err, p.tail())
}

// Signal sends one signal to this process alone. A process that has ended is no error.
func (p *Process) Signal(signal syscall.Signal) error {
	if err := p.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("send %v to %s: %w", signal, p.Name, err)
	}
	return nil
}

// Kill sends SIGKILL and waits for the end.
func (p *Process) Kill() error {
	if err := p.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-p.done
	return nil
}

// Stop sends the signal, waits for the end until ctx is done, then kills.
func (p *Process) Stop(ctx context.Context, signal syscall.Signal) error {
	if err := p.Signal(signal); err != nil {
		return err
	}
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		return errors.Join(fmt.Errorf("stop %s: %w", p.Name, context.Cause(ctx)), p.Kill())
	}
}

const tailBytes = 2000

// tail is the end of the log, set off for an error message.
func (p *Process) tail() string {
	text, err := os.ReadFile(p.LogFile)
	if err != nil || len(text) == 0 {
		return ""
	}
	if len(text) > tailBytes {
		text = text[len(text)-tailBytes:]
	}
	return "\n" + strings.TrimSpace(string(text))
}

// Start runs the command on the host and returns at once.
func (h *Host) Start(command Command) (*Process, error) {
	h.power.RLock()
	defer h.power.RUnlock()
	if err := h.usable(); err != nil {
		return nil, fmt.Errorf("start %s on %s: %w", command.Path, h.name, err)
	}
	cmd, err := h.build(command)
	if err != nil {
		return nil, fmt.Errorf("start %s on %s: %w", command.Path, h.name, err)
	}
	p := &Process{Name: command.Name, cmd: cmd, done: make(chan struct{})}
	if p.Name == "" {
		p.Name = filepath.Base(command.Path)
	}
	p.LogFile = filepath.Join(h.LogDir(), p.Name+".log")
	log, err := os.OpenFile(p.LogFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open log of %s on %s: %w", p.Name, h.name, err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := h.thread.do(func() error { return withTimerSlack(command.TimerSlack, cmd.Start) }); err != nil {
		return nil, fmt.Errorf("start %s on %s: %w", p.Name, h.name, err)
	}
	h.waiters.Go(func() {
		p.err = cmd.Wait()
		close(p.done)
	})
	return p, nil
}

// Run runs the command to its end and returns its standard output. When ctx ends first the process is killed. The
// error of a failed program carries its exit status (*exec.ExitError) and what it wrote to standard error.
func (h *Host) Run(ctx context.Context, command Command) ([]byte, error) {
	h.power.RLock()
	err := h.usable()
	var cmd *exec.Cmd
	var stdout, stderr bytes.Buffer
	if err == nil {
		cmd, err = h.build(command)
	}
	if err == nil {
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		err = h.thread.do(func() error { return withTimerSlack(command.TimerSlack, cmd.Start) })
	}
	h.power.RUnlock()
	if err != nil {
		return nil, fmt.Errorf("run %s on %s: %w", command.Path, h.name, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	err = cmd.Wait()
	// A child that outlives its parent may hold the pipes open; the exit status counts, not the pipes.
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil
	}
	if !stop() && err != nil {
		err = fmt.Errorf("%w (%w)", context.Cause(ctx), err)
	}
	if err != nil {
		return stdout.Bytes(), fmt.Errorf("run %s on %s: %w: %s", filepath.Base(command.Path), h.name, err,
			strings.TrimSpace(stderr.String()))
	}
	return stdout.Bytes(), nil
}

// build turns the command into one that runs as the right user in the host's jail and dies with the host's thread.
func (h *Host) build(command Command) (*exec.Cmd, error) {
	cmd := exec.Command(command.Path, command.Args...)
	if cmd.Err != nil {
		return nil, cmd.Err
	}
	cmd.WaitDelay = pipeGrace
	cmd.Dir = command.Dir
	if cmd.Dir == "" {
		cmd.Dir = h.dir
	}
	if command.Stdin != "" {
		cmd.Stdin = strings.NewReader(command.Stdin)
	}
	cmd.Env = append([]string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C", "HOME=" + h.dir,
		hostVariable + "=" + h.mark,
	}, command.Env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	h.jail.prepare(cmd.SysProcAttr)
	if command.User == "" || os.Geteuid() != 0 {
		return cmd, nil
	}
	credential, err := credentialOf(command.User)
	cmd.SysProcAttr.Credential = credential
	return cmd, err
}

// credentialOf looks the account up in the user data base of this machine.
func credentialOf(name string) (*syscall.Credential, error) {
	account, err := user.Lookup(name)
	if err != nil {
		return nil, fmt.Errorf("look up user %s: %w", name, err)
	}
	uid, err := strconv.ParseUint(account.Uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("parse id of user %s: %w", name, err)
	}
	gid, err := strconv.ParseUint(account.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("parse group of user %s: %w", name, err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}
