package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// evidencePatience bounds each question of Evidence: a lab in trouble must not keep its caller.
const evidencePatience = 10 * time.Second

// Evidence writes what an operator would look at when something went wrong (arbiterctl status, show and explain), and
// copies the output of every process and the arbiters' files to a directory that outlives the lab, whose path it
// writes. What can't be had is written as an error.
func (l *Lab) Evidence(out io.Writer, group string) {
	if len(l.Arbiters) > 0 {
		for _, question := range [][]string{{"status"}, {"show", group}, {"explain", group}} {
			ctx, cancel := context.WithTimeout(context.Background(), evidencePatience)
			answer, err := l.Ctl(ctx, question...)
			cancel()
			fmt.Fprintf(out, "--- arbiterctl %s\n%s", question[0], answer)
			if err != nil {
				fmt.Fprintln(out, err)
			}
		}
		if err := l.deaths(); err != nil {
			fmt.Fprintln(out, err)
		}
	}
	kept, err := l.KeepLogs()
	if err != nil {
		fmt.Fprintln(out, err)
	}
	if kept != "" {
		fmt.Fprintf(out, "--- logs were kept in %s\n", kept)
	}
}

// KeepLogs copies the output of every process and the arbiters' files to a new directory, which the caller removes.
func (l *Lab) KeepLogs() (string, error) {
	if l.Site == nil {
		return "", nil
	}
	kept, err := os.MkdirTemp("", "arbiter-lab-logs-")
	if err != nil {
		return "", fmt.Errorf("keep logs: %w", err)
	}
	var failed error
	for _, h := range l.Site.Hosts() {
		failed = errors.Join(failed, copyFiles(h.LogDir(), filepath.Join(kept, h.Name())))
	}
	for _, a := range l.Arbiters {
		failed = errors.Join(failed, copyFile(a.Config(), filepath.Join(kept, a.Name(), filepath.Base(a.Config()))))
	}
	if failed != nil {
		failed = fmt.Errorf("keep logs: %w", failed)
	}
	return kept, failed
}

// copyFiles copies the files of one directory; without files nothing is made.
func copyFiles(from, to string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	var failed error
	for _, entry := range entries {
		if entry.Type().IsRegular() {
			failed = errors.Join(failed, copyFile(filepath.Join(from, entry.Name()), filepath.Join(to, entry.Name())))
		}
	}
	return failed
}

// copyFile copies a small file; one that doesn't exist is passed over.
func copyFile(from, to string) error {
	text, err := os.ReadFile(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = os.MkdirAll(filepath.Dir(to), 0o755)
	}
	if err == nil {
		err = os.WriteFile(to, text, 0o600)
	}
	return err
}
