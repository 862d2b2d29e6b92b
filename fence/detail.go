//go:build linux

package fence

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/command"
	"github.com/arbiter-ha/arbiter/internal/fencesettings"
	"github.com/arbiter-ha/arbiter/internal/secret"
)

const (
	// summaryLimit is how much of a program's words goes into a detail, in bytes.
	summaryLimit = 160
	// detailLimit is how long a proof's detail may be, in bytes.
	detailLimit = 600
)

var (
	logPrefix  = regexp.MustCompile(`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+ (ERROR: )?`)
	problem    = regexp.MustCompile(`(?i)\b(error|fail(ed|ure)?|unable|refused|denied|timed? ?out)\b`)
	sourceLine = regexp.MustCompile(`^\s+|Warning: |^Please use '-h'`)
)

// summary is the one line of a program's output that says most: the first that names a problem, on standard error or
// else on standard output, otherwise the last one that says anything.
func summary(result command.Result) string {
	last := ""
	for _, text := range []string{result.Stderr.Text, result.Stdout.Text} {
		for line := range strings.Lines(text) {
			line = logPrefix.ReplaceAllString(strings.TrimRight(line, "\r\n"), "")
			if strings.TrimSpace(line) == "" || sourceLine.MatchString(line) {
				continue
			}
			if problem.MatchString(line) {
				return fencesettings.OneLine(line, summaryLimit)
			}
			last = line
		}
		if last != "" {
			return fencesettings.OneLine(last, summaryLimit)
		}
	}
	return fmt.Sprintf("exit status %d without a word", result.Exit)
}

// label names a device for people: its executable, and the machine or plug where that is given openly.
func label(device failover.FenceDevice) string {
	name := filepath.Base(device.Method)
	for _, key := range []string{"ip", "ipaddr", "plug", "port"} {
		if s, found := device.Setting(key); found && s.Value != "" && !secret.IsSecret(s) {
			name += " " + fencesettings.OneLine(s.Value, 60)
		}
	}
	return name
}
