package sim

import (
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
)

// takenIntoRecovery is a quiet plan whose primary is restarted as a standby by hand, in a group in which that counts as down or doesn't.
func takenIntoRecovery(down bool, more ...Item) *Plan {
	p := quiet(3)
	p.Length = 40 * time.Second
	p.Groups[0].RecoveryDown = down
	p.Items = append(more, Item{Kind: "into-recovery", At: 20 * time.Second, Member: 0})
	return p
}

// Nothing is done about it by itself, and who reads what explain names can mend it.
func TestRecovery_IsMendedAsExplainSays(t *testing.T) {
	s := begin(t, takenIntoRecovery(false), 38*time.Second)
	if seen := s.inRecovery(s.ledger.newest, s.ledger.newest.Groups[0], "db1"); seen != 3 || s.counts.recoveries != 1 {
		t.Fatalf("%d see it in recovery, %d were restarted so", seen, s.counts.recoveries)
	}
	if s.counts.starts != 0 || s.ledger.newest.Groups[0].Operation != nil {
		t.Errorf("%d actions, operation %+v", s.counts.starts, s.ledger.newest.Groups[0].Operation)
	}
	play(t, takenIntoRecovery(false), nil) // it would be stuck otherwise
}

// Where it counts as down, it is failed over, once.
func TestRecovery_FailsOverWhereItCountsAsDown(t *testing.T) {
	failedOverOnce(t, play(t, takenIntoRecovery(true), nil))
}

// A failover that waits, since the group is paused, ends when its primary is reached again and is in recovery, and that one has not recovered.
func TestRecovery_IsNoRecovery(t *testing.T) {
	p := takenIntoRecovery(false,
		Item{Kind: "op-pause", At: 10 * time.Second},
		Item{Kind: "cut-member", At: 15 * time.Second, Member: 0, For: 12 * time.Second, Amount: 7},
	)
	s := begin(t, p, 19*time.Second)
	if s.ledger.newest.Groups[0].Operation == nil {
		t.Fatal("no failover waits")
	}
	s.playUntil(30 * time.Second)
	g := s.ledger.newest.Groups[0]
	if seen := s.inRecovery(s.ledger.newest, g, "db1"); seen != 3 || s.failure != nil {
		t.Fatalf("%d see it in recovery, %v", seen, s.failure)
	}
	if kept := g.History.Receipts; g.Operation != nil || len(kept) != 1 || kept[0].Result != failover.OperationStopped {
		t.Errorf("%+v is there, and %d are over", g.Operation, len(kept))
	}
}
