package sim

import "time"

// link is one direction between two machines.
type link struct{ from, to string }

// linkState is what is wrong with a link.
type linkState struct {
	cut  int           // how many faults cut it
	loss int           // percent
	slow time.Duration // added to every message, half of it at least
	dup  int           // percent of messages that arrive twice
}

// network carries messages. What a kernel knows without a message (that a connection is still there) is asked for with open.
type network struct {
	sim   *sim
	dice  dice
	links map[link]*linkState
}

func newNetwork(s *sim) *network {
	return &network{sim: s, dice: newDice(s.plan.Seed, "network"), links: map[link]*linkState{}}
}

func (n *network) link(from, to string) *linkState {
	state := n.links[link{from, to}]
	if state == nil {
		state = &linkState{}
		n.links[link{from, to}] = state
	}
	return state
}

// open says whether messages get through at all.
func (n *network) open(from, to string) bool {
	state := n.links[link{from, to}]
	return from == to || state == nil || state.cut == 0
}

// bothWays says whether a connection can be made.
func (n *network) bothWays(a, b string) bool { return n.open(a, b) && n.open(b, a) }

// chancy says whether two messages between two machines may fare differently.
func (n *network) chancy(a, b string) bool {
	for _, l := range []link{{a, b}, {b, a}} {
		if state := n.links[l]; state != nil && (state.loss > 0 || state.slow > 0) {
			return true
		}
	}
	return false
}

// travel is how long a message takes.
func (n *network) travel(from, to string) time.Duration {
	if from == to {
		return n.dice.between(10*time.Microsecond, 50*time.Microsecond)
	}
	d := n.dice.between(200*time.Microsecond, 1500*time.Microsecond)
	if state := n.links[link{from, to}]; state != nil && state.slow > 0 {
		d += n.dice.between(state.slow/2, state.slow)
	}
	return d
}

// lost says whether one message is lost.
func (n *network) lost(from, to string) bool {
	if from == to {
		return false
	}
	state := n.links[link{from, to}]
	return state != nil && (state.cut > 0 || state.loss > 0 && n.dice.chance(state.loss))
}

// datagram carries a message that may be lost, doubled, delayed and overtaken. arrive runs at the machine that it is sent to, which may be
// dead or frozen by then.
func (n *network) datagram(from, to string, arrive func()) {
	copies := 1
	if state := n.links[link{from, to}]; state != nil && state.dup > 0 && n.dice.chance(state.dup) {
		copies = 2
	}
	for range copies {
		if !n.lost(from, to) {
			n.sim.after(n.travel(from, to), arrive)
		}
	}
}

// retransmit is how long TCP takes to send again what was lost.
const retransmit = 200 * time.Millisecond

// reliable carries a message over a connection, as long as it takes: what is lost is sent again, until the connection ends. ended says
// whether it has, or nil if nobody ends it.
func (n *network) reliable(from, to string, ended func() bool, arrive func()) {
	if ended != nil && ended() {
		return
	}
	if n.lost(from, to) {
		n.sim.after(retransmit, func() { n.reliable(from, to, ended, arrive) })
		return
	}
	n.sim.after(n.travel(from, to), arrive)
}
