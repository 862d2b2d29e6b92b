package arbiter

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/hashicorp/raft"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/fsm"
	"github.com/arbiter-ha/arbiter/fsm/wire"
	"github.com/arbiter-ha/arbiter/fsm/wire/wiretest"
	"github.com/arbiter-ha/arbiter/internal/ownview"
)

// targetProber keeps what it was told to watch last.
type targetProber struct {
	troubled
	targets []Target
}

func (p *targetProber) SetTargets(targets []Target) { p.targets = targets }

// committedEntries applies entries, each by the arbiter that leads.
type committedEntries struct {
	t     *testing.T
	fsm   *fsm.FSM
	index uint64
}

func (c *committedEntries) apply(body failover.Body) {
	c.t.Helper()
	data, err := fsm.Encode(body, 0, "az-a")
	if err != nil {
		c.t.Fatal(err)
	}
	c.index++
	response, ok := c.fsm.Apply(&raft.Log{Type: raft.LogCommand, Index: c.index, Term: 1, Data: data}).(*fsm.Response)
	if !ok || response.Rejection != nil {
		c.t.Fatalf("%T: %+v", body, response)
	}
}

func (c *committedEntries) applySpec(address string) {
	c.t.Helper()
	effective := wiretest.EffectiveSpec()
	effective.Members = effective.Members[:1]
	effective.Members[0].Address = address
	body, err := wire.NewApplySpec(failover.Request{}, wiretest.WrittenSpec(), effective, 0)
	if err != nil {
		c.t.Fatal(err)
	}
	c.apply(body)
}

// A group that was deleted and created again between two looks at the state begins with version 1 again.
func TestFollowSpecs_SeesAGroupThatWasCreatedAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &committedEntries{t: t, fsm: fsm.New(fsm.Hooks{}), index: 1}
		c.fsm.StoreConfiguration(1, raft.Configuration{Servers: []raft.Server{{ID: "az-a"}}})
		c.apply(failover.BeginReign{Term: 1, Leader: "az-a", Version: failover.CurrentVersion, ClusterID: "c0ffee"})
		c.applySpec("old:5432")
		prober := &targetProber{}
		n := &Node{fsm: c.fsm, prober: prober, specs: make(chan struct{}, 1), paths: &fencePaths{specs: make(chan struct{}, 1)}}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- n.followSpecs(ctx) }()
		synctest.Wait()
		if len(prober.targets) != 1 || prober.targets[0].Member.Address != "old:5432" || len(n.paths.specs) != 1 {
			t.Fatalf("watches %v", prober.targets)
		}
		<-n.paths.specs
		c.apply(failover.DeleteGroup{Group: "pay"})
		c.applySpec("new:5432")
		n.specs <- struct{}{}
		synctest.Wait()
		if len(prober.targets) != 1 || prober.targets[0].Member.Address != "new:5432" {
			t.Errorf("watches %v after the group was created anew", prober.targets)
		}
		if len(n.paths.specs) != 1 {
			t.Error("its fence paths are not asked")
		}
		cancel()
		<-ended
	})
}

func TestFollow_TellsFencePathsOfAFenceThatWasNotProven(t *testing.T) {
	n := &Node{prober: &targetProber{}, paths: &fencePaths{specs: make(chan struct{}, 1)}}
	s, seen := failover.NewState(), ownview.Specs{}
	follow := func(result failover.Result) (told bool) {
		group := pathGroup("pay", 1)
		group.Operation = &failover.Operation{Steps: []failover.Step{{Name: string(failover.ActionIsolate), Member: "db1", Intent: 6, Outcome: 7, Result: result}}}
		s.Groups = []*failover.Group{group}
		n.follow(seen, &s)
		defer func() { n.paths.specs = make(chan struct{}, 1) }()
		return len(n.paths.specs) > 0
	}
	follow(failover.ResultDone) // the spec is new
	if follow(failover.ResultDone) {
		t.Error("told of a proven fence")
	}
	if !follow(failover.ResultUnknown) {
		t.Error("not told of one that was not proven")
	}
}
