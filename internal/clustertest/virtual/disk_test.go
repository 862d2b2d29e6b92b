package virtual_test

import (
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/arbiter-ha/arbiter/internal/clustertest/virtual"
)

// store writes entries one by one.
func store(t *testing.T, d *virtual.Disk, indexes ...uint64) {
	t.Helper()
	for _, i := range indexes {
		if err := d.StoreLog(&raft.Log{Index: i, Term: 1}); err != nil {
			t.Fatal(err)
		}
	}
}

func bounds(t *testing.T, d *virtual.Disk) [2]uint64 {
	t.Helper()
	first, err := d.FirstIndex()
	if err != nil {
		t.Fatal(err)
	}
	last, err := d.LastIndex()
	if err != nil {
		t.Fatal(err)
	}
	return [2]uint64{first, last}
}

// What a dead run still writes is not there for the next one.
func TestDisk_LeavesWhatWasWritten(t *testing.T) {
	heard := 0
	d := virtual.NewDisk(func(*raft.Log) { heard++ })
	store(t, d, 1, 2, 3)
	if err := d.SetUint64([]byte("CurrentTerm"), 7); err != nil {
		t.Fatal(err)
	}
	next := d.Leave()
	store(t, d, 4)
	if err := d.SetUint64([]byte("CurrentTerm"), 8); err != nil {
		t.Fatal(err)
	}
	if term, err := next.GetUint64([]byte("CurrentTerm")); err != nil || term != 7 {
		t.Errorf("the copy has term %d, %v", term, err)
	}
	if got := bounds(t, next); got != [2]uint64{1, 3} {
		t.Errorf("the copy has entries %v", got)
	}
	if heard != 3 {
		t.Errorf("heard of %d entries", heard)
	}
	if _, err := next.GetUint64([]byte("LastVoteTerm")); err == nil {
		t.Error("a key that was never set is found")
	}
}

func TestDisk_DeletesBothEnds(t *testing.T) {
	d := virtual.NewDisk(func(*raft.Log) {})
	store(t, d, 1, 2, 3, 4, 5)
	for _, test := range []struct {
		from, to uint64
		want     [2]uint64
	}{{5, 5, [2]uint64{1, 4}}, {1, 2, [2]uint64{3, 4}}, {3, 4, [2]uint64{0, 0}}} {
		if err := d.DeleteRange(test.from, test.to); err != nil {
			t.Fatal(err)
		}
		if got := bounds(t, d); got != test.want {
			t.Errorf("without %d to %d there are %v, want %v", test.from, test.to, got, test.want)
		}
	}
}

func TestDisk_SlowAndHung(t *testing.T) {
	virtual.Run(t, func(t *testing.T) {
		d := virtual.NewDisk(func(*raft.Log) {})
		d.Slow(time.Second)
		began := time.Now()
		store(t, d, 1)
		if took := time.Since(began); took != time.Second {
			t.Errorf("a slow write took %v", took)
		}
		d.Slow(0)
		goOn := d.Hang()
		time.AfterFunc(time.Hour, goOn)
		began = time.Now()
		store(t, d, 2)
		if took := time.Since(began); took != time.Hour {
			t.Errorf("a hung write took %v", took)
		}
		goOn()
		store(t, d, 3) // and nothing hangs any more
	})
}
