package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/arbiter-ha/arbiter/internal/lab"
	"github.com/arbiter-ha/arbiter/internal/lab/database"
)

// arbiterctl check on real machines: well at first; then a privilege is missing, a file that the fences need, and an arbiter. Each time it says
// so and what to do, no secret is shown, and nothing is switched or changed.
func TestCheck_SaysWhetherAFailoverWouldWork(t *testing.T) {
	full(t)
	s := enter(t, plan{own: true, ownFences: everyFence})
	password, err := os.ReadFile(filepath.Join(s.Site.Dir(), "arbiter.password"))
	s.must(err)
	setting := filepath.Join(t.TempDir(), "setting")
	s.must(os.WriteFile(setting, []byte("5"), 0o600))
	s.apply(s.yaml(plan{spec: lab.Spec{Fence: func(m *database.Server) string {
		return strings.Replace(s.PowerFence(m), "plug:", "power_timeout: {file: "+setting+"}, plug:", 1)
	}}}))
	s.epoch = s.ready().GetEpoch()
	s.says([]string{"check", lab.Group}, "all well", "3 members, 3 fence devices, 1 route", "promote "+s.first.Name())

	spec, err := s.Ctl(s.ctx, "get", lab.Group)
	s.must(err)
	file := filepath.Join(t.TempDir(), "group.yaml")
	s.must(os.WriteFile(file, spec, 0o600))
	s.says([]string{"check", "-f", file}, "all well")

	s.must(s.primary.Exec(s.ctx, "REVOKE EXECUTE ON FUNCTION pg_promote(boolean, integer) FROM arbiter"))
	s.says([]string{"check", lab.Group}, "would not work", "lacks: EXECUTE on pg_promote(boolean, integer)", "run the schema again")
	s.must(s.primary.Exec(s.ctx, "GRANT EXECUTE ON FUNCTION pg_promote(boolean, integer) TO arbiter"))
	s.says([]string{"check", lab.Group}, "all well")

	s.must(os.Rename(setting, setting+".away"))
	s.says([]string{"check", lab.Group}, "would not work: 3 findings block it", setting, "put the secret there on this arbiter's machine")
	s.must(os.Rename(setting+".away", setting))

	_, others := s.followers()
	s.must(others[0].Kill())
	text := s.says([]string{"check", lab.Group}, others[0].Name()+" did not answer: it can't be reached", "Nothing blocks a failover of "+lab.Group)
	s.without("the check", text, []string{strings.TrimSpace(string(password))})
	s.must(others[0].Start())
	s.says([]string{"check", lab.Group}, "all well")
	s.nothingDone()
}
