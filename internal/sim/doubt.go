package sim

import (
	"cmp"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
)

// The times of package arbiter: of reference points, and of what it takes an arbiter to doubt itself.
const (
	referenceIdle     = 30 * time.Second
	referenceTroubled = time.Second
	referencePause    = 20 * time.Millisecond
	referenceTimeout  = time.Second
	doubtLateness     = 500 * time.Millisecond
	doubtStep         = time.Second
	doubtLeast        = 500 * time.Millisecond
	selfInterval      = 100 * time.Millisecond
	offerInterval     = time.Second
)

// noteTrouble follows which members fail, and asks for a look at the reference points when one does.
func (v *view) noteTrouble(key memberKey, r report) {
	t := v.troubles[key]
	g := v.state().Group(key.group)
	if t == nil && !r.dead || g == nil {
		return
	}
	if t == nil {
		t = &trouble{}
		v.troubles[key] = t
	}
	begins := r.dead && !t.dead
	t.dead = r.dead
	if begins && !t.down {
		t.since = v.node.boot()
	}
	status, _ := g.Spec.StatusOf(r.observation)
	if t.down = status == failover.StatusDown; !t.down && !t.dead {
		delete(v.troubles, key)
	}
	if begins {
		if s, newest := v.surroundings(); s.NeedsLook(newest) {
			v.node.prober.askReferences()
		}
	}
}

// surroundings are what this arbiter judges itself by.
func (v *view) surroundings() (s failover.Surroundings, newest time.Duration) {
	s.Now = v.node.boot()
	for _, g := range v.state().Groups {
		sight := failover.GroupSight{Members: len(g.Members)}
		for _, m := range g.Members {
			key := memberKey{g.Name, m.Name}
			if t := v.troubles[key]; t != nil {
				sight.Failing = append(sight.Failing, failover.MemberSight{Since: t.since, Down: t.down})
			} else {
				sight.Reached = append(sight.Reached, v.node.prober.reached(key))
			}
		}
		if len(sight.Failing) == 0 {
			continue
		}
		s.Groups = append(s.Groups, sight)
		for _, c := range g.Spec.Health.Checks {
			s.Settle = max(s.Settle, c.Timeout+time.Duration(max(c.Failures, c.Successes, 1))*c.Interval)
		}
	}
	return v.node.prober.points(s)
}

// judge settles whether this arbiter doubts its view.
func (v *view) judge() {
	cutOff := ""
	if len(v.troubles) > 0 {
		s, _ := v.surroundings()
		v.self = v.self.Next(s)
	} else {
		v.self = failover.SelfDoubt{}
	}
	switch {
	case v.self.CutOff:
		cutOff = "can't reach its reference points"
		v.node.self.arm()
	case v.waits():
		cutOff = "waits for an answer of its reference points"
	}
	v.doubt = cmp.Or(cutOff, v.late)
}

func (v *view) waits() bool { return v.self.Waits() && v.late == "" }

func (v *view) setLate(why string) {
	v.late = why
	if v.judge(); v.doubt != v.told {
		v.node.sender.kick()
	}
}

// selfWatch makes an arbiter doubt its own view after its loops ran late or its wall clock stepped, and hand leadership on.
type selfWatch struct {
	node       *node
	wallOffset time.Duration
	until      time.Duration
	armed      bool
	nextOffer  time.Duration
}

// trouble is what happened to the process while it could not look.
func (w *selfWatch) trouble(why string) {
	n := w.node
	if n.view.late == "" {
		n.input(failover.Drain{Why: "it " + why})
	}
	longest := doubtLeast
	for _, g := range n.state.Groups {
		for _, c := range g.Spec.Health.Checks {
			longest = max(longest, c.Timeout)
		}
	}
	w.until = n.boot() + longest
	n.view.setLate(why)
	n.postAt(w.until, func() {
		if n.boot() >= w.until {
			n.view.setLate("")
		}
	})
}

// woke is called some time after a process goes on.
func (w *selfWatch) woke(slept time.Duration) {
	if slept > doubtLateness {
		w.trouble("ran late itself")
	}
}

func (w *selfWatch) stepped(by time.Duration) {
	if max(by, -by) >= doubtStep {
		w.trouble("had its wall clock stepped")
	}
}

// arm offers leadership as long as the arbiter is cut off.
func (w *selfWatch) arm() {
	if w.armed {
		return
	}
	w.armed = true
	w.node.post(selfInterval, func() {
		w.armed = false
		n := w.node
		n.view.judge()
		if n.view.doubt != n.view.told {
			n.sender.kick()
		}
		if !n.view.self.CutOff {
			return
		}
		if n.boot() >= w.nextOffer {
			w.nextOffer = n.boot() + offerInterval
			n.input(failover.Doubt{Why: n.view.doubt})
		}
		w.arm()
	})
}
