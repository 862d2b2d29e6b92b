//go:build linux

package fence

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/fencesettings"
)

// ErrWrongTarget says that the device would switch off another machine than the one that the spec means, or can't tell which one.
var ErrWrongTarget = errors.New("not proven to be the member's machine")

// expectNameKey is a reserved setting: the name under which the device must know the machine before it is switched off
// (scenario 27). The agent tells it by a line "Identity: NAME" in its answer to status, or by its answer to list, where
// the line of the plug that the setting "plug" (or "port") names has NAME as its alias, or as its plug where it has no
// alias. A device that can do neither is refused: a guard that can't be kept is none.
const expectNameKey = fencesettings.ExpectName

var identityLine = regexp.MustCompile(`(?im)^\s*identity:\s*(\S.*?)\s*$`)

// checkIdentity asks the device which machine it would switch off, if the spec says which one it should be.
func (a *agent) checkIdentity(ctx context.Context) error {
	want, found := literal(a.device, expectNameKey)
	if !found {
		return nil
	}
	answer, err := a.call(ctx, "status", 0)
	if err != nil {
		return fmt.Errorf("%w: status: %w", ErrWrongTarget, bareCause(err))
	}
	if match := identityLine.FindStringSubmatch(answer.Stdout.Text); match != nil {
		return a.compareNames(want, match[1])
	}
	answer, err = a.call(ctx, "list", 0)
	if err != nil {
		return fmt.Errorf("%w: list: %w", ErrWrongTarget, bareCause(err))
	}
	if answer.Exit != 0 {
		return fmt.Errorf("%w: %s is set, but the agent can't list its machines: %s", ErrWrongTarget, expectNameKey, a.saying(answer))
	}
	plug, found := plugOf(a.device)
	if !found {
		return fmt.Errorf("%w: %s is set, but neither plug nor port is", ErrWrongTarget, expectNameKey)
	}
	separator, found := literal(a.device, "separator")
	if !found {
		separator = ","
	}
	got, err := listedName(answer.Stdout.Text, plug, separator)
	if err != nil {
		return err
	}
	return a.compareNames(want, got)
}

func (a *agent) compareNames(want, got string) error {
	if want == got {
		return nil
	}
	return fmt.Errorf("%w: the device says it is %q, the spec expects %q", ErrWrongTarget, fencesettings.OneLine(a.redactor.Redact(got), 60), want)
}

// listedName finds a plug in an answer to list, which has a line "plug,alias" for each machine.
func listedName(answer, plug, separator string) (string, error) {
	for line := range strings.Lines(answer) {
		name, alias, found := strings.Cut(strings.TrimRight(line, "\r\n"), separator)
		if !found || strings.TrimSpace(name) != plug {
			continue
		}
		if alias = strings.TrimSpace(alias); alias != "" {
			return alias, nil
		}
		return plug, nil
	}
	return "", fmt.Errorf("%w: the device lists no machine under %q", ErrWrongTarget, plug)
}

func plugOf(device failover.FenceDevice) (string, bool) {
	for _, key := range []string{"plug", "port"} {
		if plug, found := literal(device, key); found {
			return plug, true
		}
	}
	return "", false
}

// literal returns a setting that is given as a plain value.
func literal(device failover.FenceDevice, key string) (string, bool) {
	s, found := device.Setting(key)
	return s.Value, found && s.Value != "" && s.File == "" && s.Env == ""
}
