package engine

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/postgres/postgrestest"
)

// A standby that has nothing but an archive is at its end when the archive has no more, and not in the middle of a file that it restores slowly.
func TestStopFollowing_AStandbyThatRestoresFromAnArchive(t *testing.T) {
	archive := folderForAll(t)
	g := startGroupOn(t, postgrestest.Start(t,
		postgresSetting("archive_mode", "on"), postgresSetting("archive_command", fmt.Sprintf("cp %%p %s/part && mv %[1]s/part %[1]s/%%f", archive))), "b")
	primary, standby := g.servers["a"], g.servers["b"]
	standby.Stop()
	standby.Configure(postgresSetting("primary_conninfo", ""),
		postgresSetting("restore_command", fmt.Sprintf("sleep 0.2; cp %s/%%f %%p", archive)))
	primary.Exec("CREATE TABLE filled (n int)")
	for n := range 3 {
		primary.Exec("INSERT INTO filled VALUES ($1)", n)
		primary.Query("SELECT pg_switch_wal()")
	}
	end := g.position(primary.Query("SELECT pg_current_wal_lsn()"))
	last := primary.Query("SELECT pg_walfile_name(pg_current_wal_lsn() - 1)")
	primary.Eventually("all is in the archive", func() bool {
		_, err := os.Stat(filepath.Join(archive, last))
		return err == nil
	})
	primary.Kill()
	standby.Start()
	standby.WaitReady()

	stopped := g.stop("b", 5)
	g.wantAnswered(stopped)
	if stopped.Replayed < end {
		t.Errorf("it stopped at %v, the archive ends at %v", stopped.Replayed, end)
	}
	g.wantResult(g.promote("b", 5), failover.ResultDone, nil)
	if n := standby.Query("SELECT count(*) FROM filled"); n != "3" {
		t.Errorf("it has %s rows of 3", n)
	}
}

// folderForAll is a folder that the servers' account can write to.
func folderForAll(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	for dir := folder; dir != os.TempDir(); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}
