package failover

import (
	"fmt"
	"slices"
	"strings"
)

// CommitsWait says that clients' commits wait on a primary that is up, since too few of the standbys stream that its rule of synchronous replication
// names; it is empty if none has to. PostgreSQL says nothing of it to anybody: a commit just doesn't return. Sessions that asked for
// synchronous_commit = local or off, as the arbiters' own writes do, don't wait.
func CommitsWait(s *State, g *Group) string {
	for _, node := range s.Voters {
		look, ok := g.currentLook(s, node, g.Writer())
		if !ok || !look.Observation.Facts.AcceptsWrites || look.Observation.Facts.SyncRule.Need == 0 {
			continue
		}
		f := look.Observation.Facts
		if len(f.Replicas) == 0 && g.Spec.Engine != EnginePostgres {
			continue // other services need not tell who follows them
		}
		rule := g.standbyRule(PrimaryFacts{Member: g.Writer(), SyncRule: f.SyncRule})
		streaming := 0
		for _, r := range f.Replicas {
			if r.Streaming && slices.ContainsFunc(rule.Names, func(name string) bool { return name == "*" || strings.EqualFold(name, r.Name) }) {
				streaming++
			}
		}
		if streaming < f.SyncRule.Need {
			return fmt.Sprintf("%d of the standbys that %s waits for stream, %d needed (%s)", streaming, g.Writer(), f.SyncRule.Need, strings.Join(f.SyncRule.Names, ", "))
		}
		return ""
	}
	return ""
}
