package clustertest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/arbiter-ha/arbiter/arbiter"
	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/clustertest/fake"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// database is one server of the fake world.
type database struct {
	running  bool
	powered  bool
	primary  bool
	follows  failover.MemberName
	position failover.LSN
	timeline uint32
	token    failover.Epoch
	system   string // empty: fake.SystemID
}

// world is what all arbiters of a test look at and act on. Its methods may be called from any goroutine.
type world struct {
	mu        sync.Mutex
	databases map[failover.MemberName]*database
	routes    map[string]failover.MemberName // by route: to whom clients are sent, empty if closed
	done      []string                       // effects, in order: "isolate db1 epoch 2 by az-a"
	gate      chan struct{}                  // while it is not nil, fencing waits until it is closed
	fencing   chan failover.NodeID           // hears who waits at the gate
	cut       map[failover.NodeID]bool       // arbiters whose new connections get no answer
	failing   map[check]bool                 // looks that get a wrong answer
	sync      []string                       // of whom one must confirm a commit
	flaws     map[flaw]arbiter.Finding       // what inspections find
	hang      chan struct{}                  // while it is not nil, az-b's look at a fence waits until it is closed, whatever its context says
	lies      map[failover.NodeID]bool       // arbiters to whom every fence device says "off", whatever is so, and does nothing
	deaf      error                          // what routers answer who asks them where they lead
	unarmed   string                         // why no fence device answers who asks for its status; empty: all do
	asked     int                            // how often somebody was inspected, or a fence asked for its status with a limit
	askedOut  chan error                     // while it is not nil, a fence that is asked for its status keeps still, and nil and its asker's end are sent here
	old       map[failover.NodeID]bool       // arbiters that look over the connections that they have
}

// check is one check of one member on one arbiter.
type check struct {
	node   failover.NodeID
	member failover.MemberName
	name   string
}

// flaw is where an arbiter finds something.
type flaw struct {
	node  failover.NodeID
	about string // a member's name, "fence of" it, or a route's name
}

// newWorld has a primary db1, and two standbys that follow it.
func newWorld() *world {
	w := &world{databases: map[failover.MemberName]*database{}, routes: map[string]failover.MemberName{fake.FrontRoute: "db1"}, fencing: make(chan failover.NodeID, 16), flaws: map[flaw]arbiter.Finding{}}
	w.failing, w.lies, w.old = map[check]bool{}, map[failover.NodeID]bool{}, map[failover.NodeID]bool{}
	w.cut, w.sync = map[failover.NodeID]bool{}, []string{"db1", "db2", "db3"}
	for _, name := range []failover.MemberName{"db1", "db2", "db3"} {
		w.databases[name] = &database{running: true, powered: true, follows: "db1", position: 1000, timeline: 1}
	}
	w.databases["db1"].primary, w.databases["db1"].follows = true, ""
	return w
}

// crash ends a database's process; its machine stays on.
func (w *world) crash(name failover.MemberName) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.databases[name].running = false
}

// cutOff lets every new connection of these arbiters, and of no others, go without an answer.
func (w *world) cutOff(nodes ...failover.NodeID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.cut)
	for _, node := range nodes {
		w.cut[node] = true
	}
}

// deafen lets no router answer who asks it where it leads; nil lets all answer again.
func (w *world) deafen(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deaf = err
}

// reroute sends clients to a member, by hand.
func (w *world) reroute(route string, to failover.MemberName) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.routes[route] = to
}

// disarm lets no fence device answer who asks for its status, for this reason.
func (w *world) disarm(why string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unarmed = why
}

// flawed has every arbiter that inspects a member find this.
func (w *world) flawed(member failover.MemberName, f arbiter.Finding) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, node := range []failover.NodeID{"az-a", "az-b", "az-c"} {
		w.flaws[flaw{node, string(member)}] = f
	}
}

// silenceFences lets fences keep still that are asked for their status with a limit. It returns where nil is sent for each question, and then its end.
func (w *world) silenceFences() <-chan error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.askedOut = make(chan error, 64)
	return w.askedOut
}

// timesAsked is how often somebody was inspected, or a fence asked for its status, so far.
func (w *world) timesAsked() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.asked
}

// move takes a database to a position in the log.
func (w *world) move(name failover.MemberName, position failover.LSN) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.databases[name].position = position
}

// fail lets a check get a wrong answer from now on.
func (w *world) fail(c check) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failing[c] = true
}

// failingChecks are those of an arbiter that get a wrong answer of a member.
func (w *world) failingChecks(node failover.NodeID, member failover.MemberName) map[string]failover.Evidence {
	w.mu.Lock()
	defer w.mu.Unlock()
	found := map[string]failover.Evidence{}
	for c := range w.failing {
		if c.node == node && c.member == member {
			found[c.name] = failover.Evidence{Reason: failover.ReasonWrongAnswer, Detail: "status 503"}
		}
	}
	return found
}

func (w *world) isCutOff(node failover.NodeID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.cut[node]
}

// closeGate makes fencing wait until the returned function is called.
func (w *world) closeGate() (open func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	gate := make(chan struct{})
	w.gate = gate
	return sync.OnceFunc(func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.gate = nil
		close(gate)
	})
}

// effects are what was done so far, in order.
func (w *world) effects() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.done)
}

// lie has every fence device say "off" to these arbiters from now on, and do nothing for them.
func (w *world) lie(to ...failover.NodeID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, node := range to {
		w.lies[node] = true
	}
}

// isLiedTo says whether fence devices lie to an arbiter.
func (w *world) isLiedTo(node failover.NodeID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lies[node]
}

// keepConnections has an arbiter look over the connections that it has, which says nothing of a machine that was switched off meanwhile.
func (w *world) keepConnections(node failover.NodeID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.old[node] = true
}

func (w *world) keepsConnections(node failover.NodeID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.old[node]
}

// remake makes a database another one, or the one it was if system is empty.
func (w *world) remake(name failover.MemberName, system string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.databases[name].system = system
}

// writers are the databases that accept writes.
func (w *world) writers() []failover.MemberName {
	w.mu.Lock()
	defer w.mu.Unlock()
	var names []failover.MemberName
	for name, d := range w.databases {
		if d.up() && d.primary {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func (w *world) routed(route string) failover.MemberName {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.routes[route]
}

func (d *database) up() bool { return d.running && d.powered }

// note records an effect. The caller holds the lock.
func (w *world) note(format string, args ...any) {
	w.done = append(w.done, fmt.Sprintf(format, args...))
}

// facts are what a look at a database shows; false if it doesn't answer.
func (w *world) facts(name failover.MemberName) (failover.Facts, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	d := w.databases[name]
	if d == nil || !d.up() {
		return failover.Facts{}, false
	}
	f := failover.Facts{SystemID: cmp.Or(d.system, fake.SystemID), Timeline: d.timeline, Epoch: d.token}
	if d.primary {
		f.Role, f.AcceptsWrites, f.Written = failover.RolePrimary, true, d.position
		f.SyncRule = failover.SyncRule{Need: 1, Names: w.sync}
		for _, other := range slices.Sorted(maps.Keys(w.databases)) {
			if s := w.databases[other]; s.up() && !s.primary && s.follows == name {
				f.Replicas = append(f.Replicas, failover.Replica{Name: string(other), Streaming: true, Sync: slices.Contains(w.sync, string(other))})
			}
		}
		return f, true
	}
	f.Role, f.Received, f.Replayed = failover.RoleStandby, d.position, d.position
	source := w.databases[d.follows]
	f.Streaming = source != nil && source.up() && source.primary
	return f, true
}

// writtenSpec is the group that the fake world is, with every default filled in.
func writtenSpec(group string) *arbiterv1.GroupSpec {
	return fake.Spec(group, fake.Times{Look: lookEvery, Isolate: minute / 6, Outage: minute / 6, Cooldown: minute, Retry: minute / 6})
}

// fencing waits for the next request to fence, and returns the arbiter that made it.
func (c *cluster) fencing() failover.NodeID {
	c.t.Helper()
	select {
	case node := <-c.world.fencing:
		return node
	case <-time.After(patience):
		c.t.Fatalf("within %v no arbiter has asked to fence", patience)
		return ""
	}
}
