package arbiter

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/hashicorp/raft"
	"go.etcd.io/bbolt"
)

// filledStorage makes a storage with entries on disk, with its mark beside it, and closes it.
func filledStorage(t *testing.T, entries int) (folder string) {
	t.Helper()
	folder = filepath.Join(t.TempDir(), "raft")
	storage, err := OpenStorage(folder, quiet())
	if err != nil {
		t.Fatal(err)
	}
	if err := storage.bootstrap("1", raftServers(threeArbiters)); err != nil {
		t.Fatal(err)
	}
	for i := range entries {
		data := written(t, fmt.Sprintf("entry %d %s", i+2, strings.Repeat(".", 1000)))
		if err := storage.Log.StoreLog(&raft.Log{Index: uint64(i + 2), Term: 1, Data: data}); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(storage.Close(), writeMark(filepath.Dir(folder), BootstrapMember)); err != nil {
		t.Fatal(err)
	}
	return folder
}

// writeMark marks a data directory as one of az-a of cluster 1.
func writeMark(data string, state BootstrapState) error {
	self := standing("az-a", state, "1")
	return fileMark{data}.write(mark{Node: self.Node, ClusterID: self.ClusterID, State: state, ListHash: self.ListHash, List: self.List})
}

func editBolt(t *testing.T, folder string, edit func(logs *bbolt.Bucket) error) {
	t.Helper()
	db, err := bbolt.Open(filepath.Join(folder, logFile), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Update(func(tx *bbolt.Tx) error { return edit(tx.Bucket([]byte("logs"))) }), db.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestOpenStorage_SaysWhatIsWrong(t *testing.T) {
	key := func(index byte) []byte { return []byte{0, 0, 0, 0, 0, 0, 0, index} }
	tests := map[string]struct {
		harm func(t *testing.T, folder string)
		want error
		says string
	}{
		"nothing": {func(*testing.T, string) {}, nil, ""},
		"in use": {func(t *testing.T, folder string) {
			held, err := OpenStorage(folder, quiet())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { held.Close() })
		}, ErrStorageLocked, "another arbiterd"},
		"not a log at all": {func(t *testing.T, folder string) {
			if err := os.WriteFile(filepath.Join(folder, logFile), []byte(strings.Repeat("nonsense", 4000)), 0o600); err != nil {
				t.Fatal(err)
			}
		}, ErrStorageCorrupt, "leave this arbiter stopped"},
		"cut short": {func(t *testing.T, folder string) {
			path := filepath.Join(folder, logFile)
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(path, info.Size()/3/4096*4096); err != nil {
				t.Fatal(err)
			}
		}, ErrStorageCorrupt, logFile},
		"pages overwritten": {func(t *testing.T, folder string) {
			file, err := os.OpenFile(filepath.Join(folder, logFile), os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			info, _ := file.Stat()
			for offset := int64(4 * 4096); offset < info.Size(); offset += 4096 {
				if _, err := file.WriteAt([]byte(strings.Repeat("\xff", 4096)), offset); err != nil {
					t.Fatal(err)
				}
			}
		}, ErrStorageCorrupt, logFile},
		"an entry is missing": {func(t *testing.T, folder string) {
			editBolt(t, folder, func(logs *bbolt.Bucket) error { return logs.Delete(key(9)) })
		}, ErrStorageCorrupt, "entry 9 of 1 to 41"},
		"an entry is garbage": {func(t *testing.T, folder string) {
			editBolt(t, folder, func(logs *bbolt.Bucket) error { return logs.Put(key(9), []byte("?")) })
		}, ErrStorageCorrupt, "entry 9 of 1 to 41"},
		"a byte of an entry is another": {func(t *testing.T, folder string) {
			editBolt(t, folder, func(logs *bbolt.Bucket) error {
				return logs.Put(key(9), bytes.Replace(logs.Get(key(9)), []byte("entry 9"), []byte("entry 8"), 1))
			})
		}, ErrStorageCorrupt, "not those that were written"},
		"an entry is another": {func(t *testing.T, folder string) {
			editBolt(t, folder, func(logs *bbolt.Bucket) error { return logs.Put(key(9), logs.Get(key(8))) })
		}, ErrStorageCorrupt, "says it is entry 8"},
		"a file is in the way": {func(t *testing.T, folder string) {
			if err := errors.Join(os.RemoveAll(folder), os.WriteFile(folder, nil, 0o600)); err != nil {
				t.Fatal(err)
			}
		}, syscall.ENOTDIR, "raft"},
	}
	for name, test := range tests {
		for how, open := range map[string]func(folder string) error{"opened": openAndClose, "checked": func(folder string) error { return CheckStorage(filepath.Dir(folder)) }} {
			t.Run(name+", "+how, func(t *testing.T) {
				folder := filledStorage(t, 40)
				test.harm(t, folder)
				err := open(folder)
				if !errors.Is(err, test.want) || (err != nil) != (test.want != nil) {
					t.Fatalf("got %v, want %v", err, test.want)
				}
				if err != nil && !strings.Contains(err.Error(), test.says) {
					t.Errorf("%q doesn't say %q", err, test.says)
				}
			})
		}
	}
}

func openAndClose(folder string) error {
	storage, err := OpenStorage(folder, quiet())
	if err != nil {
		return err
	}
	return storage.Close()
}

func TestCheckStorage_OfANewDataDirectory(t *testing.T) {
	data := t.TempDir()
	if err := CheckStorage(data); err != nil {
		t.Error(err)
	}
	if made, err := os.ReadDir(data); err != nil || len(made) > 0 {
		t.Errorf("it made %v (%v)", made, err)
	}
}

// A first start that is killed leaves an empty file, one without buckets, or one that has grown but not got them: the next one goes on from there.
func TestCheckStorage_OfAFirstStartThatWasKilled(t *testing.T) {
	for name, leave := range map[string]func(path string) error{
		"nothing written": func(path string) error { return os.WriteFile(path, nil, 0o600) },
		"no buckets":      leaveBolt,
		"grown for them": func(path string) error {
			return errors.Join(leaveBolt(path), os.Truncate(path, 1<<16))
		},
	} {
		t.Run(name, func(t *testing.T) {
			data := t.TempDir()
			folder := filepath.Join(data, raftFolder)
			if err := os.Mkdir(folder, folderMode); err != nil {
				t.Fatal(err)
			}
			if err := leave(filepath.Join(folder, logFile)); err != nil {
				t.Fatal(err)
			}
			if err := CheckStorage(data); err != nil && (!errors.Is(err, ErrStorageUnused) || errors.Is(err, ErrStorageCorrupt)) {
				t.Errorf("checked: %v", err)
			}
			storage, err := OpenStorage(folder, quiet())
			if err != nil {
				t.Fatal(err)
			}
			if empty, err := storage.Empty(); err != nil || !empty {
				t.Errorf("empty: %v, %v", empty, err)
			}
			if err := storage.Close(); err != nil {
				t.Fatal(err)
			}
			if err := CheckStorage(data); err != nil {
				t.Errorf("checked after the start: %v", err)
			}
		})
	}
}

// leaveBolt is what the store's constructor has done before its first transaction.
func leaveBolt(path string) error {
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		return err
	}
	return db.Close()
}

// addSnapshot makes a snapshot that reaches up to an entry.
func addSnapshot(t *testing.T, folder string, covered uint64) raft.SnapshotSink {
	t.Helper()
	snapshots, err := raft.NewFileSnapshotStoreWithLogger(folder, snapshotsKept, quiet())
	if err != nil {
		t.Fatal(err)
	}
	sink, err := snapshots.Create(1, covered, 1, raft.Configuration{}, 1, newFaultNetwork().join("az-a"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprint(sink, "state"); err != nil {
		t.Fatal(err)
	}
	if err := sink.Close(); err != nil {
		t.Fatal(err)
	}
	return sink
}

// A follower that was sent a snapshot keeps the entries that it had before, and goes on after it: what is missing in between is in the snapshot.
func TestOpenStorage_WhatIsMissingIsInTheSnapshot(t *testing.T) {
	for covered, whole := range map[uint64]bool{8: false, 9: true, 20: true} {
		folder := filledStorage(t, 40)
		editBolt(t, folder, func(logs *bbolt.Bucket) error {
			return errors.Join(logs.Delete([]byte{7: 6}), logs.Delete([]byte{7: 9}))
		})
		addSnapshot(t, folder, covered)
		for how, err := range map[string]error{"opened": openAndClose(folder), "checked": CheckStorage(filepath.Dir(folder))} {
			if whole && err != nil || !whole && !errors.Is(err, ErrStorageCorrupt) {
				t.Errorf("entries 6 and 9 are missing, and a snapshot reaches up to %d: %s: %v", covered, how, err)
			}
		}
	}
}

// One of the two is lost: an arbiter that went on with the other might vote twice.
func TestCheckStorage_OfADataDirectoryThatLostAPart(t *testing.T) {
	lose := func(t *testing.T, path ...string) {
		if err := os.RemoveAll(filepath.Join(path...)); err != nil {
			t.Fatal(err)
		}
	}
	tests := map[string]struct {
		harm func(t *testing.T, data string)
		want error
		says string
	}{
		"nothing":         {func(*testing.T, string) {}, nil, ""},
		"the mark":        {func(t *testing.T, data string) { lose(t, data, markFile) }, ErrBadMark, "cluster.json is gone"},
		"the log":         {func(t *testing.T, data string) { lose(t, data, raftFolder, logFile) }, ErrBadMark, "its Raft log"},
		"the Raft folder": {func(t *testing.T, data string) { lose(t, data, raftFolder) }, ErrBadMark, "is gone, with its votes"},
		"what is in the log": {func(t *testing.T, data string) {
			lose(t, data, raftFolder, logFile)
			if err := leaveBolt(filepath.Join(data, raftFolder, logFile)); err != nil {
				t.Fatal(err)
			}
		}, ErrBadMark, "is gone, with its votes"},
		"the length of the log": {func(t *testing.T, data string) {
			if err := os.Truncate(filepath.Join(data, raftFolder, logFile), 0); err != nil {
				t.Fatal(err)
			}
		}, ErrBadMark, "is gone, with its votes"},
		"both": {func(t *testing.T, data string) { lose(t, data, raftFolder); lose(t, data, markFile) }, nil, ""},
		"the mark and the log, not the snapshots": {func(t *testing.T, data string) {
			addSnapshot(t, filepath.Join(data, raftFolder), 3)
			lose(t, data, raftFolder, logFile)
			lose(t, data, markFile)
		}, ErrBadMark, "cluster.json is gone"},
		"the log of one that never voted": {func(t *testing.T, data string) {
			lose(t, data, raftFolder)
			if err := writeMark(data, BootstrapPrepared); err != nil {
				t.Fatal(err)
			}
		}, nil, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			data := filepath.Dir(filledStorage(t, 3))
			test.harm(t, data)
			err := CheckStorage(data)
			if !errors.Is(err, test.want) || (err != nil) != (test.want != nil) {
				t.Fatalf("CheckStorage = %v, want %v", err, test.want)
			}
			if err != nil && !(strings.Contains(err.Error(), test.says) && strings.Contains(err.Error(), "leave this arbiter stopped")) {
				t.Errorf("%q doesn't say %q, and what to do", err, test.says)
			}
		})
	}
}

// Snapshots that can't be read are not taken for none: mark and log may be lost beside them.
func TestStorageLost_SnapshotsThatCantBeRead(t *testing.T) {
	data := t.TempDir()
	folder := filepath.Join(data, raftFolder)
	if err := os.Mkdir(folder, folderMode); err != nil {
		t.Fatal(err)
	}
	for how, check := range map[string]func(string) error{"checked": CheckStorage, "opened": checkLogLost} {
		if err := check(data); err != nil {
			t.Errorf("%s without snapshots: %v", how, err)
		}
	}
	if err := os.WriteFile(filepath.Join(folder, snapshotsFolder), nil, 0o600); err != nil { // which can't be read as a folder, by root either
		t.Fatal(err)
	}
	for how, check := range map[string]func(string) error{"checked": CheckStorage, "opened": checkLogLost} {
		if err := check(data); !errors.Is(err, syscall.ENOTDIR) || !strings.Contains(err.Error(), "make its snapshots readable") {
			t.Errorf("%s: %v", how, err)
		}
	}
}

func TestOpenStorage_DamagedSnapshot(t *testing.T) {
	folder := filledStorage(t, 3)
	sink := addSnapshot(t, folder, 3)
	if storage, err := OpenStorage(folder, quiet()); err != nil {
		t.Fatal(err)
	} else {
		storage.Close()
	}
	if err := os.WriteFile(filepath.Join(folder, "snapshots", sink.ID(), "state.bin"), []byte("stale"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenStorage(folder, quiet()); !errors.Is(err, ErrStorageCorrupt) || !strings.Contains(err.Error(), sink.ID()) {
		t.Errorf("OpenStorage = %v, want ErrStorageCorrupt that names the snapshot", err)
	}
}

// A full disk is a small file system that is really full; mounting one needs root, which the tests of this project run as.
func TestStorage_FullDisk(t *testing.T) {
	folder := t.TempDir()
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, "size=1m"); err != nil {
		t.Fatalf("mount a small file system: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(folder, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	storage, err := OpenStorage(filepath.Join(folder, "raft"), quiet())
	if err != nil {
		t.Fatal(err)
	}
	defer storage.Close()
	if err := storage.bootstrap("1", raftServers(threeArbiters)); err != nil {
		t.Fatal(err)
	}
	for index := uint64(2); err == nil; index++ {
		err = storage.Log.StoreLog(&raft.Log{Index: index, Term: 1, Data: make([]byte, 50_000)})
	}
	if told := applyError("apply entry", err); !errors.Is(told, ErrDiskFull) || !errors.Is(told, ErrOutcomeUnknown) || errors.Is(told, ErrNotProposed) {
		t.Errorf("a full disk is told as %v", told)
	}
	if err := (fileMark{folder}).write(mark{Node: "az-a", List: strings.Repeat("x", 100_000)}); !errors.Is(err, ErrDiskFull) {
		t.Errorf("writing the mark = %v, want ErrDiskFull", err)
	}
}

func TestForwardTerm_NeverGoesBack(t *testing.T) {
	store := raft.NewInmemStore()
	guard := &forwardTerm{StableStore: store}
	steps := []struct {
		key    string
		value  uint64
		refuse bool
	}{
		{currentTermKey, 1, false},
		{currentTermKey, 5, false},
		{currentTermKey, 4, true},
		{currentTermKey, 5, false},
		{"LastVoteTerm", 3, false},
		{currentTermKey, 6, false},
	}
	for _, step := range steps {
		if err := guard.SetUint64([]byte(step.key), step.value); (err != nil) != step.refuse {
			t.Errorf("set %s to %d: %v", step.key, step.value, err)
		}
	}
	again := &forwardTerm{StableStore: store}
	if err := again.SetUint64([]byte(currentTermKey), 5); err == nil {
		t.Error("after a restart an older term was written over a newer one")
	}
	if got, _ := guard.GetUint64([]byte(currentTermKey)); got != 6 {
		t.Errorf("the term is %d, want 6", got)
	}
}
