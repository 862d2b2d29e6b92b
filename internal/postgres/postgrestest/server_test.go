package postgrestest

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
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

func TestKilledServerLeavesNoSharedMemory(t *testing.T) {
	server := Start(t)
	id, found := server.segment()
	if !found {
		t.Fatal("the running server has no segment: the test looks in the wrong place")
	}
	if err := server.removeSharedMemory(); err != nil {
		t.Fatal(err)
	}
	if got, found := server.segment(); !found || got != id {
		t.Fatal("the segment of a running server was removed")
	}
	server.Kill()
	if err := server.removeSharedMemory(); err != nil {
		t.Fatal(err)
	}
	var segment unix.SysvShmDesc
	if _, err := unix.SysvShmCtl(id, unix.IPC_STAT, &segment); err == nil {
		t.Fatalf("segment %d is left", id)
	}
	if mapped, err := filepath.Glob(filepath.Join(server.Dir, "pg_dynshmem", "mmap.*")); err != nil || len(mapped) == 0 {
		t.Fatalf("dynamic shared memory is not in the data folder: %v, %v", mapped, err)
	}
}
