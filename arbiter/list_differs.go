package arbiter

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/raft"
)

// The list of arbiters in the file makes a cluster. From then on who is in it, and at which Raft address, stands in Raft's own log, and a file
// that was changed since changes nothing of it.
//
// An arbiter whose file differs warns, and starts all the same. To end would be no safer, since Raft goes by its log in any case, and less
// kind: who changes the files of all arbiters, one restart after the other, would be left without a quorum.

// listDiffers says what a list of arbiters says otherwise than Raft's configuration.
func listDiffers(list []Peer, servers []raft.Server) []string {
	if len(servers) == 0 {
		return nil // nothing is known yet, as in one that joins
	}
	var differs []string
	for _, p := range list {
		i := slices.IndexFunc(servers, func(s raft.Server) bool { return string(s.ID) == string(p.Node) })
		switch {
		case i < 0:
			differs = append(differs, fmt.Sprintf("its file lists %s, and the cluster was formed without it; take it off the list", p.Node))
		case string(servers[i].Address) != p.Raft:
			differs = append(differs, fmt.Sprintf("its file says raft %s for %s, and the cluster knows %s as %s, which is what is dialled; put that back",
				p.Raft, p.Node, p.Node, servers[i].Address))
		}
	}
	for _, s := range servers {
		if !slices.ContainsFunc(list, func(p Peer) bool { return string(p.Node) == string(s.ID) }) {
			differs = append(differs, fmt.Sprintf("its file lacks %s, which is in the cluster, at raft %s; put it back on the list", s.ID, s.Address))
		}
	}
	return differs
}

// warnOfList tells at the start what this arbiter's file says otherwise than the cluster.
func (n *Node) warnOfList() {
	if differs := listDiffers(n.options.Peers, n.raft.Servers()); len(differs) > 0 {
		n.log.Warn("the list of arbiters in the file is not that of the cluster, which counts", "differs", strings.Join(differs, "; "))
	}
}

// raftAddress is where Raft dials an arbiter; where it does not know it, what the file says.
func raftAddress(p Peer, servers []raft.Server) string {
	for _, s := range servers {
		if string(s.ID) == string(p.Node) {
			return string(s.Address)
		}
	}
	return p.Raft
}
