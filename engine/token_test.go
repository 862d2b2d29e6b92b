package engine

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/arbiter-ha/arbiter/failover"
)

// What hides the token is looked for elsewhere than what hides a setting that no role and no database can have.
func TestAdviceWhereASettingIsNotTaken(t *testing.T) {
	g := startGroup(t, "b", "c")
	advice := func(name failover.MemberName) string {
		return told(t, " was written", func(ctx context.Context) string {
			return g.engine.StopFollowing(ctx, g.member(name), g.spec, 5, g.systemID).Detail
		})
	}
	file, err := os.OpenFile(filepath.Join(g.servers["b"].Dir, "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteString("= nonsense\n"); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	if got := advice("b"); !strings.Contains(got, "primary_conninfo was written") || !strings.Contains(got, "pg_file_settings") || strings.Contains(got, "ALTER ROLE") {
		t.Errorf("of a server that refuses its files: %s", got)
	}
	g.servers["a"].Exec("ALTER ROLE arbiter SET arbiter.epoch = '1'")
	g.servers["c"].Eventually("the role's setting arrives", func() bool { return g.servers["c"].Query("SELECT count(*) FROM pg_db_role_setting") == "1" })
	if got := advice("c"); !strings.Contains(got, "arbiter.epoch was written") || !strings.Contains(got, "ALTER ROLE") {
		t.Errorf("of a server whose role has a token: %s", got)
	}
}
