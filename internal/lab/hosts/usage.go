package hosts

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Usage is what a process has used so far.
type Usage struct {
	// CPU is user and system time together.
	CPU time.Duration
	// RSS is resident memory now, in bytes.
	RSS int64
	// Written is what it caused to be written to disk, in bytes; files in memory don't count.
	Written int64
}

// ticksPerSecond is the unit of times in /proc/PID/stat. The kernel fixes it for all programs (USER_HZ).
const ticksPerSecond = 100

// Usage reads what the process has used. It fails once the process has ended.
func (p *Process) Usage() (Usage, error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(p.PID()), "stat"))
	if err != nil {
		return Usage{}, fmt.Errorf("read usage of %s: %w", p.Name, err)
	}
	used, err := parseUsage(text, int64(os.Getpagesize()))
	if err != nil {
		return used, err
	}
	text, err = os.ReadFile(filepath.Join("/proc", strconv.Itoa(p.PID()), "io"))
	if err != nil {
		return used, fmt.Errorf("read usage of %s: %w", p.Name, err)
	}
	used.Written, err = parseWritten(string(text))
	return used, err
}

// parseWritten reads /proc/PID/io.
func parseWritten(text string) (int64, error) {
	for line := range strings.Lines(text) {
		if value, found := strings.CutPrefix(line, "write_bytes: "); found {
			written, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
			if err != nil {
				return 0, fmt.Errorf("read usage: %w", err)
			}
			return written, nil
		}
	}
	return 0, fmt.Errorf("read usage: the kernel doesn't count bytes written")
}

// parseUsage reads /proc/PID/stat: fields 14 and 15 are times, field 24 is resident pages. The second field is the name
// in parentheses, which may itself hold spaces and parentheses.
func parseUsage(text []byte, pageSize int64) (Usage, error) {
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 22 {
		return Usage{}, fmt.Errorf("read usage: %d fields are too few", len(fields))
	}
	var values [3]int64
	for i, index := range []int{11, 12, 21} {
		value, err := strconv.ParseInt(fields[index], 10, 64)
		if err != nil {
			return Usage{}, fmt.Errorf("read usage: %w", err)
		}
		values[i] = value
	}
	return Usage{CPU: time.Duration(values[0]+values[1]) * time.Second / ticksPerSecond, RSS: values[2] * pageSize}, nil
}
