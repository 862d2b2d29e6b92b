package arbiter

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
	"google.golang.org/grpc/status"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/clock"
)

var threeArbiters = []Peer{
	{Node: "az-a", Raft: "a:7400", GRPC: "a:7401"},
	{Node: "az-b", Raft: "b:7400", GRPC: "b:7401"},
	{Node: "az-c", Raft: "[2001:db8::c]:7400", GRPC: "[2001:db8::c]:7401"},
}

// standing is a status in short: node, state and id.
func standing(node failover.NodeID, state BootstrapState, id string) BootstrapStatus {
	list := describeList(threeArbiters)
	return BootstrapStatus{Node: node, State: state, ClusterID: id, ListHash: hashList(list), List: list}
}

func TestDecideBootstrap(t *testing.T) {
	silent := errors.New("no route")
	answer := func(node failover.NodeID, state BootstrapState, id string) bootstrapAnswer {
		return bootstrapAnswer{peer: node, status: standing(node, state, id)}
	}
	noAnswer := func(node failover.NodeID) bootstrapAnswer { return bootstrapAnswer{peer: node, err: silent} }
	distrusted := func(node failover.NodeID) bootstrapAnswer {
		return bootstrapAnswer{peer: node, err: fmt.Errorf("%w: it is of cluster %q", ErrNotTrusted, "other")}
	}
	otherList := answer("az-c", BootstrapEmpty, "")
	otherList.status.ListHash, otherList.status.List = "x", "az-c alone"
	mistaken := answer("az-b", BootstrapEmpty, "")
	mistaken.peer = "az-c"
	const empty, prepared, member = BootstrapEmpty, BootstrapPrepared, BootstrapMember

	tests := []struct {
		name    string
		self    BootstrapStatus
		answers []bootstrapAnswer
		action  bootstrapAction
		id      string
		err     error
		says    string
	}{
		{"lowest names the cluster", standing("az-a", empty, ""), []bootstrapAnswer{answer("az-b", empty, ""), answer("az-c", empty, "")}, bootstrapPrepare, "", nil, "lowest"},
		{"others wait for the lowest", standing("az-b", empty, ""), []bootstrapAnswer{answer("az-a", empty, ""), answer("az-c", empty, "")}, bootstrapWait, "", nil, "waiting for az-a"},
		{"the lowest waits for all", standing("az-a", empty, ""), []bootstrapAnswer{answer("az-b", empty, ""), noAnswer("az-c")}, bootstrapWait, "", nil, "az-c (no route)"},
		{"takes over an id", standing("az-b", empty, ""), []bootstrapAnswer{answer("az-a", prepared, "1"), answer("az-c", empty, "")}, bootstrapPrepare, "1", nil, "az-a is prepared"},
		{"takes over an id only if all answer", standing("az-b", empty, ""), []bootstrapAnswer{answer("az-a", prepared, "1"), noAnswer("az-c")}, bootstrapWait, "", nil, "az-c"},
		{"the lowest takes over too", standing("az-a", empty, ""), []bootstrapAnswer{answer("az-b", prepared, "1"), answer("az-c", prepared, "1")}, bootstrapPrepare, "1", nil, ""},
		{"prepared waits for the rest", standing("az-a", prepared, "1"), []bootstrapAnswer{answer("az-b", prepared, "1"), answer("az-c", empty, "")}, bootstrapWait, "", nil, "until prepared: az-c"},
		{"prepared waits for the silent", standing("az-a", prepared, "1"), []bootstrapAnswer{answer("az-b", prepared, "1"), noAnswer("az-c")}, bootstrapWait, "", nil, "az-c"},
		{"all prepared", standing("az-a", prepared, "1"), []bootstrapAnswer{answer("az-b", prepared, "1"), answer("az-c", prepared, "1")}, bootstrapJoin, "1", nil, "all arbiters are prepared"},
		{"a member is proof for the prepared", standing("az-a", prepared, "1"), []bootstrapAnswer{answer("az-b", member, "1"), noAnswer("az-c")}, bootstrapJoin, "1", nil, "az-b is a member"},
		{"also beside a wiped one", standing("az-a", prepared, "1"), []bootstrapAnswer{answer("az-b", member, "1"), answer("az-c", empty, "")}, bootstrapJoin, "1", nil, ""},
		{"wiped", standing("az-a", empty, ""), []bootstrapAnswer{answer("az-b", member, "1"), answer("az-c", member, "1")}, bootstrapRefuse, "", ErrClusterExists, "leave this arbiter stopped"},
		{"wiped, one member answers", standing("az-a", empty, ""), []bootstrapAnswer{noAnswer("az-b"), answer("az-c", member, "1")}, bootstrapRefuse, "", ErrClusterExists, "az-c is a member of cluster 1"},
		{"wiped, nobody answers", standing("az-a", empty, ""), []bootstrapAnswer{noAnswer("az-b"), noAnswer("az-c")}, bootstrapWait, "", nil, "az-b (no route), az-c"},
		{"two ids", standing("az-a", prepared, "1"), []bootstrapAnswer{answer("az-b", prepared, "2"), answer("az-c", empty, "")}, bootstrapRefuse, "", ErrOtherClusterID, "az-a for 1, az-b for 2"},
		{"two ids seen by an empty one", standing("az-c", empty, ""), []bootstrapAnswer{answer("az-a", prepared, "1"), answer("az-b", prepared, "2")}, bootstrapRefuse, "", ErrOtherClusterID, "az-a for 1, az-b for 2"},
		{"prepared for another cluster than exists", standing("az-a", prepared, "1"), []bootstrapAnswer{answer("az-b", member, "2"), noAnswer("az-c")}, bootstrapRefuse, "", ErrOtherClusterID, "prepared for cluster 1"},
		{"lists differ", standing("az-a", empty, ""), []bootstrapAnswer{answer("az-b", empty, ""), otherList}, bootstrapRefuse, "", ErrListsDiffer, "az-c has az-c alone"},
		{"lists differ, own shown too", standing("az-a", empty, ""), []bootstrapAnswer{otherList, noAnswer("az-b")}, bootstrapRefuse, "", ErrListsDiffer, "az-a has az-a (raft a:7400, grpc a:7401)"},
		{"addresses mixed up", standing("az-a", empty, ""), []bootstrapAnswer{answer("az-b", empty, ""), mistaken}, bootstrapRefuse, "", ErrWrongPeer, "address of az-c is answered by az-b"},
		{"a member starts alone", standing("az-a", member, "1"), []bootstrapAnswer{noAnswer("az-b"), noAnswer("az-c")}, bootstrapJoin, "1", nil, ""},
		{"a member starts beside one of another cluster", standing("az-a", member, "1"), []bootstrapAnswer{answer("az-b", member, "1"), answer("az-c", member, "2")}, bootstrapJoin, "1", nil, ""},
		{"a member among another cluster", standing("az-a", member, "1"), []bootstrapAnswer{answer("az-b", member, "2"), answer("az-c", member, "2")}, bootstrapRefuse, "", ErrOtherClusterID, "it is of cluster 1, and az-b is a member of cluster 2"},
		{"a member, and one of another cluster", standing("az-a", member, "1"), []bootstrapAnswer{answer("az-b", member, "2"), noAnswer("az-c")}, bootstrapRefuse, "", ErrPeerOfOtherCluster, "this one is of cluster 1, and az-b is a member of cluster 2"},
		{"a member whatever the lists say", standing("az-a", member, "1"), []bootstrapAnswer{otherList, answer("az-b", empty, "")}, bootstrapJoin, "1", nil, ""},
		{"no other one trusts it", standing("az-a", empty, ""), []bootstrapAnswer{distrusted("az-b"), distrusted("az-c")}, bootstrapRefuse, "", ErrNotTrusted, `az-b (certificates don't go together: it is of cluster "other"); az-c`},
		{"one of two trusts it", standing("az-a", empty, ""), []bootstrapAnswer{distrusted("az-b"), answer("az-c", empty, "")}, bootstrapWait, "", nil, "waiting for an answer of az-b (certificates don't go together)"},
		{"one is silent, another does not trust it", standing("az-a", empty, ""), []bootstrapAnswer{distrusted("az-b"), noAnswer("az-c")}, bootstrapWait, "", nil, "az-c (no route)"},
		{"a member starts, whoever trusts it", standing("az-a", member, "1"), []bootstrapAnswer{distrusted("az-b"), distrusted("az-c")}, bootstrapJoin, "1", nil, ""},
		{"one arbiter alone", standing("az-a", empty, ""), nil, bootstrapPrepare, "", nil, ""},
		{"one prepared arbiter alone", standing("az-a", prepared, "1"), nil, bootstrapJoin, "1", nil, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := decideBootstrap(test.self, test.answers)
			if got.action != test.action || got.clusterID != test.id || !errors.Is(got.err, test.err) || (got.err != nil) != (test.err != nil) {
				t.Errorf("decided %+v, want action %d, id %q, error %v", got, test.action, test.id, test.err)
			}
			if !strings.Contains(got.why, test.says) || got.why == "" {
				t.Errorf("%q doesn't say %q", got.why, test.says)
			}
		})
	}
}

func TestCheckList(t *testing.T) {
	twice := append(slices.Clone(threeArbiters), Peer{Node: "az-d", Raft: "a:7400", GRPC: "d:7401"})
	if err := checkList("az-a", twice); err == nil || !strings.Contains(err.Error(), "same raft address a:7400") {
		t.Errorf("two with one address: %v", err)
	}
	if err := checkList("az-z", threeArbiters); err == nil || !strings.Contains(err.Error(), "az-z, is not on it") {
		t.Errorf("not on the list: %v", err)
	}
	turned := slices.Clone(threeArbiters)
	slices.Reverse(turned)
	if describeList(turned) != describeList(threeArbiters) {
		t.Error("the order of a list makes it another one")
	}
}

// peersFunc is a fake of one function.
type peersFunc func(ctx context.Context, peer failover.NodeID) (BootstrapStatus, error)

func (f peersFunc) BootstrapStatus(ctx context.Context, peer failover.NodeID) (BootstrapStatus, error) {
	return f(ctx, peer)
}

func TestNewBootstrap_RefusesADirectoryThatDoesNotFit(t *testing.T) {
	options := func(folder string, storage *Storage) BootstrapOptions {
		return BootstrapOptions{Node: "az-a", List: threeArbiters, Folder: folder, Storage: storage, Clock: clock.System(), Log: quiet()}
	}
	writeMark := func(t *testing.T, folder string, change func(*mark)) {
		self := standing("az-a", BootstrapMember, "1")
		m := mark{Node: "az-a", ClusterID: "1", State: BootstrapMember, ListHash: self.ListHash, List: self.List}
		change(&m)
		if err := (fileMark{folder}).write(m); err != nil {
			t.Fatal(err)
		}
	}
	begun := func(t *testing.T, s *Storage, id string) {
		if err := s.bootstrap(id, raftServers(threeArbiters)); err != nil {
			t.Fatal(err)
		}
	}
	tests := map[string]struct {
		make func(t *testing.T, folder string, s *Storage)
		want error
		says string
	}{
		"nothing":                {func(*testing.T, string, *Storage) {}, nil, ""},
		"member":                 {func(t *testing.T, f string, s *Storage) { begun(t, s, "1"); writeMark(t, f, func(*mark) {}) }, nil, ""},
		"log without mark":       {func(t *testing.T, _ string, s *Storage) { begun(t, s, "1") }, ErrBadMark, "cluster.json is gone"},
		"mark without log":       {func(t *testing.T, f string, _ *Storage) { writeMark(t, f, func(*mark) {}) }, ErrBadMark, "its Raft log memory is gone"},
		"log of another cluster": {func(t *testing.T, f string, s *Storage) { begun(t, s, "2"); writeMark(t, f, func(*mark) {}) }, ErrOtherClusterID, "2, and not 1"},
		"another arbiter's directory": {func(t *testing.T, f string, s *Storage) {
			begun(t, s, "1")
			writeMark(t, f, func(m *mark) { m.Node = "az-b" })
		}, ErrBadMark, "of arbiter az-b, and this is az-a"},
		"prepared with another list": {func(t *testing.T, f string, _ *Storage) {
			writeMark(t, f, func(m *mark) { m.State, m.ListHash, m.List = BootstrapPrepared, "x", "az-x" })
		}, ErrListsDiffer, "prepared with az-x"},
		"member with another list": {func(t *testing.T, f string, s *Storage) {
			begun(t, s, "1")
			writeMark(t, f, func(m *mark) { m.ListHash, m.List = "x", "az-x" })
		}, nil, ""},
		"unknown state": {func(t *testing.T, f string, _ *Storage) { writeMark(t, f, func(m *mark) { m.State = "king" }) }, ErrBadMark, "known state; don't repair or restore it: leave this arbiter stopped"},
		"garbage":       {func(_ *testing.T, f string, _ *Storage) { os.WriteFile(filepath.Join(f, markFile), []byte("{"), 0o600) }, ErrBadMark, markFile + " can't be read (unexpected EOF); don't repair or restore it: leave this arbiter stopped"},
		"a mark of a later version": {func(_ *testing.T, f string, _ *Storage) {
			os.WriteFile(filepath.Join(f, markFile), []byte(`{"format":2}`), 0o600)
		}, ErrBadMark, "format 2"},
		"a field of a later version": {func(_ *testing.T, f string, _ *Storage) {
			os.WriteFile(filepath.Join(f, markFile), []byte(`{"crown":1}`), 0o600)
		}, ErrBadMark, "crown"},
		"prepared, then died midway": {func(t *testing.T, f string, s *Storage) {
			begun(t, s, "1")
			writeMark(t, f, func(m *mark) { m.State = BootstrapPrepared })
		}, nil, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			folder, storage := t.TempDir(), MemoryStorage()
			test.make(t, folder, storage)
			_, err := NewBootstrap(options(folder, storage))
			if !errors.Is(err, test.want) || (err != nil) != (test.want != nil) {
				t.Fatalf("NewBootstrap = %v, want %v", err, test.want)
			}
			if err != nil && !strings.Contains(err.Error(), test.says) {
				t.Errorf("%q doesn't say %q", err, test.says)
			}
			if file := filepath.Join(folder, markFile); err != nil && !errors.Is(err, ErrListsDiffer) && !strings.Contains(err.Error(), file) {
				t.Errorf("%q doesn't name %s", err, file)
			}
		})
	}
}

// Scenario 57: the wiped arbiter refuses by itself, and says what to do.
func TestScenario57_WipedArbiterNeitherFormsNorVotes(t *testing.T) {
	b, err := NewBootstrap(BootstrapOptions{
		Node: "az-c", List: threeArbiters, Folder: t.TempDir(), Storage: MemoryStorage(), Clock: clock.System(), Log: quiet(),
		Peers: peersFunc(func(_ context.Context, peer failover.NodeID) (BootstrapStatus, error) {
			if peer == "az-a" {
				return BootstrapStatus{}, errors.New("down")
			}
			return standing(peer, BootstrapMember, "1"), nil
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Run(t.Context()); !errors.Is(err, ErrClusterExists) {
		t.Fatalf("Run = %v, want ErrClusterExists", err)
	}
	_, err = StartRaft(RaftOptions{
		ID: "az-c", Timing: lan(), Storage: b.options.Storage, FSM: &journal{}, Clock: clock.System(), Log: quiet(),
		Transport: NewStampingTransport(newFaultNetwork().join("az-c"), clock.System()),
	})
	if !errors.Is(err, ErrStorageEmpty) {
		t.Errorf("StartRaft = %v, want ErrStorageEmpty", err)
	}
}

// Who meets another cluster is told which directory makes this arbiter one of its own.
func TestRun_AmongAnotherCluster_NamesTheDirectory(t *testing.T) {
	folder := t.TempDir()
	self := standing("az-a", BootstrapPrepared, "1")
	if err := (fileMark{folder}).write(mark{Node: "az-a", ClusterID: "1", State: BootstrapPrepared, ListHash: self.ListHash, List: self.List}); err != nil {
		t.Fatal(err)
	}
	b, err := NewBootstrap(BootstrapOptions{
		Node: "az-a", List: threeArbiters, Folder: folder, Storage: MemoryStorage(), Clock: clock.System(), Log: quiet(),
		Peers: peersFunc(func(_ context.Context, peer failover.NodeID) (BootstrapStatus, error) {
			return standing(peer, BootstrapMember, "2"), nil
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Run(t.Context()); !errors.Is(err, ErrOtherClusterID) || !strings.Contains(err.Error(), "the data directory here is "+folder) {
		t.Errorf("Run = %v, want ErrOtherClusterID with %s", err, folder)
	}
}

// Whoever asks an arbiter on its way into the cluster is told whom it waits for.
func TestRun_TellsWhatItWaitsFor(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	rounds := 0
	b, err := NewBootstrap(BootstrapOptions{
		Node: "az-a", List: threeArbiters, Folder: t.TempDir(), Storage: MemoryStorage(), Clock: clock.System(), Log: quiet(),
		Peers: peersFunc(func(_ context.Context, peer failover.NodeID) (BootstrapStatus, error) {
			if peer == "az-c" {
				if rounds++; rounds == 2 { // the first has been judged by now
					cancel()
				}
				return BootstrapStatus{}, errors.New("no route to host")
			}
			return standing(peer, BootstrapEmpty, ""), nil
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	n := &Node{options: Options{Node: "az-a"}}
	ask := func() string {
		return status.Convert((&apiServer{node: n, serving: make(chan struct{})}).mayServe("/x/GetStatus")).Message()
	}
	if said := ask(); said != "az-a has not joined its cluster yet: it reads its disk" {
		t.Errorf("at first: %s", said)
	}
	n.boot = b
	if said := ask(); said != "az-a has not joined its cluster yet: asking the other arbiters" {
		t.Errorf("then: %s", said)
	}
	if _, err := b.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if said := ask(); said != "az-a has not joined its cluster yet: waiting for an answer of az-c (no route to host)" {
		t.Errorf("after a round: %s", said)
	}
}

func TestJoin_UnderANewName(t *testing.T) {
	list := append(slices.Clone(threeArbiters), Peer{Node: "az-d", Raft: "d:7400", GRPC: "d:7401"})
	options := BootstrapOptions{
		Node: "az-d", List: list, Folder: t.TempDir(), Storage: MemoryStorage(), Clock: clock.System(), Log: quiet(),
		Peers: peersFunc(func(_ context.Context, peer failover.NodeID) (BootstrapStatus, error) {
			return standing(peer, BootstrapMember, "1"), nil
		}),
	}
	b, err := NewBootstrap(options)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Join(""); err == nil {
		t.Error("Join without an id succeeded")
	}
	for range 2 {
		if err := b.Join("1"); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Join("2"); !errors.Is(err, ErrBadMark) || !strings.Contains(err.Error(), filepath.Join(options.Folder, markFile)) {
		t.Errorf("Join of a second cluster = %v, want ErrBadMark with the file", err)
	}
	again, err := NewBootstrap(options)
	if err != nil {
		t.Fatal(err)
	}
	if id, err := again.Run(t.Context()); err != nil || id != "1" {
		t.Errorf("Run after Join = %q, %v", id, err)
	}
	if servers, _ := options.Storage.Log.LastIndex(); servers != 0 {
		t.Error("a joining arbiter wrote a log of its own")
	}
}

// A bootstrap world: machines with disks, processes that die at every write and come back, a network that loses and
// delays, and now and then a disk that is lost.

var errDied = errors.New("the process died")

// machine is one arbiter's hardware.
type machine struct {
	mu      sync.Mutex
	world   *world
	node    failover.NodeID
	running *Bootstrap // nil: the process is down
	mark    mark
	marked  bool
	storage *Storage
	ran     []time.Duration // when Raft was started on the present disk
	wiped   time.Duration   // when the disk was lost; 0: never
	before  []time.Duration // when Raft was started on the lost disk
	lastErr error
	kill    context.CancelFunc // ends the present process
}

type world struct {
	mu       sync.Mutex
	random   *rand.Rand
	clock    clock.Clock
	machines map[failover.NodeID]*machine
	deaths   int // that are still allowed
	ids      map[string]bool
}

func (w *world) chance(n int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.random.IntN(n)
}

// dies says whether the process dies here.
func (w *world) dies() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.deaths == 0 || w.random.IntN(4) != 0 {
		return false
	}
	w.deaths--
	return true
}

// guarded does a write, before or after which the process may die.
func (w *world) guarded(write func() error) error {
	if w.dies() {
		return errDied
	}
	if err := write(); err != nil {
		return err
	}
	if w.dies() {
		return errDied
	}
	return nil
}

// diskMark is a machine's mark as one process sees it. Once the disk was lost the process is gone too.
type diskMark struct {
	m    *machine
	disk *Storage
}

func (d diskMark) read() (mark, bool, error) {
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	return d.m.mark, d.m.marked, nil
}

func (d diskMark) write(next mark) error {
	return d.m.world.guarded(func() error {
		d.m.mu.Lock()
		defer d.m.mu.Unlock()
		if d.disk != d.m.storage {
			return errDied
		}
		d.m.mark, d.m.marked = next, true
		return nil
	})
}

type mortalStore struct {
	*raft.InmemStore
	world *world
}

func (s mortalStore) Set(key, value []byte) error {
	return s.world.guarded(func() error { return s.InmemStore.Set(key, value) })
}

func (s mortalStore) SetUint64(key []byte, value uint64) error {
	return s.world.guarded(func() error { return s.InmemStore.SetUint64(key, value) })
}

func (s mortalStore) StoreLog(entry *raft.Log) error {
	return s.world.guarded(func() error { return s.InmemStore.StoreLog(entry) })
}

func (m *machine) newDisk() {
	store := mortalStore{raft.NewInmemStore(), m.world}
	storage, err := newStorage("memory", store, raft.NewInmemSnapshotStore(), func() error { return nil })
	if err != nil {
		panic(err)
	}
	m.mark, m.marked, m.storage = mark{}, false, storage
}

// live runs processes on a machine, one after the other, until the context ends.
func (m *machine) live(ctx context.Context, start time.Duration) {
	_ = m.world.clock.WaitUntil(ctx, start)
	for ctx.Err() == nil {
		m.mu.Lock()
		process, kill := context.WithCancel(ctx)
		m.kill = kill
		storage := m.storage
		m.mu.Unlock()
		b, err := newBootstrap(BootstrapOptions{Node: m.node, List: threeArbiters, Storage: storage, Clock: m.world.clock, Log: quiet(), Peers: m}, diskMark{m, storage})
		if err == nil {
			m.mu.Lock()
			m.running = b
			m.mu.Unlock()
			err = m.run(process, b)
		}
		m.mu.Lock()
		m.running, m.lastErr = nil, err
		m.mu.Unlock()
		kill()
		_ = clock.Wait(ctx, m.world.clock, time.Duration(1+m.world.chance(700))*time.Millisecond)
	}
}

// run is one process: it finds its cluster, starts Raft, and lives for a while.
func (m *machine) run(ctx context.Context, b *Bootstrap) error {
	id, err := b.Run(ctx)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if b.options.Storage != m.storage {
		return errDied // its disk was taken away while it wrote
	}
	m.ran = append(m.ran, m.world.clock.Boot())
	m.world.mu.Lock()
	m.world.ids[id] = true
	m.world.mu.Unlock()
	m.mu.Unlock()
	limit := time.Hour
	if m.world.dies() {
		limit = time.Duration(m.world.chance(1000)) * time.Millisecond
	}
	_ = clock.Wait(ctx, m.world.clock, limit)
	m.mu.Lock()
	return errDied
}

// BootstrapStatus asks another machine over the network.
func (m *machine) BootstrapStatus(ctx context.Context, peer failover.NodeID) (BootstrapStatus, error) {
	travel := func() error {
		if m.world.chance(10) == 0 {
			return errLost
		}
		return clock.Wait(ctx, m.world.clock, time.Duration(m.world.chance(300))*time.Millisecond)
	}
	if err := travel(); err != nil {
		return BootstrapStatus{}, err
	}
	other := m.world.machines[peer]
	other.mu.Lock()
	running := other.running
	other.mu.Unlock()
	if running == nil {
		return BootstrapStatus{}, errors.New("connection refused")
	}
	status := running.Status()
	return status, travel()
}

// wipe loses a machine's disk, and with it the process.
func (m *machine) wipe() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wiped, m.before, m.ran = m.world.clock.Boot(), m.ran, nil
	m.running = nil
	if m.kill != nil {
		m.kill()
	}
	m.newDisk()
}

func TestBootstrap_SurvivesDeathsDelaysAndAWipedDisk(t *testing.T) {
	formed, stopped := 0, 0
	for seed := range uint64(100) {
		synctest.Test(t, func(t *testing.T) {
			w := &world{random: rand.New(rand.NewPCG(seed, 2)), clock: clock.Monotonic(), machines: map[failover.NodeID]*machine{}, deaths: int(seed % 12), ids: map[string]bool{}}
			for _, peer := range threeArbiters {
				w.machines[peer.Node] = &machine{world: w, node: peer.Node}
				w.machines[peer.Node].newDisk()
			}
			ctx, stop := context.WithCancel(t.Context())
			var living sync.WaitGroup
			for i, peer := range threeArbiters {
				start := time.Duration(w.chance(500)) * time.Millisecond
				if seed%5 == 0 && i == int(seed/5)%3 {
					start = 30 * time.Second // one is late
				}
				living.Go(func() { w.machines[peer.Node].live(ctx, start) })
			}
			wipes := seed%2 == 1
			if wipes {
				late := time.Duration(seed/2%2) * 5 * time.Second // half of them while the cluster forms, half when it usually runs
				wait(t, w.clock, late+time.Duration(w.chance(3000))*time.Millisecond)
				victim := w.machines[threeArbiters[w.chance(3)].Node]
				victim.wipe()
			}
			wait(t, w.clock, 90*time.Second)
			stop()
			living.Wait()
			w.judge(t, seed, wipes, &formed, &stopped)
		})
	}
	if formed < 40 || stopped == 0 {
		t.Errorf("%d clusters formed, %d wiped arbiters stopped: the test shows too little", formed, stopped)
	}
}

// judge checks what must hold in the end.
func (w *world) judge(t *testing.T, seed uint64, wipes bool, formed, stopped *int) {
	if len(w.ids) > 1 {
		t.Errorf("seed %d: Raft ran under several ids: %v", seed, w.ids)
	}
	running := 0
	for node, m := range w.machines {
		if len(m.ran) > 0 {
			running++
		}
		if len(m.before) == 0 {
			continue
		}
		othersRan := false
		for other, o := range w.machines {
			othersRan = othersRan || other != node && slices.ContainsFunc(o.ran, func(at time.Duration) bool { return at < m.wiped })
		}
		if othersRan && len(m.ran) > 0 {
			t.Errorf("seed %d: %s ran Raft at %v, lost its disk at %v beside others that ran, and ran Raft again at %v", seed, node, m.before, m.wiped, m.ran)
		}
		if othersRan {
			*stopped++
		}
	}
	if running == len(w.machines) {
		*formed++
	} else if !wipes {
		t.Errorf("seed %d: only %d of %d arbiters run after 90 s: %s", seed, running, len(w.machines), w.errors())
	}
}

func (w *world) errors() string {
	var all []string
	for node, m := range w.machines {
		all = append(all, fmt.Sprintf("%s: %v", node, m.lastErr))
	}
	slices.Sort(all)
	return strings.Join(all, "; ")
}
