package arbiter

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"

	"github.com/arbiter-ha/arbiter/fsm"
)

const (
	logFile           = "raft.db"
	lockPatience      = time.Second // for a predecessor that is about to end
	snapshotsKept     = 2
	cachedEntries     = 512
	currentTermKey    = "CurrentTerm" // Raft's own name for it in the stable store
	folderMode        = 0o700
	raftFolder        = "raft"      // of the data directory
	snapshotsFolder   = "snapshots" // of the Raft folder: Raft's own name for it
	snapshotInterval  = 2 * time.Minute
	snapshotThreshold = 8192
	trailingLogs      = 10240
)

// Storage is where a node keeps what it must never forget: log, term, vote, snapshots.
type Storage struct {
	Path      string // for messages
	Log       raft.LogStore
	Stable    raft.StableStore
	Snapshots raft.SnapshotStore
	close     func() error
	appending func(last uint64) // called when entries are about to be written, with the index of the last; set before Raft runs
	failed    func(error)       // called with every write of entries that failed; set before Raft runs
}

// OpenStorage opens, or makes, the storage in a folder. Every write is synced before it counts. It reads the whole log
// once, so that a corrupt one is found now and not in the middle of an operation.
func OpenStorage(folder string, log hclog.Logger) (storage *Storage, err error) {
	if err := os.MkdirAll(folder, folderMode); err != nil {
		return nil, storageError(folder, err)
	}
	path := filepath.Join(folder, logFile)
	defer recoverCorrupt(path, &err)()
	bolt, snapshots, err := readStorage(folder, false, log)
	if err != nil {
		return nil, err
	}
	storage, err = newStorage(folder, bolt, snapshots, bolt.Close)
	if err != nil {
		return nil, errors.Join(storageError(path, err), bolt.Close())
	}
	return storage, nil
}

// CheckStorage says whether the storage in a data directory could be opened, and whether it goes together with the arbiter's mark, by reading all of
// it once and changing nothing in it. One that isn't there yet could be, and so could one of ErrStorageUnused. ErrStorageLocked: somebody uses it, and
// nothing was read.
func CheckStorage(data string) (err error) {
	folder := filepath.Join(data, raftFolder)
	path := filepath.Join(folder, logFile)
	m, found, err := fileMark{folder: data}.read()
	if err != nil {
		return err
	}
	if there, err := hasLog(path); err != nil {
		return err
	} else if !there {
		return m.goesWithoutLog(data, found)
	}
	defer recoverCorrupt(path, &err)()
	if err := checkUsed(path); errors.Is(err, ErrStorageUnused) {
		return cmp.Or(m.goesWithoutLog(data, found), err)
	} else if err != nil {
		return err
	}
	bolt, snapshots, err := readStorage(folder, true, hclog.NewNullLogger())
	if err != nil {
		return err
	}
	storage, err := newStorage(path, bolt, snapshots, bolt.Close)
	if err != nil {
		return errors.Join(storageError(path, err), bolt.Close())
	}
	held, err := storage.contents()
	if err == nil {
		err = m.goesWith(data, found, held)
	}
	return errors.Join(err, storageError(path, storage.Close()))
}

// hasLog says whether there is a log. A file of no length is what is left of a start that was killed before.
func hasLog(path string) (bool, error) {
	switch info, err := os.Stat(path); {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, storageError(path, err)
	default:
		return info.Size() > 0, nil
	}
}

// checkLogLost refuses a data directory whose log is lost, before a new one is made in its place.
func checkLogLost(data string) error {
	m, found, err := fileMark{folder: data}.read()
	if err != nil {
		return err
	}
	if there, err := hasLog(filepath.Join(data, raftFolder, logFile)); there || err != nil {
		return err
	}
	return m.goesWithoutLog(data, found)
}

// ReadLog visits every entry of the log in a data directory, the oldest first, and changes nothing in it. ErrStorageLocked: somebody uses it.
func ReadLog(data string, visit func(*raft.Log) error) (err error) {
	folder := filepath.Join(data, raftFolder)
	path := filepath.Join(folder, logFile)
	defer recoverCorrupt(path, &err)()
	bolt, snapshots, err := readStorage(folder, true, hclog.NewNullLogger())
	if err != nil {
		return err
	}
	covered, err := checkSnapshots(snapshots)
	if err == nil {
		err = eachEntry(bolt, covered, visit)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("read %s: %w", path, err), bolt.Close())
	}
	return storageError(path, bolt.Close())
}

// checkUsed says ErrStorageUnused of a log that has no buckets. They are made in one transaction, the first one, before anything is written: a
// file without them is what is left of a start that was killed before, and the next start makes them.
func checkUsed(path string) error {
	db, err := bbolt.Open(path, 0, &bbolt.Options{Timeout: lockPatience, ReadOnly: true})
	if err != nil {
		return storageError(path, err)
	}
	err = db.View(func(tx *bbolt.Tx) error {
		if name, _ := tx.Cursor().First(); name == nil {
			return fmt.Errorf("read %s: %w: a first start ended before anything was written to it", path, ErrStorageUnused)
		}
		return nil
	})
	return errors.Join(err, db.Close())
}

// readStorage opens the log and the snapshots in a folder, and reads them. Nobody else may have opened the log to write to it.
func readStorage(folder string, readOnly bool, log hclog.Logger) (*raftboltdb.BoltStore, raft.SnapshotStore, error) {
	path := filepath.Join(folder, logFile)
	bolt, err := raftboltdb.New(raftboltdb.Options{
		Path:                    path,
		BoltOptions:             &bbolt.Options{Timeout: lockPatience, FreelistType: bbolt.FreelistMapType, ReadOnly: readOnly},
		MsgpackUseNewTimeFormat: true,
	})
	if err != nil {
		return nil, nil, storageError(path, err)
	}
	snapshots, err := raft.NewFileSnapshotStoreWithLogger(folder, snapshotsKept, log.Named("raft-snapshot"))
	if err != nil {
		return nil, nil, errors.Join(storageError(folder, err), bolt.Close())
	}
	covered, err := checkSnapshots(snapshots)
	if err != nil {
		return nil, nil, errors.Join(corrupt(folder, err), bolt.Close())
	}
	if err := checkLog(bolt, covered); err != nil {
		return nil, nil, errors.Join(corrupt(path, err), bolt.Close())
	}
	return bolt, snapshots, nil
}

// MemoryStorage is a storage that forgets at Close, for tests.
func MemoryStorage() *Storage {
	storage, err := StorageOn("memory", raft.NewInmemStore(), raft.NewInmemSnapshotStore())
	if err != nil {
		panic(fmt.Sprintf("arbiter: make a store in memory: %v", err)) // it has no way to fail
	}
	return storage
}

// LogAndStable is where Raft keeps its log, its term and its vote.
type LogAndStable interface {
	raft.LogStore
	raft.StableStore
}

// StorageOn is a storage on a store that was opened already, and that nobody closes.
func StorageOn(path string, store LogAndStable, snapshots raft.SnapshotStore) (*Storage, error) {
	return newStorage(path, store, snapshots, func() error { return nil })
}

func newStorage(path string, store LogAndStable, snapshots raft.SnapshotStore, end func() error) (*Storage, error) {
	// A leader reads the last entry at each request to each follower; from the cache that costs nothing.
	under := &errorKeeper{LogStore: store}
	cache, err := raft.NewLogCache(cachedEntries, under)
	if err != nil {
		return nil, err
	}
	storage := &Storage{Path: path, Stable: &forwardTerm{StableStore: store}, Snapshots: snapshots, close: end, appending: func(uint64) {}, failed: func(error) {}}
	storage.Log = &cachedLog{LogCache: cache, under: under, appending: func(last uint64) { storage.appending(last) }, failed: func(err error) {
		storage.failed(storageError(path, err))
	}}
	return storage, nil
}

// Empty says whether the storage has never been part of a cluster.
func (s *Storage) Empty() (bool, error) {
	has, err := raft.HasExistingState(s.Log, s.Stable, s.Snapshots)
	if err != nil {
		return false, storageError(s.Path, err)
	}
	return !has, nil
}

// contents is what a storage holds, as far as a mark must go together with it.
type contents struct {
	path      string
	empty     bool   // it has never been part of a cluster
	clusterID string // whose log and votes it holds; empty: nobody's
}

func (s *Storage) contents() (contents, error) {
	empty, err := s.Empty()
	if err != nil {
		return contents{}, err
	}
	id, err := s.clusterID()
	return contents{path: s.Path, empty: empty, clusterID: id}, err
}

// Close closes the files. The Raft node must have been shut down.
func (s *Storage) Close() error { return s.close() }

// checkLog reads every entry, and checks that none is missing after the newest snapshot, which covers all up to an index.
func checkLog(store raft.LogStore, covered uint64) error {
	return eachEntry(store, covered, func(entry *raft.Log) error {
		if entry.Type != raft.LogCommand {
			return nil
		}
		return fsm.Intact(entry.Data)
	})
}

// eachEntry visits every entry from the first one on. An error says which it is about. Of those that a snapshot covers some may be missing: a follower that
// was sent one goes on after it, and keeps what it had before.
func eachEntry(store raft.LogStore, covered uint64, visit func(*raft.Log) error) error {
	first, err := store.FirstIndex()
	if err != nil {
		return err
	}
	last, err := store.LastIndex()
	if err != nil {
		return err
	}
	if first == 0 {
		return nil
	}
	if first > covered+1 {
		return fmt.Errorf("entries %d to %d are neither in the log nor in a snapshot", covered+1, first-1)
	}
	for index := first; index <= last; index++ {
		var entry raft.Log
		err := store.GetLog(index, &entry)
		if errors.Is(err, raft.ErrLogNotFound) && index <= covered {
			continue
		}
		if err == nil && entry.Index != index {
			err = fmt.Errorf("it says it is entry %d", entry.Index)
		}
		if err == nil {
			err = visit(&entry)
		}
		if err != nil {
			return fmt.Errorf("entry %d of %d to %d: %w", index, first, last, err)
		}
	}
	return nil
}

// checkSnapshots opens the newest snapshot, which compares its checksum, and says up to which entry it reaches. Raft would fall back to an older one,
// and the log may not reach back that far.
func checkSnapshots(store raft.SnapshotStore) (covered uint64, err error) {
	snapshots, err := store.List()
	if err != nil || len(snapshots) == 0 {
		return 0, err
	}
	_, content, err := store.Open(snapshots[0].ID)
	if err != nil {
		return 0, fmt.Errorf("snapshot %s: %w", snapshots[0].ID, err)
	}
	return snapshots[0].Index, content.Close()
}

// recoverCorrupt turns a panic of the storage's libraries into an error: bbolt and Raft panic on pages and entries that
// they can't make sense of, and a file that is shorter than it says faults. Call the result deferred.
func recoverCorrupt(path string, err *error) func() {
	before := debug.SetPanicOnFault(true)
	return func() {
		debug.SetPanicOnFault(before)
		if value := recover(); value != nil {
			*err = corrupt(path, fmt.Errorf("%v", value))
		}
	}
}

// cachedLog is a raft.LogCache whose errors can be told apart: the cache itself passes on only their text, and whether a
// disk is full must not be guessed from that.
type cachedLog struct {
	*raft.LogCache
	under     *errorKeeper
	appending func(last uint64)
	failed    func(error)
}

// StoreLog implements raft.LogStore.
func (l *cachedLog) StoreLog(entry *raft.Log) error { return l.StoreLogs([]*raft.Log{entry}) }

// StoreLogs implements raft.LogStore. Only Raft's main loop calls it, one call after the other.
func (l *cachedLog) StoreLogs(entries []*raft.Log) error {
	if n := len(entries); n > 0 {
		l.appending(entries[n-1].Index)
	}
	if err := l.LogCache.StoreLogs(entries); err != nil {
		err = errors.Join(err, l.under.last)
		l.failed(err)
		return err
	}
	return nil
}

// errorKeeper remembers how the last write ended.
type errorKeeper struct {
	raft.LogStore
	last error
}

func (k *errorKeeper) StoreLogs(entries []*raft.Log) error {
	k.last = k.LogStore.StoreLogs(entries)
	return k.last
}

// forwardTerm is a stable store that refuses to write an older term over a newer one. Raft handles heartbeats beside its
// main loop, and each writes the term without regard to the other. StampingTransport.mayBypass keeps them apart but for
// an instant; in that instant Raft panics here, which ends the process before it can break a promise that it gave with a vote.
type forwardTerm struct {
	raft.StableStore
	mu      sync.Mutex
	highest uint64
}

func (s *forwardTerm) SetUint64(key []byte, value uint64) error {
	if string(key) != currentTermKey {
		return s.StableStore.SetUint64(key, value)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.highest == 0 {
		stored, err := s.StableStore.GetUint64(key)
		if err != nil && !isKeyNotFound(err) {
			return err
		}
		s.highest = stored
	}
	if value < s.highest {
		return fmt.Errorf("term %d is older than term %d, which is on disk", value, s.highest)
	}
	if err := s.StableStore.SetUint64(key, value); err != nil {
		return err
	}
	s.highest = value
	return nil
}
