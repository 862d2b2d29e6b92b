//go:build linux

package fence

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/command"
	"github.com/arbiter-ha/arbiter/internal/fenceagent"
	"github.com/arbiter-ha/arbiter/internal/fencesettings"
	"github.com/arbiter-ha/arbiter/internal/secret"
)

// descriptions are what agents said of themselves, by the paths of their executables. The zero value knows none.
type descriptions struct {
	mutex sync.Mutex
	known map[string]description
}

// description is what an agent said of itself while its executable was this one.
type description struct {
	of   executable
	said fenceagent.Metadata
}

// executable tells a program from the one that an upgrade puts in its place.
type executable struct {
	size     int64
	modified int64 // in nanoseconds since 1970
}

func (f *Fencer) executableAt(ctx context.Context, path string) (executable, error) {
	info, err := fenceagent.Look(ctx, f.secrets, path)
	if err != nil {
		return executable{}, err
	}
	return executable{size: info.Size(), modified: info.ModTime().UnixNano()}, nil
}

func (d *descriptions) get(path string) (description, bool) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	kept, found := d.known[path]
	return kept, found
}

func (d *descriptions) keep(path string, kept description) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	if d.known == nil {
		d.known = map[string]description{}
	}
	d.known[path] = kept
}

// described is what an agent said of itself, if it is still the same executable.
func (f *Fencer) described(ctx context.Context, path string) (fenceagent.Metadata, bool) {
	kept, found := f.descriptions.get(path)
	if !found {
		return fenceagent.Metadata{}, false
	}
	now, err := f.executableAt(ctx, path)
	return kept.said, err == nil && kept.of == now
}

// CheckAgent finds what the agent installed on this machine has against a device: it doesn't describe itself, lacks an action that a proof
// needs, or doesn't know a setting. That it isn't there is a warning. It finds nothing where that can't be told: the agent doesn't answer
// within the context's time. An agent is asked once, and again only after an upgrade or before something is found: what it is made of may have
// been upgraded without it.
func (f *Fencer) CheckAgent(ctx context.Context, device failover.FenceDevice) []Problem {
	path, err := f.find(ctx, device.Method)
	switch {
	case errors.Is(err, ErrNoExecutable) && fencesettings.IsExecutableName(device.Method):
		return []Problem{f.absent(device)}
	case err != nil:
		return nil // package fencesettings says more
	}
	if m, found := f.described(ctx, path); found && len(m.Lacks()) == 0 && len(unknownSettings(m, device)) == 0 {
		return nil
	}
	m, err := f.describe(ctx, device)
	switch {
	case errors.Is(err, fenceagent.ErrMetadata):
		return []Problem{undescribed(err)}
	case err != nil:
		return nil
	}
	return append(lacking(m), unknownSettings(m, device)...)
}

// understand makes sure that a device's agent says of itself that it can do what a proof needs. Of a program that doesn't, nobody knows what
// its exit statuses mean: /bin/true calls every machine on.
func (f *Fencer) understand(ctx context.Context, device failover.FenceDevice) error {
	path, err := f.find(ctx, device.Method)
	if err != nil {
		return err
	}
	m, found := f.described(ctx, path)
	if !found {
		if m, err = f.describe(ctx, device); err != nil {
			return fmt.Errorf("metadata: %w", err)
		}
	}
	if lacks := m.Lacks(); len(lacks) > 0 {
		return fmt.Errorf("metadata: %s", lacks[0])
	}
	return nil
}

// describe asks a device's agent to describe itself. No machine is touched and no secret is passed.
func (f *Fencer) describe(ctx context.Context, device failover.FenceDevice) (fenceagent.Metadata, error) {
	path, err := f.find(ctx, device.Method)
	if err != nil {
		return fenceagent.Metadata{}, err
	}
	of, err := f.executableAt(ctx, path)
	switch {
	case errors.Is(err, secret.ErrNotInTime):
		return fenceagent.Metadata{}, err
	case err != nil:
		return fenceagent.Metadata{}, fmt.Errorf("%w: %w", ErrNoExecutable, err)
	}
	m, err := fenceagent.DescribeBy(ctx, &f.programs, path, timeoutOf(device))
	var failed *fenceagent.FailedError
	if errors.As(err, &failed) {
		return m, fmt.Errorf("%w: %s", fenceagent.ErrMetadata, summary(command.Result{
			Exit: failed.Exit, Stdout: command.Output{Text: failed.Stdout}, Stderr: command.Output{Text: failed.Stderr},
		}))
	}
	if err != nil {
		return m, err
	}
	f.descriptions.keep(path, description{of, m})
	return m, nil
}
