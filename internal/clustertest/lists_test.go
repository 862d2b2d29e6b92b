package clustertest

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/arbiter-ha/arbiter/arbiter"
	"github.com/arbiter-ha/arbiter/failover"
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
				other[2].Raft = freeAddress(t)
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
