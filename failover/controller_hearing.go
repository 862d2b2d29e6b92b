package failover

import "time"

// hearing is what a leader keeps of whether it hears from the others. Raft asks for little of a leader: one whose API nobody reaches, or whom
// every answer reaches late, may lead for ever, while no majority of views ever counts for long and nothing can be decided.
type hearing struct {
	lostAt  time.Duration // since when no majority of views was current for long; 0: one is
	againAt time.Duration // since when a majority is current again; 0: none is
	asked   Drain         // the hand-over that this is the reason of; empty: none
	// offered is when leadership was offered to whom since this arbiter last heard a majority, in whatever reign: leaders none of which hears
	// one would hand it round and round.
	offered map[NodeID]time.Duration
}

const (
	// deafLasts is how long a leader goes on without a majority of current views: far longer than it takes to send them all.
	deafLasts = 30 * time.Second
	// heardLasts is how long a majority must be current before it counts, as long as arbiters need to look again: it may come and go.
	heardLasts = time.Second
	// deafOfferLasts is how long a leader that hears nobody doesn't offer leadership again to the same arbiter: longer than it takes each of
	// five to offer it to each other one, after deafLasts each. What keeps one from hearing the others may have ended by then.
	deafOfferLasts = 15 * time.Minute
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

// listen hands leadership on, if this leader has heard from no majority for long and nothing is being done; not any more once it hears one. What
// arbiters say of themselves is heard: a view that is doubted is current, and another leader would make nothing of it either.
func (s *step) listen() {
	if !s.reigning || len(s.state.Voters) < 2 {
		s.hearing = hearing{offered: s.hearing.offered}
		return
	}
	asked := s.hearing.asked
	s.hearing = s.hearing.next(s.state, s.now)
	switch h := s.hearing; {
	case h.lostAt == 0:
		if asked.Why != "" && s.draining == asked {
			s.draining = Drain{}
		}
	case h.againAt != 0:
		s.wakeAt(h.againAt + heardLasts)
	case s.draining.Why != "":
	case s.now < h.lostAt+deafLasts:
		s.wakeAt(h.lostAt + deafLasts)
	case !s.acting():
		s.offerUnheard()
	}
}

// offerUnheard hands leadership on to an arbiter that is heard, or else to any: who isn't may hear the others. If that is in vain the next one is
// asked at once. When all were asked this leader goes on: there must be one, and none does better.
func (s *step) offerUnheard() {
	var to NodeID
	for _, node := range s.state.Voters {
		view, _ := s.state.View(node)
		at, offered := s.hearing.offered[node]
		switch again := at + deafOfferLasts; {
		case node == s.self:
		case offered && s.now < again:
			s.wakeAt(again)
		case to == "" || view.Current:
			to = node
		}
	}
	if to == "" {
		return
	}
	if s.hearing.offered == nil {
		s.hearing.offered = map[NodeID]time.Duration{}
	}
	s.hearing.offered[to] = s.now
	s.hearing.asked = Drain{Why: "no majority of views has counted for " + deafLasts.String(), To: to}
	s.draining = s.hearing.asked
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
