package virtual

import (
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
)

// Disk is where one run of an arbiter keeps its log, its term and its vote. It implements arbiter.LogAndStable.
//
// A run that is killed leaves a copy of its disk behind, made at that moment, with which the next one begins: whatever the dead one still
// writes, in this process, is lost, as it should be.
type Disk struct {
	stored func(*raft.Log) // hears of every entry that is on disk now

	mu      sync.Mutex
	logs    map[uint64]*raft.Log
	first   uint64
	last    uint64
	values  map[string][]byte
	numbers map[string]uint64
	delay   time.Duration
	hung    chan struct{} // closed when writes go on; nil: they do
}

// NewDisk returns an empty disk.
func NewDisk(stored func(*raft.Log)) *Disk {
	return &Disk{stored: stored, logs: map[uint64]*raft.Log{}, values: map[string][]byte{}, numbers: map[string]uint64{}}
}

// Leave returns what is on disk now, on a disk that is well, for the next run. From now on nobody hears of what is written here.
func (d *Disk) Leave() *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	left := &Disk{stored: d.stored, logs: maps.Clone(d.logs), first: d.first, last: d.last, values: maps.Clone(d.values), numbers: maps.Clone(d.numbers)}
	d.stored = func(*raft.Log) {}
	return left
}

// Slow makes every write take so long.
func (d *Disk) Slow(by time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.delay = by
}

// Hang lets every write wait until the returned function is called, which may be done twice.
func (d *Disk) Hang() (goOn func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.hung == nil {
		d.hung = make(chan struct{})
	}
	hung := d.hung
	return sync.OnceFunc(func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.hung == hung {
			d.hung = nil
			close(hung)
		}
	})
}

// write waits as long as a write takes, then makes it.
func (d *Disk) write(what func()) {
	d.mu.Lock()
	delay, hung := d.delay, d.hung
	d.mu.Unlock()
	if delay > 0 {
		time.Sleep(delay)
	}
	if hung != nil {
		<-hung
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	what()
}

// StoreLog implements raft.LogStore.
func (d *Disk) StoreLog(entry *raft.Log) error { return d.StoreLogs([]*raft.Log{entry}) }

// StoreLogs implements raft.LogStore.
func (d *Disk) StoreLogs(entries []*raft.Log) error {
	var stored func(*raft.Log)
	d.write(func() {
		stored = d.stored
		for _, e := range entries {
			d.logs[e.Index] = e
			if d.first == 0 {
				d.first = e.Index
			}
			d.last = max(d.last, e.Index)
		}
	})
	for _, e := range entries {
		stored(e)
	}
	return nil
}

// FirstIndex implements raft.LogStore.
func (d *Disk) FirstIndex() (uint64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.first, nil
}

// LastIndex implements raft.LogStore.
func (d *Disk) LastIndex() (uint64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.last, nil
}

// GetLog implements raft.LogStore.
func (d *Disk) GetLog(index uint64, entry *raft.Log) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	e, ok := d.logs[index]
	if !ok {
		return raft.ErrLogNotFound
	}
	*entry = *e
	return nil
}

// DeleteRange implements raft.LogStore: of the beginning, or of the end.
func (d *Disk) DeleteRange(from, to uint64) error {
	d.write(func() {
		for i := from; i <= to; i++ {
			delete(d.logs, i)
		}
		if from <= d.first {
			d.first = to + 1
		}
		if to >= d.last {
			d.last = from - 1
		}
		if d.first > d.last {
			d.first, d.last = 0, 0
		}
	})
	return nil
}

// Set implements raft.StableStore.
func (d *Disk) Set(key, value []byte) error {
	d.write(func() { d.values[string(key)] = append([]byte(nil), value...) })
	return nil
}

// Get implements raft.StableStore.
func (d *Disk) Get(key []byte) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if value, ok := d.values[string(key)]; ok {
		return value, nil
	}
	return nil, errKeyNotFound
}

// SetUint64 implements raft.StableStore.
func (d *Disk) SetUint64(key []byte, value uint64) error {
	d.write(func() { d.numbers[string(key)] = value })
	return nil
}

// GetUint64 implements raft.StableStore.
func (d *Disk) GetUint64(key []byte) (uint64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if value, ok := d.numbers[string(key)]; ok {
		return value, nil
	}
	return 0, errKeyNotFound
}

// errKeyNotFound has the text that Raft compares.
var errKeyNotFound = errors.New(raftboltdb.ErrKeyNotFound.Error())
