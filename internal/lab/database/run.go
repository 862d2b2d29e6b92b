package database

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/arbiter-ha/arbiter/internal/lab/hosts"
)

// StopMode says how a server is asked to stop.
type StopMode syscall.Signal

const (
	// Fast ends sessions, writes a checkpoint, and hands everything to standbys that stream.
	Fast = StopMode(syscall.SIGINT)
	// Smart waits for sessions to end by themselves.
	Smart = StopMode(syscall.SIGTERM)
	// Immediate drops everything; the next start recovers.
	Immediate = StopMode(syscall.SIGQUIT)
)

// Launch starts the server and doesn't wait for it.
func (s *Server) Launch() error {
	process, err := s.host.Start(hosts.Command{
		Name: "postgres", Path: filepath.Join(s.template.bin, "postgres"), Args: []string{"-D", s.dir},
		Dir: s.dir, User: s.template.account.name, Env: []string{"LC_ALL=C", "TZ=UTC"},
	})
	if err != nil {
		return fmt.Errorf("start server %s: %w", s.name, err)
	}
	s.process = process
	return nil
}

// Start starts the server and waits until it answers.
func (s *Server) Start(ctx context.Context) error {
	if err := s.Launch(); err != nil {
		return err
	}
	return s.AwaitReady(ctx)
}

// AwaitReady waits until the server answers queries.
func (s *Server) AwaitReady(ctx context.Context) error {
	return s.Await(ctx, "ready", func(ctx context.Context) (bool, error) {
		return true, s.Exec(ctx, "SELECT 1")
	})
}

// Stop stops the server and waits for its end. A server that isn't running stays so.
func (s *Server) Stop(ctx context.Context, mode StopMode) error {
	if s.process == nil {
		return nil
	}
	return s.process.Stop(ctx, syscall.Signal(mode))
}

// Restart stops fast and starts.
func (s *Server) Restart(ctx context.Context) error {
	if err := s.Stop(ctx, Fast); err != nil {
		return err
	}
	return s.Start(ctx)
}

// Running tells whether the postmaster runs. Orphans may be left when it doesn't.
func (s *Server) Running() bool { return s.process != nil && s.process.Running() }

// KillPostmaster kills the postmaster alone with SIGKILL. Its backends go on until they notice.
func (s *Server) KillPostmaster() error {
	if s.process == nil {
		return fmt.Errorf("kill postmaster of %s: it never ran", s.name)
	}
	return s.process.Kill()
}

// Crash kills all of the server's processes at once with SIGKILL, orphans included, and waits until none is left.
// Other processes of the host live on, and so does its network: peers see their connections reset.
func (s *Server) Crash(ctx context.Context) error {
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	for {
		pids, err := s.PIDs()
		if err != nil {
			return err
		}
		if len(pids) == 0 {
			return s.removeSharedMemory()
		}
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may be gone by now
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("crash %s: %w", s.name, context.Cause(ctx))
		case <-deadline.C:
			return fmt.Errorf("crash %s: %w: %v", s.name, hosts.ErrSurvivors, pids)
		case <-time.After(100 * time.Microsecond):
		}
	}
}

// PIDs lists the server's processes on its host: those that work in its data directory. Each backend leads a session
// of its own, and orphans have another parent, so neither groups nor parents would find them.
func (s *Server) PIDs() ([]int, error) {
	all, err := s.host.PIDs()
	if err != nil {
		return nil, err
	}
	var own []int
	for _, pid := range all {
		if cwd, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(pid), "cwd")); err == nil && cwd == s.dir {
			own = append(own, pid)
		}
	}
	return own, nil
}

// StartAsPrimary starts the server as a primary behind everybody's back, as a machine does that boots by itself after
// it was replaced.
func (s *Server) StartAsPrimary(ctx context.Context) error {
	if err := s.remove("standby.signal"); err != nil {
		return err
	}
	return s.Start(ctx)
}

// StartAsStandby starts the stopped server as a standby of primary. When their histories have parted it fails to
// stream; Rewind or Reseed mends that.
func (s *Server) StartAsStandby(ctx context.Context, primary *Server) error {
	if err := s.follow(primary); err != nil {
		return err
	}
	return s.Start(ctx)
}

func (s *Server) follow(primary *Server) error {
	// What ALTER SYSTEM wrote in an earlier life would win over the configuration file.
	auto := filepath.Join(s.dir, "postgresql.auto.conf")
	text, err := os.ReadFile(auto)
	if err != nil {
		return fmt.Errorf("read settings of %s: %w", s.name, err)
	}
	if err := s.writeFile("postgresql.auto.conf", withoutSetting(string(text), "primary_conninfo")); err != nil {
		return err
	}
	if err := s.Set(map[string]string{"primary_conninfo": s.connInfoTo(primary)}); err != nil {
		return err
	}
	return s.touch("standby.signal")
}

// Rewind takes back what a stopped server has and the new primary has not (pg_rewind), and makes it a standby. The
// server must have been stopped or killed; a killed one is recovered first.
func (s *Server) Rewind(ctx context.Context, primary *Server) error {
	// Just after a promotion the source's control file still names the old timeline, and pg_rewind would see no
	// difference.
	if err := primary.Exec(ctx, "CHECKPOINT"); err != nil {
		return fmt.Errorf("rewind %s: %w", s.name, err)
	}
	source := fmt.Sprintf("host=%s port=%d user=%s password=%s dbname=%s", primary.host.Addr(), primary.port, Replicator,
		s.template.Password(Replicator), Name)
	if _, err := s.tool(ctx, "pg_rewind", "--target-pgdata="+s.dir, "--source-server="+source, "--no-sync"); err != nil {
		return fmt.Errorf("rewind %s: %w", s.name, err)
	}
	return s.follow(primary)
}

// Reseed replaces everything by a full copy of the running server from, and makes the stopped server its standby.
func (s *Server) Reseed(ctx context.Context, from *Server) error {
	if err := s.removeSharedMemory(); err != nil {
		return err
	}
	if err := os.RemoveAll(s.dir); err != nil {
		return fmt.Errorf("empty %s: %w", s.name, err)
	}
	args := []string{"--pgdata=" + s.dir, "--dbname=" + s.connInfoTo(from), "--checkpoint=fast", "--wal-method=stream", "--no-sync"}
	if s.log != "" {
		if err := os.RemoveAll(s.log); err != nil {
			return fmt.Errorf("empty %s: %w", s.name, err)
		}
		args = append(args, "--waldir="+s.log)
	}
	if _, err := s.tool(ctx, "pg_basebackup", args...); err != nil {
		return fmt.Errorf("copy %s to %s: %w", from.name, s.name, err)
	}
	return s.follow(from)
}

// MoveLog moves the write-ahead log of the stopped server below a directory elsewhere, such as a disk of its own. It stays
// there when the server is made anew.
func (s *Server) MoveLog(ctx context.Context, dir string) error {
	from, to := filepath.Join(s.dir, "pg_wal"), filepath.Join(dir, "pg_wal")
	if err := s.template.account.own(dir); err != nil {
		return err
	}
	if out, err := exec.CommandContext(ctx, "cp", "-a", from, to).CombinedOutput(); err != nil {
		return fmt.Errorf("move log of %s: %w: %s", s.name, err, out)
	}
	if err := errors.Join(os.RemoveAll(from), os.Symlink(to, from)); err != nil {
		return fmt.Errorf("move log of %s: %w", s.name, err)
	}
	s.log = to
	return nil
}

// tool runs one of PostgreSQL's programs on the server's host, through its network.
func (s *Server) tool(ctx context.Context, program string, args ...string) ([]byte, error) {
	return s.host.Run(ctx, hosts.Command{
		Path: filepath.Join(s.template.bin, program), Args: args, User: s.template.account.name,
		Env: []string{"LC_ALL=C", "TZ=UTC"},
	})
}
