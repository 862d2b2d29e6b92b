package postgrestest

import (
	"os"
	"testing"
)

func TestMain(m *testing.M) { os.Exit(Main(m)) }

func TestServerLifeCycle(t *testing.T) {
	primary := Start(t)
	standby := primary.Standby("b")
	primary.Exec("CREATE TABLE seen (n int)")
	primary.Exec("INSERT INTO seen VALUES (7)")
	standby.Eventually("the row is replicated", func() bool {
		n, err := standby.TryQuery("SELECT n FROM seen")
		return err == nil && n == "7"
	})

	standby.Stop()
	if n := len(standby.processes()); n != 0 {
		t.Fatalf("%d processes are left after Stop", n)
	}
	standby.Start()
	standby.WaitReady()
	if got := standby.Query("SELECT pg_is_in_recovery()"); got != "true" {
		t.Fatalf("in recovery: got %s, want true", got)
	}

	primary.Freeze()
	primary.Kill()
	if n := len(primary.processes()); n != 0 {
		t.Fatalf("%d processes are left after Kill of a frozen server", n)
	}
}
