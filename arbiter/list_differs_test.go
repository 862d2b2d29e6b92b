package arbiter

import (
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/raft"
)

func TestListDiffers_NamesEveryDifference(t *testing.T) {
	changed := slices.Clone(threeArbiters)
	changed[1].Raft, changed[1].GRPC = "elsewhere:7400", "elsewhere:7401"
	fewer := slices.Clone(threeArbiters[:2])
	more := append(slices.Clone(threeArbiters), Peer{Node: "az-d", Raft: "d:7400"})
	for name, test := range map[string]struct {
		list    []Peer
		servers []raft.Server
		says    []string
	}{
		"the same":        {threeArbiters, raftServers(threeArbiters), nil},
		"another address": {changed, raftServers(threeArbiters), []string{"raft elsewhere:7400 for az-b, and the cluster knows az-b as b:7400"}},
		"one too few":     {fewer, raftServers(threeArbiters), []string{"lacks az-c, which is in the cluster, at raft [2001:db8::c]:7400"}},
		"one too many":    {more, raftServers(threeArbiters), []string{"lists az-d"}},
		"another one":     {append(fewer, more[3]), raftServers(threeArbiters), []string{"lists az-d", "lacks az-c"}},
		"nothing known":   {threeArbiters, nil, nil},
	} {
		got := listDiffers(test.list, test.servers)
		if len(got) != len(test.says) {
			t.Errorf("%s: %q", name, got)
			continue
		}
		for i, text := range test.says {
			if !strings.Contains(got[i], text) {
				t.Errorf("%s: %q doesn't say %q", name, got[i], text)
			}
		}
	}
}
