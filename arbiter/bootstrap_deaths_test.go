package arbiter

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/clock"
)

// site is three arbiters on real files, one folder each. After every write of a forming cluster all of them are copied, if that is wanted: what
// would be on the disks if all processes had died there.
type site struct {
	t      *testing.T
	root   string
	copies string // folder for the copies; empty: none are wanted

	mu     sync.Mutex // one write at a time, so that nothing is half written when the files are copied
	states []string   // the copies, in order
	wrote  []string   // what was written before each
	up     map[failover.NodeID]*Bootstrap
}

// siteList is of a site: Raft's address is the name.
var siteList = []Peer{{Node: "az-a", Raft: "az-a", GRPC: "a:7401"}, {Node: "az-b", Raft: "az-b", GRPC: "b:7401"}, {Node: "az-c", Raft: "az-c", GRPC: "c:7401"}}

func newSite(t *testing.T, root, copies string) *site {
	s := &site{t: t, root: root, copies: copies, up: map[failover.NodeID]*Bootstrap{}}
	for _, p := range siteList {
		if err := os.MkdirAll(s.folder(p.Node), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func (s *site) folder(node failover.NodeID) string { return filepath.Join(s.root, string(node)) }

// writing does a write and keeps a copy of all files as they are then.
func (s *site) writing(node failover.NodeID, what string, write func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := write(); err != nil || s.copies == "" {
		return err
	}
	copied := filepath.Join(s.copies, strconv.Itoa(len(s.states)))
	if err := os.CopyFS(copied, os.DirFS(s.root)); err != nil {
		return err
	}
	s.states, s.wrote = append(s.states, copied), append(s.wrote, string(node)+" has "+what)
	return nil
}

// watchedMark, watchedStable and watchedLog are a disk whose writes are told to the site.
type watchedMark struct {
	fileMark
	site *site
	node failover.NodeID
}

func (m watchedMark) write(next mark) error {
	return m.site.writing(m.node, "the mark "+string(next.State), func() error { return m.fileMark.write(next) })
}

type watchedStable struct {
	raft.StableStore
	site *site
	node failover.NodeID
}

func (w watchedStable) Set(key, value []byte) error {
	return w.site.writing(w.node, string(key), func() error { return w.StableStore.Set(key, value) })
}

func (w watchedStable) SetUint64(key []byte, value uint64) error {
	return w.site.writing(w.node, string(key), func() error { return w.StableStore.SetUint64(key, value) })
}

type watchedLog struct {
	raft.LogStore
	site *site
	node failover.NodeID
}

func (w watchedLog) StoreLog(entry *raft.Log) error {
	return w.site.writing(w.node, "the first entry", func() error { return w.LogStore.StoreLog(entry) })
}

// BootstrapStatus asks an arbiter of the site.
func (s *site) BootstrapStatus(_ context.Context, peer failover.NodeID) (BootstrapStatus, error) {
	s.mu.Lock()
	b := s.up[peer]
	s.mu.Unlock()
	if b == nil {
		return BootstrapStatus{}, errors.New("connection refused")
	}
	return b.Status(), nil
}

// found is what came of an arbiter's way into its cluster.
type found struct {
	id      string
	err     error
	storage *Storage
}

// start lets all arbiters find their cluster. Whoever waits for somebody in vain gives up after a while.
func (s *site) start() map[failover.NodeID]found {
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	result := map[failover.NodeID]found{}
	var running sync.WaitGroup
	for _, p := range siteList {
		storage, b, err := s.open(p.Node)
		if err != nil {
			result[p.Node] = found{err: err}
			continue
		}
		s.mu.Lock()
		s.up[p.Node] = b
		s.mu.Unlock()
		running.Go(func() {
			id, err := b.Run(ctx)
			s.mu.Lock()
			defer s.mu.Unlock()
			result[p.Node] = found{id, err, storage}
		})
	}
	running.Wait()
	return result
}

func (s *site) open(node failover.NodeID) (*Storage, *Bootstrap, error) {
	storage, err := OpenStorage(filepath.Join(s.folder(node), "raft"), quiet())
	if err != nil {
		return nil, nil, err
	}
	storage.Stable, storage.Log = watchedStable{storage.Stable, s, node}, watchedLog{storage.Log, s, node}
	b, err := newBootstrap(BootstrapOptions{
		Node: node, List: siteList, Folder: s.folder(node), Storage: storage, Peers: s, Clock: clock.Monotonic(), Log: quiet(),
	}, watchedMark{fileMark{folder: s.folder(node)}, s, node})
	if err != nil {
		return nil, nil, errors.Join(err, storage.Close())
	}
	return storage, b, nil
}

// closeAll closes the files of arbiters that run nothing.
func closeAll(t *testing.T, all map[failover.NodeID]found) {
	t.Helper()
	for node, f := range all {
		if f.storage == nil {
			continue
		}
		if err := f.storage.Close(); err != nil {
			t.Errorf("%s: %v", node, err)
		}
	}
}

// formed is the site of a cluster that has formed, with all that was on the disks meanwhile.
func formed(t *testing.T) (*site, string) {
	t.Helper()
	var s *site
	var id string
	copies := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s = newSite(t, t.TempDir(), copies)
		all := s.start()
		for node, f := range all {
			if f.err != nil || id != "" && f.id != id {
				t.Fatalf("%s found %q beside %q: %v", node, f.id, id, f.err)
			}
			id = f.id
		}
		closeAll(t, all)
	})
	const writes = 5 // of each arbiter: a mark, three into Raft's files, a mark
	if len(s.states) != writes*len(siteList) {
		t.Fatalf("%d writes: %v", len(s.states), s.wrote)
	}
	return s, id
}

// lead starts Raft on the disks of those who found their cluster, and waits until one leads and all have an entry of it.
func lead(t *testing.T, all map[failover.NodeID]found) {
	t.Helper()
	c := &testCluster{
		t: t, timing: lan(), clock: clock.Monotonic(), network: newFaultNetwork(),
		nodes: map[raft.ServerID]*RaftNode{}, journals: map[raft.ServerID]*journal{}, disks: map[raft.ServerID]*slowLog{},
	}
	defer c.close()
	for _, p := range siteList {
		if all[p.Node].err != nil {
			continue
		}
		c.ids = append(c.ids, raft.ServerID(p.Node))
		c.start(raft.ServerID(p.Node), all[p.Node].storage)
	}
	if _, _, err := c.leader().Apply([]byte("of one cluster"), time.Minute); err != nil {
		t.Fatal(err)
	}
	for _, id := range c.ids {
		c.eventually("the entry on "+string(id), func() bool { return slices.Equal(c.journals[id].all(), []string{"of one cluster"}) })
	}
}

// All processes die between two steps of some of them, as where a site loses its power: they start again, and form the one cluster that they
// were about to form.
func TestBootstrap_AllDieBetweenTwoSteps(t *testing.T) {
	before, id := formed(t)
	for i, state := range before.states {
		t.Run(fmt.Sprintf("%02d %s", i, before.wrote[i]), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				all := newSite(t, state, "").start()
				for node, f := range all {
					if f.err != nil || f.id != id {
						t.Fatalf("%s found %q, and the cluster was to be %q: %v", node, f.id, id, f.err)
					}
				}
				lead(t, all)
			})
		})
	}
}

// One dies between two of its steps, and the others go on and form the cluster. It joins them if it had promised to, and otherwise, as if its
// disk was lost, says what to do.
func TestBootstrap_OneDiesBetweenTwoSteps(t *testing.T) {
	before, id := formed(t)
	for _, p := range siteList {
		for i, state := range append([]string{t.TempDir()}, before.states...) {
			if i > 0 && !strings.HasPrefix(before.wrote[i-1], string(p.Node)) {
				continue
			}
			t.Run(fmt.Sprintf("%02d %s", i, p.Node), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newSite(t, t.TempDir(), "")
					for _, other := range siteList {
						from := before.states[len(before.states)-1]
						if other.Node == p.Node {
							from = state
						}
						copyFolder(t, filepath.Join(from, string(other.Node)), s.folder(other.Node))
					}
					all := s.start()
					for node, f := range all {
						if i == 0 && node == p.Node {
							if !errors.Is(f.err, ErrClusterExists) || !strings.Contains(f.err.Error(), "leave this arbiter stopped") {
								t.Errorf("%s, which had promised nothing: %q, %v", node, f.id, f.err)
							}
						} else if f.err != nil || f.id != id {
							t.Fatalf("%s found %q, and the cluster is %q: %v", node, f.id, id, f.err)
						}
					}
					lead(t, all)
				})
			})
		}
	}
}

// copyFolder copies what is in one folder, if it is there, to another one.
func copyFolder(t *testing.T, from, to string) {
	t.Helper()
	if _, err := os.Stat(from); errors.Is(err, os.ErrNotExist) {
		return
	}
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}
