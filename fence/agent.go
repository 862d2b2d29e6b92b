//go:build linux

package fence

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/command"
	"github.com/arbiter-ha/arbiter/internal/fenceagent"
	"github.com/arbiter-ha/arbiter/internal/fencesettings"
	"github.com/arbiter-ha/arbiter/internal/permit"
	"github.com/arbiter-ha/arbiter/internal/secret"
)

var (
	// ErrNoExecutable: the device's method names no executable on this machine.
	ErrNoExecutable = fenceagent.ErrNoExecutable
	// ErrBadSetting: the device can't be used as it is configured.
	ErrBadSetting = errors.New("setting refused")
	// ErrAgent: the agent itself reported an error.
	ErrAgent = errors.New("the device reports an error")
	// ErrContradiction: the agent's exit status and its words don't fit together, so neither is believed.
	ErrContradiction = errors.New("the device's answer contradicts itself")
	// ErrNotOff: the device was asked again and still says on.
	ErrNotOff = errors.New("still on")
)

// power is what a device says of its machine.
type power string

const (
	powerUnknown power = "unknown"
	powerOn      power = "on"
	powerOff     power = "off"
)

// agent is one device, ready to be asked: its executable was found, its settings checked and its secrets resolved.
type agent struct {
	programs *command.Runner
	path     string
	device   failover.FenceDevice
	settings string // the lines for its standard input, without the action
	redactor secret.Redactor
}

// open gets a device ready.
func (f *Fencer) open(ctx context.Context, device failover.FenceDevice) (*agent, error) {
	path, err := f.find(ctx, device.Method)
	if err != nil {
		return nil, err
	}
	if faults := fencesettings.CheckSettings(shown(device)); len(faults) > 0 {
		return nil, fmt.Errorf("%w: %s", ErrBadSetting, faults[0].Message)
	}
	lines, secrets, err := f.resolve(ctx, device.Settings)
	if err != nil {
		return nil, err
	}
	return &agent{programs: &f.programs, path: path, device: device, settings: lines, redactor: secret.NewRedactor(secrets...)}, nil
}

// find looks an executable up: a path as it is, a name in the directories.
func (f *Fencer) find(ctx context.Context, method string) (string, error) {
	return fenceagent.Find(ctx, f.secrets, method, f.directories)
}

// resolve makes the lines for standard input, and lists the secrets in them.
func (f *Fencer) resolve(ctx context.Context, settings []failover.Setting) (lines string, secrets []string, err error) {
	var b strings.Builder
	for _, s := range settings {
		if fencesettings.IsReserved(s.Key) {
			continue
		}
		value, err := f.secrets.Resolve(ctx, s)
		if err != nil {
			return "", nil, err
		}
		if why := fencesettings.CheckValue(s.Key, value); why != "" {
			return "", nil, fmt.Errorf("%w: %s", ErrBadSetting, why)
		}
		if secret.IsSecret(s) {
			secrets = append(secrets, value)
		}
		b.WriteString(s.Key + "=" + value + "\n")
	}
	return b.String(), secrets, nil
}

// withAgent opens a device, gives it its time and works on it. No text that comes back has a secret in it.
func (f *Fencer) withAgent(ctx context.Context, device failover.FenceDevice, w work) (string, error) {
	ctx, end := context.WithTimeoutCause(ctx, timeoutOf(device), command.ErrTimeLimit)
	defer end()
	a, err := f.open(ctx, device)
	if err != nil {
		return "", err
	}
	detail, err := w(a, ctx)
	return a.redactor.Redact(detail), a.redactor.Error(err)
}

func timeoutOf(device failover.FenceDevice) time.Duration {
	if device.Timeout <= 0 {
		return DefaultTimeout
	}
	return device.Timeout
}

// call asks the agent for one action. limit bounds this call; 0 leaves it to the context. The answer is what the agent said, for reading: a
// secret may be a word of it ("off", the machine's name). What is shown of it goes through saying.
func (a *agent) call(ctx context.Context, action string, limit time.Duration) (command.Result, error) {
	return a.programs.Run(ctx, command.Command{Path: a.path, Input: a.settings + "action=" + action + "\n", Limit: limit})
}

// saying is the summary of an answer, without secrets.
func (a *agent) saying(result command.Result) string {
	result.Stdout.Text, result.Stderr.Text = a.clean(result.Stdout), a.clean(result.Stderr)
	return summary(result)
}

func (a *agent) clean(o command.Output) string {
	if o.Cut {
		return a.redactor.RedactCut(o.Text)
	}
	return a.redactor.Redact(o.Text)
}

// off asks the device to switch off. What comes back proves nothing.
func (a *agent) off(ctx context.Context, limit time.Duration) error {
	if err := permit.Check(ctx); err != nil { // S6: the lease is read last
		return fmt.Errorf("off was not asked for: %w", err)
	}
	result, err := a.call(ctx, "off", limit)
	switch {
	case err != nil:
		return fmt.Errorf("off: %w%s", bareCause(err), a.inBrackets(result))
	case result.Exit != 0:
		return fmt.Errorf("off: %w: %s", ErrAgent, a.saying(result))
	}
	return nil
}

// status asks the device for the state of its machine.
func (a *agent) status(ctx context.Context) (power, error) {
	result, err := a.call(ctx, "status", 0)
	if err != nil {
		return powerUnknown, fmt.Errorf("status: %w%s", bareCause(err), a.inBrackets(result))
	}
	state, err := readStatus(result)
	if err != nil {
		return powerUnknown, fmt.Errorf("status: %w: %s", err, a.saying(result))
	}
	return state, nil
}

var (
	// saysOff is a line of its own: "off" also stands in usage texts, in errors ("failed to power off") and in "on, not off".
	saysOff = regexp.MustCompile(`(?im)^\s*(status:)?\s*off\s*$`)
	// saysElse is what a machine that is off isn't called beside it. A word that is part of a name (db-on) is not meant.
	saysElse    = regexp.MustCompile(`(?im)(^|[^\w.-])on([^\w.-]|$)|\busage\b`)
	statusIsOff = regexp.MustCompile(`(?im)^\s*status:\s*off\b`)
)

// The exit statuses of the action status.
const (
	exitOn  = 0
	exitOff = 2
)

// readStatus takes an answer to status apart. Exit status 2 is also what Python, shells and many programs use for errors
// of their own (no such file, bad arguments), so it means OFF only if a line of its standard output says so and nothing there
// contradicts, or if it says nothing at all (ADR 5).
func readStatus(result command.Result) (power, error) {
	switch result.Exit {
	case exitOn:
		if statusIsOff.MatchString(result.Stdout.Text) {
			return powerUnknown, fmt.Errorf("%w: exit status 0 means on, but it does not say so", ErrContradiction)
		}
		return powerOn, nil
	case exitOff:
		if isPart(result.Stdout) || isPart(result.Stderr) { // what is missing may say why it ended so
			return powerUnknown, fmt.Errorf("%w: exit status 2 means off, but not all that it said was read", ErrContradiction)
		}
		silent := strings.TrimSpace(result.Stdout.Text+result.Stderr.Text) == ""
		if says := result.Stdout.Text; !silent && (!saysOff.MatchString(says) || saysElse.MatchString(says)) {
			return powerUnknown, fmt.Errorf("%w: exit status 2 means off, but it does not say so", ErrContradiction)
		}
		return powerOff, nil
	}
	return powerUnknown, ErrAgent
}

// isPart says whether a program may have written more than was read.
func isPart(o command.Output) bool { return o.Cut || o.Held }

// bareCause drops the "run PATH:" of a command's error: the device is named already.
func bareCause(err error) error {
	if inner := errors.Unwrap(err); inner != nil {
		return inner
	}
	return err
}

// inBrackets adds what a program had said before it was ended.
func (a *agent) inBrackets(result command.Result) string {
	if strings.TrimSpace(result.Stdout.Text+result.Stderr.Text) == "" {
		return ""
	}
	return " (" + a.saying(result) + ")"
}
