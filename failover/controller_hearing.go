package failover

import "time"

// hearing is what a leader keeps of whether it hears from the others. Raft asks for little of a leader: one whose API nobody reaches, or whom
// every answer reaches late, may lead for ever, while no majority of views ever counts for long and nothing can be decided.
type hearing struct {
	lostAt  time.Duration // since when no majority of views was current for long; 0: one is
	againAt time.Duration // since when a majority is current again; 0: none is
}

const (
	// deafLasts is how long a leader goes on without a majority of current views: far longer than it takes to send them all.
	deafLasts = 30 * time.Second
	// heardLasts is how long a majority must be current before it counts, as long as arbiters need to look again: it may come and go.
	heardLasts = time.Second
)

// next judges anew, for one that reigns.
func (h hearing) next(s *State, now time.Duration) hearing {
	current := 0
	for _, node := range s.Voters {
		if view, ok := s.View(node); ok && view.Current {
			current++
		}
	}
	switch {
	case current < s.Majority():
		if h.againAt = 0; h.lostAt == 0 {
			h.lostAt = now
		}
	case h.lostAt == 0:
	case h.againAt == 0:
		h.againAt = now
	case now-h.againAt >= heardLasts:
		return hearing{}
	}
	return h
}

// listen hands leadership on, to whoever is furthest, if this leader has heard from no majority for long and nothing is being done. What arbiters say of
// themselves is heard: a view that is doubted is current, and another leader would make nothing of it either.
func (s *step) listen() {
	if !s.reigning || len(s.state.Voters) < 2 {
		s.hearing = hearing{}
		return
	}
	s.hearing = s.hearing.next(s.state, s.now)
	switch h := s.hearing; {
	case h.lostAt == 0 || s.draining.Why != "":
	case h.againAt != 0:
		s.wakeAt(h.againAt + heardLasts)
	case s.now < h.lostAt+deafLasts:
		s.wakeAt(h.lostAt + deafLasts)
	case !s.acting():
		s.hearing.lostAt = s.now // it may be in vain
		s.draining = Drain{Why: "no majority of views has counted for " + deafLasts.String()}
	}
}

// acting says whether an action runs, or an operation is at work that a new leader would have to take up: most of its way needs no views.
func (s *step) acting() bool {
	for name, gc := range s.groups {
		if g := s.state.Group(name); gc.running != nil || g != nil && g.Operation != nil && g.Stage != Held && pastIsolateIntent(g.EffectiveStage()) {
			return true
		}
	}
	return false
}
