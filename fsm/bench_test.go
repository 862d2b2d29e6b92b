package fsm

import (
	"fmt"
	"testing"

	"github.com/hashicorp/raft"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/fsm/wire"
	"github.com/arbiter-ha/arbiter/fsm/wire/wiretest"
)

const fleet = 1000 // groups of three members, seen by three arbiters

// wholeView is what one arbiter sends of the fleet after its view was void.
func wholeView(node failover.NodeID, sequence uint64) failover.Observe {
	sampled := wiretest.Batch().Observations
	batch := failover.Batch{Node: node, Incarnation: 1, Sequence: sequence, Whole: true, Version: 1}
	for g := range fleet {
		for m, member := range []failover.MemberName{"db1", "db2", "db3"} {
			look := sampled[min(m, 1)]
			look.Group, look.Member = failover.GroupName(fmt.Sprintf("group%04d", g)), member
			batch.Observations = append(batch.Observations, look)
		}
	}
	return failover.Observe{Batches: []failover.Batch{batch}}
}

func fleetMachine(b *testing.B) *FSM {
	machine := New(Hooks{Halt: func(err error) { b.Fatal(err) }})
	machine.StoreConfiguration(1, voters("a1", "a2", "a3"))
	machine.Apply(reign(b, 2, 1, "a1"))
	index := uint64(2)
	apply := func(body failover.Body) {
		index++
		machine.Apply(entryLog(b, index, 1, body, "a1"))
	}
	for g := range fleet {
		effective := wiretest.EffectiveSpec()
		effective.Group = fmt.Sprintf("group%04d", g)
		effective.Members = append(effective.Members, wiretest.EffectiveMember("db3", 80))
		for _, m := range effective.Members {
			m.Address = effective.Group + "-" + m.Address // a server belongs to one group
		}
		body, err := wire.NewApplySpec(failover.Request{}, wiretest.WrittenSpec(), effective, 0)
		if err != nil {
			b.Fatal(err)
		}
		apply(body)
	}
	for i, node := range []failover.NodeID{"a1", "a2", "a3"} {
		apply(wholeView(node, uint64(i+1)))
	}
	if groups := machine.State().Groups; len(groups) != fleet || len(groups[fleet-1].Looks) != 9 {
		b.Fatal("the fleet is not complete")
	}
	return machine
}

func BenchmarkCanonicalBytes1000Groups(b *testing.B) {
	state := fleetMachine(b).State()
	b.SetBytes(int64(len(canonical(b, state))))
	for b.Loop() {
		canonical(b, state)
	}
}

func BenchmarkPersist1000Groups(b *testing.B) {
	machine := fleetMachine(b)
	size := 0
	for b.Loop() {
		size = len(persist(b, machine))
	}
	b.ReportMetric(float64(size)/1e6, "MB")
}

func BenchmarkRestore1000Groups(b *testing.B) {
	data := persist(b, fleetMachine(b))
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if err := New(Hooks{}).Restore(readCloser(data)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncodeWholeView1000Groups(b *testing.B) {
	body := wholeView("a1", 1)
	for b.Loop() {
		if _, err := Encode(body, 1, "a1"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeWholeView1000Groups(b *testing.B) {
	log := entryLog(b, 1, 1, wholeView("a1", 1), "a1")
	b.SetBytes(int64(len(log.Data)))
	for b.Loop() {
		if _, _, err := Decode(log.Data); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkApplySmallEntry is the path of a failover: a lease renewal while 1,000 groups are protected.
func BenchmarkApplySmallEntry1000Groups(b *testing.B) {
	machine := fleetMachine(b)
	log := entryLog(b, 1, 1, failover.RenewLease{Group: "group0500", Holder: "a1", Epoch: 1}, "a1")
	index := uint64(machine.State().Applied)
	for b.Loop() {
		index++
		machine.Apply(&raft.Log{Index: index, Term: 1, Data: log.Data})
	}
}
