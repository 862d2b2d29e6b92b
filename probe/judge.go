package probe

import (
	"time"

	"github.com/arbiter-ha/arbiter/failover"
)

// judge holds one check's state after its thresholds.
//
// Bad looks: when Failures of them come in a row (within Window, if set), the check claims what all of them support, the
// mildest class among them; a milder look after that makes the claim milder at once. Another reason of the same class is
// taken over when it alone fills Failures looks in a row, so that reasons which take turns don't change the view all the
// time. That no answer comes is one reason, whatever the kernel makes of it: of a machine without power, on the same network, it
// says for some seconds that there is no route, and then nothing for some seconds.
//
// Good looks: Successes in a row make the check good again; the first one is enough for a check that was never judged.
type judge struct {
	failures, successes int
	window              time.Duration // 0: unlimited

	state failover.Evidence
	good  int       // good looks in a row
	bad   []badLook // at most failures of them in a row, oldest first
}

type badLook struct {
	evidence failover.Evidence
	ended    time.Duration // boot clock
}

func newJudge(c failover.Check) judge {
	j := judge{state: failover.Evidence{Reason: failover.ReasonNotYetSeen, Detail: "no look has ended yet"}}
	j.adjust(c)
	return j
}

// adjust takes over changed thresholds; what has been counted stays.
func (j *judge) adjust(c failover.Check) {
	j.failures, j.successes, j.window = max(c.Failures, 1), max(c.Successes, 1), c.Window
	if surplus := len(j.bad) - j.failures; surplus > 0 {
		j.bad = append([]badLook(nil), j.bad[surplus:]...)
	}
}

// count takes one look into account, in the order in which looks began.
func (j *judge) count(e failover.Evidence, ended time.Duration) {
	if failover.ClassOf(e.Reason) == failover.EvidenceGood {
		j.countGood(e)
		return
	}
	j.good = 0
	if len(j.bad) == j.failures {
		copy(j.bad, j.bad[1:])
		j.bad = j.bad[:len(j.bad)-1]
	}
	j.bad = append(j.bad, badLook{e, ended})

	switch {
	case e.Reason == j.state.Reason:
		e.AcceptedAt = max(e.AcceptedAt, j.state.AcceptedAt)
		j.state = e
	case told(e) == told(j.state): // in other words: the view stays as it is
		j.state.Accepted, j.state.AcceptedAt = e.Accepted, max(e.AcceptedAt, j.state.AcceptedAt)
	case j.claims() && weight(e) < weight(j.state):
		j.state = e
	case j.enough():
		next := j.common()
		if !j.claims() || weight(next) != weight(j.state) || j.unanimous() {
			j.state = next
		}
	}
}

func (j *judge) countGood(e failover.Evidence) {
	j.bad = j.bad[:0]
	j.good = min(j.good+1, j.successes)
	if j.state.Reason == failover.ReasonNotYetSeen || j.good >= j.successes ||
		failover.ClassOf(j.state.Reason) == failover.EvidenceGood {
		j.state = e
	}
}

// told is the reason as the judge counts it: one for all ways in which nothing is heard from the member's machine.
func told(e failover.Evidence) failover.Reason {
	if e.Reason == failover.ReasonNoRoute {
		return failover.ReasonTimeout
	}
	return e.Reason
}

// claims says whether the state is a claim that a bad look can make milder.
func (j *judge) claims() bool {
	return j.state.Reason != failover.ReasonNotYetSeen && failover.ClassOf(j.state.Reason) != failover.EvidenceGood
}

// enough says whether the bad looks in a row reach the threshold.
func (j *judge) enough() bool {
	if len(j.bad) < j.failures {
		return false
	}
	span := j.bad[len(j.bad)-1].ended - j.bad[0].ended
	return j.window == 0 || span <= j.window
}

// common is what all bad looks of the row support: the mildest class, and in it the reason seen most, the earliest first
// among equals; with its latest detail, and when one of those that say so was last accepted.
func (j *judge) common() failover.Evidence {
	mildest := j.bad[0].evidence
	for _, b := range j.bad[1:] {
		if weight(b.evidence) < weight(mildest) {
			mildest = b.evidence
		}
	}
	counts := map[failover.Reason]int{}
	latest := map[failover.Reason]failover.Evidence{}
	for _, b := range j.bad {
		if weight(b.evidence) == weight(mildest) {
			counts[told(b.evidence)]++
			b.evidence.AcceptedAt = max(b.evidence.AcceptedAt, latest[told(b.evidence)].AcceptedAt)
			latest[told(b.evidence)] = b.evidence
		}
	}
	chosen := told(mildest)
	for _, b := range j.bad {
		if counts[told(b.evidence)] > counts[chosen] {
			chosen = told(b.evidence)
		}
	}
	return latest[chosen]
}

// towards counts the bad looks at the end of the row that claim more than the state does, with the latest of them: what the thresholds still
// hold back. 0 if there is nothing of that kind.
func (j *judge) towards() (n int, latest failover.Evidence) {
	for i := len(j.bad) - 1; i >= 0; i-- {
		newest, b := j.bad[len(j.bad)-1], j.bad[i]
		tooOld := j.window > 0 && newest.ended-b.ended > j.window
		if tooOld || j.claims() && weight(b.evidence) <= weight(j.state) {
			break
		}
		n, latest = n+1, newest.evidence
	}
	return n, latest
}

func (j *judge) unanimous() bool {
	for _, b := range j.bad {
		if told(b.evidence) != told(j.bad[0].evidence) {
			return false
		}
	}
	return true
}

// pressing says that the last look was turned away at once and that more such looks are needed to claim it: another one
// costs next to nothing and tells soon.
func (j *judge) pressing() bool {
	if len(j.bad) == 0 {
		return false
	}
	last := j.bad[len(j.bad)-1].evidence
	return (last.Reason == failover.ReasonRefused || last.Reason == failover.ReasonReset) &&
		failover.ClassOf(j.state.Reason) != failover.EvidenceDead
}

// weight orders bad evidence by how much it claims.
func weight(e failover.Evidence) int {
	switch failover.ClassOf(e.Reason) {
	case failover.EvidenceDead:
		return 2
	case failover.EvidenceFailing:
		return 1
	}
	return 0
}
