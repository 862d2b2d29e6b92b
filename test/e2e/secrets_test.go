package e2e

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/internal/lab"
	"github.com/arbiter-ha/arbiter/internal/lab/database"
)

// Secrets never appear in logs, at whatever level, in what arbiterctl says, in the Raft log, in snapshots, and in what an arbiter writes when
// it crashes. That each of these was there and was read is shown by what the same spec, or the same moment, must have left in it.
func TestScenario55_Secrets(t *testing.T) {
	full(t)
	s := enterFor(t, 10*time.Minute, plan{own: true, before: func(t *testing.T, l *lab.Lab) {
		for _, a := range l.Arbiters {
			if err := addToFile(a, "log: {level: debug}"); err != nil {
				t.Fatal(err)
			}
		}
	}})
	secret := "fence-secret-" + s.Template.Password(database.App)
	reference := s.secretFence(secret)
	secrets := []string{secret, s.Template.Password(database.Arbiter)}
	s.crash()
	to, op := s.failedOver()
	s.promoted(to, op)
	// A password that is refused makes errors, which must not repeat it.
	s.must(to.ChangePassword(s.ctx, database.Arbiter, "another"))
	s.explains("28P01")
	s.answersWithout(secrets)
	s.must(to.ChangePassword(s.ctx, database.Arbiter, s.Template.Password(database.Arbiter)))
	s.until("up", primaryIs("up"))

	s.fillLog(9000)
	for _, a := range s.Arbiters {
		s.snapshotOf(a)
	}
	for _, a := range s.Arbiters {
		s.must(a.Process().Signal(syscall.SIGQUIT))
		_ = a.Process().Err() // it waits
		s.filesWithout(a.Host().Dir(), secrets, map[string]string{
			"arbiterd.log": "[DEBUG]", "raft.db": reference, "state.bin": reference,
		})
		if dump := s.log(a); !strings.Contains(dump, "SIGQUIT: quit") || !strings.Contains(dump, "goroutine ") {
			t.Errorf("%s left no trace of its crash: %s", a.Name(), dump[max(0, len(dump)-2000):])
		}
		s.must(a.Start())
	}
	s.until("steady", steady)
}

// secretFence gives every member a fence with a password, which the arbiters read from a file, and returns how the spec refers to it.
func (s *stage) secretFence(secret string) (reference string) {
	s.t.Helper()
	file := filepath.Join(s.t.TempDir(), "password")
	s.must(os.WriteFile(file, []byte(secret+"\n"), 0o600))
	s.apply(s.yaml(plan{spec: lab.Spec{Fence: func(m *database.Server) string {
		return strings.Replace(s.PowerFence(m), "plug:", "password: {file: "+file+"}, plug:", 1)
	}}}))
	s.ready()
	s.epoch = s.status().GetEpoch()
	return file
}

// answersWithout asks everything of arbiterctl, in every format.
func (s *stage) answersWithout(secrets []string) {
	s.t.Helper()
	group := s.status().GetGroup()
	for _, command := range [][]string{{"status"}, {"explain", group}, {"show", group}, {"epoch", group}, {"events", group}, {"get", group}, {"history", group}} {
		for _, format := range []string{"json", "yaml", ""} {
			args := command
			if format != "" {
				args = append(append([]string{}, command...), "-o", format)
			}
			out, err := s.Ctl(s.ctx, args...)
			if !strings.Contains(string(out), group) && !strings.Contains(string(out), s.primary.Name()) {
				s.t.Errorf("%s says nothing of the group: %s, %v", strings.Join(args, " "), out, err)
			}
			s.without(strings.Join(args, " "), string(out)+fmt.Sprint(err), secrets)
		}
	}
}

// without asserts that a text has none of the secrets in it.
func (s *stage) without(where, text string, secrets []string) {
	s.t.Helper()
	for _, secret := range secrets {
		if i := strings.Index(text, secret); i >= 0 {
			s.t.Errorf("a secret stands in %s: ...%s<here>...", where, text[max(0, i-80):i])
		}
	}
}

// filesWithout asserts that of every file below a directory. Of each name in holds there must be one, with that text in it.
func (s *stage) filesWithout(dir string, secrets []string, holds map[string]string) {
	s.t.Helper()
	found := map[string]bool{}
	s.must(filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		s.without(path, string(text), secrets)
		if word, wanted := holds[entry.Name()]; wanted && strings.Contains(string(text), word) {
			found[entry.Name()] = true
		}
		return err
	}))
	for name, word := range holds {
		if !found[name] {
			s.t.Errorf("no file %s below %s was read that has %q in it", name, dir, word)
		}
	}
}
