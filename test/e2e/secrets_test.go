package e2e

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/arbiter-ha/arbiter/internal/lab"
	"github.com/arbiter-ha/arbiter/internal/lab/database"
)

// secretFence gives every member a fence with a password, which the arbiters read from a file.
func (s *stage) secretFence(secret string) {
	s.t.Helper()
	file := filepath.Join(s.t.TempDir(), "password")
	s.must(os.WriteFile(file, []byte(secret+"\n"), 0o600))
	s.apply(s.yaml(plan{spec: lab.Spec{Fence: func(m *database.Server) string {
		return strings.Replace(s.PowerFence(m), "plug:", "password: {file: "+file+"}, plug:", 1)
	}}}))
	s.ready()
	s.epoch = s.status().GetEpoch()
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

// filesWithout asserts that of every file below a directory: logs, the Raft log, snapshots.
func (s *stage) filesWithout(dir string, secrets []string) {
	s.t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		files++
		s.without(path, string(text), secrets)
		return err
	})
	if err != nil || files < 3 {
		s.t.Errorf("looked into %d files below %s: %v", files, dir, err)
	}
}
