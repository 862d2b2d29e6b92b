package probe

import (
	"unicode/utf8"

	"github.com/arbiter-ha/arbiter/failover"
)

const (
	// longestDetail is how much of an evidence's detail is kept, in bytes. It goes into every arbiter's log, and a server may say anything.
	longestDetail = 300
	// longestName and mostNames bound what a member says of its standbys: the bytes of one name, of which PostgreSQL's have 63 at most, and how
	// many there are.
	longestName = 128
	mostNames   = 64
)

// bounded cuts what a member says to what views have room for.
func bounded(look Look) Look {
	look.Evidence = boundedEvidence(look.Evidence)
	if !fits(look.Facts.SyncRule.Names) {
		// Half a list would say that fewer standbys are enough than the primary waits for. No rule is taken for one that nobody has to confirm.
		look.Facts.SyncRule = failover.SyncRule{}
	}
	look.Facts.Replicas = boundedReplicas(look.Facts.Replicas)
	return look
}

func boundedEvidence(e failover.Evidence) failover.Evidence {
	if len(e.Detail) <= longestDetail {
		return e
	}
	const mark = " ..."
	end := longestDetail - len(mark)
	for end > 0 && !utf8.RuneStart(e.Detail[end]) {
		end--
	}
	e.Detail = e.Detail[:end] + mark
	return e
}

func fits(names []string) bool {
	for _, name := range names {
		if len(name) > longestName {
			return false
		}
	}
	return len(names) <= mostNames
}

// boundedReplicas leaves out standbys. The list is for people; no decision rests on it.
func boundedReplicas(all []failover.Replica) []failover.Replica {
	var kept []failover.Replica
	for _, r := range all {
		if len(r.Name) <= longestName && len(kept) < mostNames {
			kept = append(kept, r)
		}
	}
	return kept
}
