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
)

// descriptions are what agents said of themselves, by the paths of their executables. The zero value knows none.
type descriptions struct {
	mutex sync.Mutex
	known map[string]fenceagent.Metadata
}

func (d *descriptions) get(path string) (fenceagent.Metadata, bool) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	m, found := d.known[path]
	return m, found
}

func (d *descriptions) keep(path string, m fenceagent.Metadata) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	if d.known == nil {
		d.known = map[string]fenceagent.Metadata{}
	}
	d.known[path] = m
}

// Unknown finds the settings of a device that its agent doesn't know. It says nothing where that can't be told: there is no such agent on
// this machine, or it doesn't describe itself within the context's time. An agent is asked once, and again only before a setting is
// called unknown: it may have been upgraded in the meantime.
func (f *Fencer) Unknown(ctx context.Context, device failover.FenceDevice) []Problem {
	path, err := f.find(device.Method)
	if err != nil {
		return nil
	}
	if m, found := f.descriptions.get(path); found && len(unknownSettings(m, device)) == 0 {
		return nil
	}
	m, err := f.describe(ctx, device)
	if err != nil {
		return nil
	}
	return unknownSettings(m, device)
}

// describe asks a device's agent to describe itself. No machine is touched and no secret is passed.
func (f *Fencer) describe(ctx context.Context, device failover.FenceDevice) (fenceagent.Metadata, error) {
	path, err := f.find(device.Method)
	if err != nil {
		return fenceagent.Metadata{}, err
	}
	m, err := fenceagent.Describe(ctx, path, timeoutOf(device))
	var failed *fenceagent.FailedError
	if errors.As(err, &failed) {
		return m, fmt.Errorf("%w: %s", fenceagent.ErrMetadata, summary(command.Result{
			Exit: failed.Exit, Stdout: command.Output{Text: failed.Stdout}, Stderr: command.Output{Text: failed.Stderr},
		}))
	}
	if err != nil {
		return m, err
	}
	f.descriptions.keep(path, m)
	return m, nil
}
