//go:build linux

package command

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// runLocked does the work of Run on one operating system thread: a parent-death signal is sent when the thread that
// started the program ends, so that thread has to outlive the program.
func runLocked(ctx context.Context, c Command) finished {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	g, err := newGroup()
	if err != nil {
		return finished{err: fmt.Errorf("%w: %w", ErrNotStarted, err)}
	}
	f := runInGroup(ctx, c, g)
	if g.end() {
		return f
	}
	f.left = g
	if f.err == nil {
		f.err = fmt.Errorf("%w: a child that it left", ErrStuck)
	} else {
		f.err = fmt.Errorf("%w: a child that it left: %w", ErrStuck, f.err)
	}
	return f
}

func runInGroup(ctx context.Context, c Command, g *group) finished {
	streams, err := openStreams(c)
	if err != nil {
		return finished{err: fmt.Errorf("%w: %w", ErrNotStarted, err)}
	}
	defer streams.closeAll()
	program := exec.Command(c.Path, c.Arguments...)
	program.Dir = "/"
	program.Env = append(harmless(os.Environ()), c.Environment...)
	program.Stdin, program.Stdout, program.Stderr = streams.stdin.theirs, streams.stdout.theirs, streams.stderr.theirs
	program.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pgid: g.id, Pdeathsig: syscall.SIGKILL}
	if err := program.Start(); err != nil {
		return finished{err: fmt.Errorf("%w: %w", ErrNotStarted, bare(err))}
	}
	streams.started(c.Input)
	stop := context.AfterFunc(ctx, g.kill)
	exit := program.Wait()
	ranOut := !stop() // the context ended first, or at the same time: then the program may still have ended by itself
	g.kill()          // what the program left running would keep the output open
	f := finished{result: streams.collect()}
	f.result.Exit = program.ProcessState.ExitCode()
	f.err = judge(ctx, exit, ranOut)
	return f
}

// judge says whether the program came to its own end.
func judge(ctx context.Context, exit error, ranOut bool) error {
	var status *exec.ExitError
	switch {
	case exit == nil:
		return nil
	case !errors.As(exit, &status):
		return fmt.Errorf("wait for it: %w", exit)
	case status.Exited():
		return nil
	case ranOut:
		return endCause(ctx)
	}
	return fmt.Errorf("%w: %s", ErrKilled, status)
}

// bare drops the operation and the path from an error of starting a program: Run names the path.
func bare(err error) error {
	var pathError *os.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}

// passed are the environment variables that programs get from the arbiter's own environment.
var passed = []string{
	"PATH", "HOME", "USER", "LOGNAME", "LANG", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR",
	"REQUESTS_CA_BUNDLE", "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
}

// harmless picks what programs may see of an environment, and makes sure that there is a PATH.
func harmless(environment []string) []string {
	kept := []string{"PYTHONWARNINGS=ignore", "PYTHONDONTWRITEBYTECODE=1"}
	hasPath := false
	for _, variable := range environment {
		name, _, _ := strings.Cut(variable, "=")
		if slices.Contains(passed, name) || strings.HasPrefix(name, "LC_") {
			kept = append(kept, variable)
			hasPath = hasPath || name == "PATH"
		}
	}
	if !hasPath {
		kept = append(kept, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
	}
	return kept
}

// largestPipe bounds what is read of one that somebody goes on writing to; it is the most that a pipe holds (fs.pipe-max-size).
const largestPipe = 1 << 20

// stream is one pipe to or from a program.
type stream struct {
	ours, theirs *os.File
	kept         *bounded
	done         chan struct{} // closed when the goroutine that serves our end has ended
}

type streams struct {
	stdin, stdout, stderr stream
}

func openStreams(c Command) (*streams, error) {
	s := &streams{}
	limit := c.MaxOutput
	if limit <= 0 {
		limit = DefaultMaxOutput
	}
	var errs [3]error
	s.stdin.theirs, s.stdin.ours, errs[0] = os.Pipe()
	s.stdout.ours, s.stdout.theirs, errs[1] = os.Pipe()
	s.stderr.ours, s.stderr.theirs, errs[2] = os.Pipe()
	s.stdout.kept, s.stderr.kept = &bounded{limit: limit}, &bounded{limit: limit}
	if err := errors.Join(errs[:]...); err != nil {
		s.closeAll()
		return nil, fmt.Errorf("make its pipes: %w", err)
	}
	return s, nil
}

// started closes the program's ends here and serves ours.
func (s *streams) started(input string) {
	for _, p := range []*stream{&s.stdin, &s.stdout, &s.stderr} {
		p.theirs.Close()
		p.done = make(chan struct{})
	}
	go func() {
		defer close(s.stdin.done)
		_, _ = io.WriteString(s.stdin.ours, input) // a program need not read its input
		s.stdin.ours.Close()
	}()
	for _, p := range []*stream{&s.stdout, &s.stderr} {
		go func() {
			defer close(p.done)
			_, _ = io.Copy(p.kept, p.ours) // ends with the last writer, or when collect closes our end
		}()
	}
}

// collect ends the goroutines and returns what was read, which is all that the program wrote: what came too late for a goroutine that was not
// scheduled in time is still in the pipe.
func (s *streams) collect() Result {
	s.stdin.ours.Close()
	<-s.stdin.done
	grace := time.Now().Add(outputGrace)
	for _, p := range []*stream{&s.stdout, &s.stderr} {
		_ = p.ours.SetReadDeadline(grace)
		<-p.done
		p.drain()
	}
	return Result{Stdout: s.stdout.kept.output(), Stderr: s.stderr.kept.output()}
}

// drain reads what is left in a pipe that nobody serves any more, without waiting. If somebody can still write to it, there may be more.
func (p *stream) drain() {
	_ = p.ours.SetReadDeadline(time.Time{})
	pipe, err := p.ours.SyscallConn()
	buffer := make([]byte, 64<<10)
	for read := 0; err == nil && read < largestPipe; {
		var n int
		var failed error
		err = pipe.Read(func(descriptor uintptr) bool {
			n, failed = unix.Read(int(descriptor), buffer)
			return true
		})
		if err == nil && failed == nil && n == 0 {
			return // all writers have ended
		}
		if err = cmp.Or(err, failed); err == nil {
			_, _ = p.kept.Write(buffer[:n])
			read += n
		}
	}
	p.kept.held = true
}

func (s *streams) closeAll() {
	for _, p := range []stream{s.stdin, s.stdout, s.stderr} {
		for _, file := range []*os.File{p.ours, p.theirs} {
			if file != nil {
				file.Close() // closing twice is harmless
			}
		}
	}
}

// bounded keeps the first bytes that are written to it and takes the rest without keeping it.
type bounded struct {
	buffer bytes.Buffer
	limit  int
	cut    bool
	held   bool
}

// Write never fails.
func (b *bounded) Write(p []byte) (int, error) {
	room := b.limit - b.buffer.Len()
	if len(p) > room {
		b.cut = true
		b.buffer.Write(p[:room])
		return len(p), nil
	}
	b.buffer.Write(p)
	return len(p), nil
}

func (b *bounded) output() Output { return Output{Text: b.buffer.String(), Cut: b.cut, Held: b.held} }
