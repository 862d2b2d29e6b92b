package failover

import "time"

// silentView is a view whose stream has ended: nobody sends it any more, so it must not count, also if what was sent before is only
// committed now.
type silentView struct {
	incarnation uint64
	expiring    proposal
	pausedUntil time.Duration // after a refusal
}

// viewSilent notes that an arbiter is not heard of any more. A newer incarnation is another stream.
func (s *step) viewSilent(v ViewSilent) {
	if s.term != 0 && v.Incarnation > s.silent[v.Node].incarnation {
		s.silent[v.Node] = silentView{incarnation: v.Incarnation}
	}
}

// expireViews voids the views of streams that have ended, whenever they turn up. While leadership is being handed over Raft refuses
// entries, and the next reign voids all views anyway.
func (s *step) expireViews() {
	for _, view := range s.state.Views {
		silent, ok := s.silent[view.Node]
		switch {
		case !ok || !s.reigning || !view.Current || view.Incarnation != silent.incarnation:
			continue
		case silent.expiring.id != 0:
			s.bound(silent.expiring)
		case s.now < silent.pausedUntil:
			s.wakeAt(silent.pausedUntil)
		default:
			silent.expiring = s.propose(ExpireView{Node: view.Node, Incarnation: view.Incarnation})
			s.silent[view.Node] = silent
		}
	}
}

func (s *step) expiryEnded(p ProposalEnded) {
	for node, silent := range s.silent {
		if silent.expiring.id != p.ID {
			continue
		}
		silent.expiring = proposal{}
		if p.Refused {
			silent.pausedUntil = s.now + refusedPause
		}
		s.silent[node] = silent
	}
}
