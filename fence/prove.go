//go:build linux

package fence

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/arbiter-ha/arbiter/internal/clock"
)

const (
	// The pauses between questions for the status grow from the first to the last.
	firstStatusPause = 10 * time.Millisecond
	lastStatusPause  = time.Second
	// retryPause is between two tries of off.
	retryPause = 200 * time.Millisecond
)

// proveOff switches a device's machine off and reads it back, again and again as often as the device's retries say, within the
// context. Off gets at most three quarters of the time that is left, so that one that hangs after it has done its
// work is still read back. An off that failed is read back too: it may have worked all the same.
func (a *agent) proveOff(ctx context.Context) (string, error) {
	if err := a.checkIdentity(ctx); err != nil {
		return "", err
	}
	for try := 1; ; try++ {
		triesLeft := a.device.Retries + 1 - try
		offError := a.off(ctx, remaining(ctx)*3/4)
		window := time.Duration(0) // after a failed off, one look is enough
		if offError == nil {
			window = remaining(ctx) / time.Duration(triesLeft+1)
		}
		statusError := a.awaitOff(ctx, window)
		if statusError == nil {
			return provenDetail(try), nil
		}
		err := statusError
		if offError != nil {
			err = fmt.Errorf("%w; %w", offError, statusError)
		}
		if triesLeft <= 0 || clock.Pause(ctx, retryPause) != nil {
			return "", err
		}
	}
}

func provenDetail(try int) string {
	if try == 1 {
		return "off, read back off"
	}
	return fmt.Sprintf("off, read back off at try %d", try)
}

// provenOff is the read-only twin of proveOff.
func (a *agent) provenOff(ctx context.Context) (string, error) {
	if err := a.checkIdentity(ctx); err != nil {
		return "", err
	}
	if err := a.awaitOff(ctx, 0); err != nil {
		return "", err
	}
	return "read back off", nil
}

// awaitOff asks for the status, at least once, until the device says off or the window or the context has ended.
func (a *agent) awaitOff(ctx context.Context, window time.Duration) error {
	end := time.Now().Add(window)
	var heard error // what the device last said; a call that was broken off says less
	for wait := firstStatusPause; ; wait = min(2*wait, lastStatusPause) {
		state, err := a.status(ctx)
		switch {
		case err == nil && state == powerOff:
			return nil
		case err == nil:
			err = fmt.Errorf("status: %w", ErrNotOff)
		case errors.Is(err, ErrContradiction):
			return err
		case heard != nil && clock.Over(ctx):
			return fmt.Errorf("%w until its time was up", heard)
		}
		heard = err
		if time.Now().Add(wait).After(end) || clock.Pause(ctx, wait) != nil {
			return err
		}
	}
}

// remaining is the time that a context leaves. The context of a device always has a deadline.
func remaining(ctx context.Context) time.Duration {
	deadline, found := ctx.Deadline()
	if !found {
		return DefaultTimeout
	}
	return max(time.Until(deadline), time.Millisecond)
}
