package fsm

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"

	"github.com/arbiter-ha/arbiter/failover"
)

// A long search: go test -run Replicas -logs 1000 -seed 5000.
var (
	firstSeed = flag.Uint64("seed", 1, "the first seed of random logs")
	logs      = flag.Uint64("logs", 10, "how many random logs to try")
)

// truth is what every replica must agree on: the hash of the state and the events at every index.
type truth struct {
	t      *testing.T
	hashes map[failover.Index][sha256.Size]byte
	events map[failover.Index][]failover.Event
	kinds  map[failover.EventKind]int
}

// check compares what a replica published with what the first one published at that index.
func (u *truth) check(replica string, index failover.Index, state *failover.State, events []failover.Event, restored bool) {
	data, err := state.CanonicalBytes()
	if err != nil {
		u.t.Fatal(err)
	}
	hash := sha256.Sum256(data)
	if known, ok := u.hashes[index]; ok && known != hash {
		u.t.Fatalf("%s has other bytes at %d:\n%s", replica, index, data)
	}
	u.hashes[index] = hash
	if restored {
		return
	}
	if known, ok := u.events[index]; ok && !reflect.DeepEqual(known, events) {
		u.t.Fatalf("S13: %s: events at %d are %v, they were %v", replica, index, events, known)
	} else if !ok {
		for _, e := range events {
			u.kinds[e.Kind]++
		}
	}
	u.events[index] = events
}

// replica is one arbiter's share: how much of the log it applied, and its newest snapshot on disk.
type replica struct {
	name     string
	truth    *truth
	machine  *FSM
	applied  int
	snapshot []byte
	covers   int // entries that the snapshot holds
}

func newReplica(name string, u *truth) *replica {
	r := &replica{name: name, truth: u}
	r.machine = r.start()
	return r
}

// start is a process of the arbiter: an empty machine, then its snapshot if there is one.
func (r *replica) start() *FSM {
	restoring := r.snapshot != nil
	machine := New(Hooks{
		OnApplied: func(index failover.Index, state *failover.State, events []failover.Event) {
			r.truth.check(r.name, index, state, events, restoring)
		},
		Halt: func(err error) { r.truth.t.Fatalf("%s halted: %v", r.name, err) },
	})
	if r.snapshot != nil {
		if err := machine.Restore(readCloser(r.snapshot)); err != nil {
			r.truth.t.Fatal(err)
		}
	}
	restoring = false
	return machine
}

func (r *replica) catchUp(log []committed) {
	for ; r.applied < len(log); r.applied++ {
		if err, failed := log[r.applied].applyTo(r.machine).(error); failed {
			r.truth.t.Fatal(err)
		}
	}
}

func (r *replica) takeSnapshot() {
	r.snapshot, r.covers = persist(r.truth.t, r.machine), r.applied
}

func (r *replica) restart(log []committed) {
	applied := r.applied
	r.machine, r.applied = r.start(), r.covers
	r.catchUp(log[:applied])
}

// install is a follower that is too far behind and gets another's snapshot.
func (r *replica) install(from *replica) {
	if from.covers > r.applied {
		r.snapshot, r.covers = from.snapshot, from.covers
		r.machine, r.applied = r.start(), r.covers
	}
}

// TestReplicasHoldTheSameBytes applies one log on three replicas that lag, restart, take and install snapshots as
// chance has it. The hash of the canonical bytes must be the same on all of them at every index, in every replay too;
// and so must the events (S13).
func TestReplicasHoldTheSameBytes(t *testing.T) {
	if testing.Short() {
		*logs = min(*logs, 3)
	}
	reached := map[failover.EventKind]int{}
	for seed := range *logs {
		t.Run(fmt.Sprintf("seed %d", *firstSeed+seed), func(t *testing.T) { compareReplicas(t, *firstSeed+seed, reached) })
	}
	t.Logf("reached: %v", reached)
	for _, kind := range []failover.EventKind{
		failover.GroupAdopted, failover.QuorumConfirmed, failover.LeaseGranted, failover.IsolationProven, failover.CatchUpDone,
		failover.PromoteDone, failover.OperationHeld, failover.OperationReleased, failover.OperationEnded, failover.RogueSeen, failover.Rejected,
		failover.GroupUnadopted, failover.MemberRestarts,
	} {
		if reached[kind] == 0 && !t.Failed() && !testing.Short() {
			t.Errorf("no log ever gave a %s: the workload proves too little (%v)", kind, slices.Sorted(maps.Keys(reached)))
		}
	}
}

func compareReplicas(t *testing.T, seed uint64, reached map[failover.EventKind]int) {
	u := &truth{
		t: t, hashes: map[failover.Index][sha256.Size]byte{}, events: map[failover.Index][]failover.Event{}, kinds: reached,
	}
	w := newWorkload(t, seed)
	var log []committed
	replicas := make([]*replica, 3)
	for i := range replicas {
		replicas[i] = newReplica(fmt.Sprintf("replica %d", i), u)
	}
	first := replicas[0] // keeps up, and is what the authors of entries look at
	add := func(entry committed) {
		log = append(log, entry)
		first.catchUp(log)
		w.state = first.machine.State()
	}
	w.beginning(add)
	for range 150 {
		add(w.next())
		disturb(w, replicas, log)
	}
	for _, r := range replicas {
		r.catchUp(log)
		u.check(r.name, first.machine.State().Applied, r.machine.State(), nil, true)
	}
}

func disturb(w *workload, replicas []*replica, log []committed) {
	for i, r := range replicas {
		switch w.chance.IntN(60) {
		case 0:
			r.takeSnapshot()
		case 1:
			r.restart(log)
		case 2:
			if i > 0 {
				r.install(replicas[0])
			}
		case 3, 4, 5, 6, 7, 8, 9, 10, 11, 12:
			r.catchUp(log)
		}
	}
}
