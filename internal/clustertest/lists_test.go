package clustertest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/arbiter-ha/arbiter/arbiter"
	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/freeport"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// The one whose list differs is started last, or first, in plaintext or not: all three end, each with both lists, and none of them waits for
// those that ended before it had heard from them.
func TestListsDiffer_AllEndAndSaySo(t *testing.T) {
	for name, order := range map[string][]failover.NodeID{
		"first": {"az-b", "az-a", "az-c"}, "last": {"az-a", "az-c", "az-b"},
	} {
		for _, secure := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				c := newCluster(t, secure)
				other := slices.Clone(c.peers)
				other[2].Raft = freeport.Address(t)
				c.lists = map[failover.NodeID][]arbiter.Peer{"az-b": other}
				for _, node := range order {
					c.start(node)
				}
				for _, node := range order {
					err := c.ended(node)
					if !errors.Is(err, arbiter.ErrListsDiffer) {
						t.Errorf("%s ended with %v", node, err)
						continue
					}
					for _, address := range []string{other[2].Raft, c.peers[2].Raft} {
						if !strings.Contains(err.Error(), address) {
							t.Errorf("%s doesn't tell of %s: %v", node, address, err)
						}
					}
				}
			})
		}
	}
}

// Once a cluster has formed, a changed list changes nothing of it. The arbiter whose list it is says so, and so does the table, with the
// address that counts.
func TestListChangedLater_IsToldAndChangesNothing(t *testing.T) {
	c := newCluster(t, true)
	log := c.keepLog()
	const warning = "the list of arbiters in the file is not that of the cluster"
	c.startAll()
	c.leader()
	if line := log.line("[WARN]", warning); line != "" {
		t.Errorf("told of where nothing differs: %s", line)
	}
	c.stop("az-b")
	changed := slices.Clone(c.peers)
	changed[2].Raft = freeport.Address(t)
	c.lists = map[failover.NodeID][]arbiter.Peer{"az-b": changed}
	c.start("az-b")
	c.eventually("az-b tells of it and the table shows what counts", func(ctx context.Context) bool {
		answer, err := c.api("az-b").ListArbiters(ctx, &arbiterv1.ListArbitersRequest{Consistency: stale})
		if err != nil || answer.GetArbiters()[1].GetListDiffers() == nil {
			return false
		}
		return answer.GetArbiters()[2].GetRaftAddress() == c.peers[2].Raft
	})
	answer, err := c.api(c.leader()).ListArbiters(t.Context(), &arbiterv1.ListArbitersRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range answer.GetArbiters() {
		text := strings.Join(a.GetListDiffers(), "; ")
		if own := a.GetNode() == "az-b"; own != strings.Contains(text, changed[2].Raft) || own != strings.Contains(text, c.peers[2].Raft) {
			t.Errorf("of the list of %s it is said: %q", a.GetNode(), text)
		}
	}
	if log.line("[WARN]", warning, "node=az-b", changed[2].Raft, c.peers[2].Raft) == "" {
		t.Error("az-b has not warned")
	}
	c.eventually("az-b has its part in the cluster", func(ctx context.Context) bool { return slices.Contains(c.currentViews(ctx), "az-b") })
}
