package arbiter

import (
	"bytes"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
)

// What this package knows of Raft's insides is held to the library itself here: another release of it that has changed fails these tests.

// Two keys and one error of the stores have no names that could be imported.
func TestRaftWords_OfTheStores(t *testing.T) {
	disk, err := OpenStorage(t.TempDir(), quiet())
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	for name, storage := range map[string]*Storage{"in memory": MemoryStorage(), "on disk": disk} {
		if _, err := storage.Stable.Get([]byte("never set")); !isKeyNotFound(err) {
			t.Errorf("%s a key that was never set is %v", name, err)
		}
		if number, err := storage.Stable.GetUint64([]byte("never set")); number != 0 || err != nil && !isKeyNotFound(err) {
			t.Errorf("%s a number that was never set is %d, %v", name, number, err)
		}
	}
	if isKeyNotFound(nil) || isKeyNotFound(errLost) {
		t.Error("any error will do")
	}
	synctest.Test(t, func(t *testing.T) {
		leader := newTestCluster(t, 3).leader()
		if term, err := leader.options.Storage.Stable.GetUint64([]byte(currentTermKey)); err != nil || term != leader.Term() {
			t.Errorf("Raft's term is %d, and %q in its store says %d (%v)", leader.Term(), currentTermKey, term, err)
		}
	})
}

// A log that Raft itself would begin and one that is begun here are the same.
func TestRaftWords_OfABeginning(t *testing.T) {
	servers := raftServers(threeArbiters)
	ours, theirs := MemoryStorage(), MemoryStorage()
	if err := ours.bootstrap("1", servers); err != nil {
		t.Fatal(err)
	}
	config := raft.DefaultConfig()
	config.LocalID = servers[0].ID
	_, transport := raft.NewInmemTransport(servers[0].Address)
	if err := raft.BootstrapCluster(config, theirs.Log, theirs.Stable, theirs.Snapshots, transport, raft.Configuration{Servers: servers}); err != nil {
		t.Fatal(err)
	}
	type beginning struct {
		term, last uint64
		first      raft.Log
	}
	read := func(s *Storage) (b beginning) {
		var errs [3]error
		b.term, errs[0] = s.Stable.GetUint64([]byte(currentTermKey))
		b.last, errs[1] = s.Log.LastIndex()
		errs[2] = s.Log.GetLog(1, &b.first)
		if err := errors.Join(errs[:]...); err != nil {
			t.Fatal(err)
		}
		return b
	}
	a, b := read(ours), read(theirs)
	if a.term != b.term || a.last != b.last || a.first.Term != b.first.Term || a.first.Type != b.first.Type || !bytes.Equal(a.first.Data, b.first.Data) {
		t.Errorf("begun here: %+v\nby Raft: %+v", a, b)
	}
}

// Where nothing was applied yet there is nothing to write, and that is no failure.
func TestRaftWords_OfASnapshotOfNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := newTestCluster(t, 3).nodes["az-a"] // nobody leads yet
		if err := node.raft.Snapshot().Error(); !errors.Is(err, raft.ErrNothingNewToSnapshot) {
			t.Errorf("Raft says %v", err)
		}
		if err := node.TakeSnapshot(time.Second); err != nil {
			t.Error(err)
		}
	})
}
