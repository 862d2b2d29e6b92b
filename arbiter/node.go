package arbiter

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/fsm"
	"github.com/arbiter-ha/arbiter/internal/clock"
	"github.com/arbiter-ha/arbiter/internal/failpoint"
	"github.com/arbiter-ha/arbiter/internal/pki"
	"github.com/arbiter-ha/arbiter/internal/recording"
	"github.com/arbiter-ha/arbiter/internal/supervise"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// Specs fills in and checks what operators write.
type Specs interface {
	// Effective returns a spec with every default, or an error that lists all faults: with a method Each(func(path, message string)) it
	// names the fields.
	Effective(written *arbiterv1.GroupSpec) (*arbiterv1.GroupSpec, error)
	// EffectiveHere also has the fence agents on this machine say what they can do and which settings they don't know, as far as they do in
	// time. It runs programs that the spec names: it is for callers who may have that done. The notes are what the operator should know of them.
	EffectiveHere(ctx context.Context, written *arbiterv1.GroupSpec) (effective *arbiterv1.GroupSpec, notes []string, err error)
	// LongestOutage is how long writes stop at worst in a failover of a group with this effective spec, if no step needs a second try.
	LongestOutage(effective *arbiterv1.GroupSpec) time.Duration
	// Differences lists what of two effective specs differs, by the keys of their files; the first is empty where there is no group yet.
	Differences(before, after *arbiterv1.GroupSpec) []*arbiterv1.Difference
}

// Options say what a node is made of.
type Options struct {
	Node       failover.NodeID
	Zone       string
	Peers      []Peer // all arbiters, this one included
	Data       string // folder of the log, the snapshots and the bootstrap mark
	RaftListen string
	GRPC       net.Listener
	TLS        *pki.Reloader // nil only with Insecure
	Insecure   bool
	Timing     Timing
	Clock      clock.Clock
	Log        hclog.Logger
	Drivers    Drivers
	// NewProber makes the prober: node is who looks, applied says what was applied when a look begins, report gets every look.
	NewProber func(node failover.NodeID, applied func() failover.Index, report func(Report)) Prober
	Specs     Specs
	Release   string
	// FencePathEvery is how often every fence path of a small fleet is asked for its status; see fencePaths for a large one.
	FencePathEvery time.Duration
	// RoutesEvery is how often the leader looks whether routes lead to the primaries; 0: never.
	RoutesEvery time.Duration
	// ReferencePoints are host:port that have nothing to do with what is protected. The other arbiters are reference points anyway.
	ReferencePoints []string
	// Reach makes a new connection to a reference point; nil: over the network.
	Reach func(ctx context.Context, address string) error
	// Record, if it isn't nil, gets all that the core of this arbiter is given and answers.
	Record *recording.Recorder
	// Network is how arbiters reach each other; nil: TCP. GRPC listens on it too.
	Network Network
	// OpenStorage opens the log and the snapshots; nil: files below Data.
	OpenStorage func() (*Storage, error)
	// Applied is nil but in tests, which record what every arbiter applied. It runs on Raft's goroutine: see fsm.Hooks.
	Applied func(failover.Index, *failover.State, []failover.Event)
	// Failpoint is nil but in builds for tests: it is called before and after each commit and each effect, and before a wait for views.
	Failpoint failpoint.Func
}

// applyLimit is how long a proposal may take. It is longer than the Controller's own bound, which ends the process.
const applyLimit = 10 * time.Second

// Node is one arbiter.
type Node struct {
	options Options
	log     hclog.Logger
	group   *supervise.Group
	peers   *peers
	server  *apiServer
	events  *eventLog
	leading *latch
	fsm     *fsm.FSM
	raft    *RaftNode
	stamps  *StampingTransport
	view    *view
	paths   *fencePaths
	routes  *routeWatch // nil if nobody looks at them
	prober  Prober
	runner  *runner
	loop    *loop
	intake  *intake
	vain    *handOvers // that came to nothing
	// inspecting has a place for each look of an inspection that may run at the same time.
	inspecting chan struct{}
	// asking has one for each question that is asked before a failover.
	asking chan struct{}
	// askingMembers is the same for members and their fences, which may take long.
	askingMembers chan struct{}
	hanging       hanging // looks that have lost their places

	mu      sync.Mutex
	boot    *Bootstrap
	cluster string
	held    logEnd        // in the log when this arbiter started; set before the API serves
	advance chan struct{} // closed and replaced at every applied entry
	reigned time.Duration // when the present reign's beginning was applied here, by the boot-time clock
	specs   chan struct{} // has room for one: specs may have changed
	ready   arbiterv1.Readiness
	leader  chan struct{} // closed and replaced when the leader may have changed
}

// ErrHalted says that the node ended itself, and why.
var ErrHalted = errors.New("this arbiter ended itself")

// New makes a node. Nothing runs yet.
func New(options Options) (*Node, error) {
	if options.TLS == nil && !options.Insecure {
		return nil, errors.New("no certificates given: set tls in the arbiter file, or say that plaintext is meant")
	}
	if err := options.Timing.Validate(); err != nil {
		return nil, err
	}
	if options.Network == nil {
		options.Network = tcp{}
	}
	if options.Reach == nil {
		options.Reach = connectOver(options.Network)
	}
	n := &Node{
		options: options, log: options.Log.Named("arbiter").With("node", string(options.Node)), peers: newPeers(options.Node, options.Peers, options.TLS, options.Network),
		events: newEventLog(), leading: newLatch(), vain: newHandOvers(), advance: make(chan struct{}), leader: make(chan struct{}), specs: make(chan struct{}, 1),
		ready: arbiterv1.Readiness_READINESS_STARTING, inspecting: make(chan struct{}, inspectAtOnce), asking: make(chan struct{}, askAtOnce), askingMembers: make(chan struct{}, askAtOnce),
	}
	if _, ok := n.peers.peer(options.Node); !ok {
		return nil, fmt.Errorf("%s is not in the list of arbiters", options.Node)
	}
	n.fsm = fsm.New(fsm.Hooks{OnApplied: n.onApplied, Halt: n.halt, OnSkipped: func(err error) { n.log.Warn("entry passed over", "error", err) }})
	server, err := newAPIServer(n)
	if err != nil {
		return nil, err
	}
	n.server = server
	return n, nil
}

// Run runs the node until the context ends, then drains it. It returns nil after an orderly end.
func (n *Node) Run(ctx context.Context) error {
	n.group = supervise.NewGroup(context.WithoutCancel(ctx))
	n.group.Go("grpc", n.server.run)
	if err := n.start(ctx); err != nil {
		if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			n.log.Info("ending before the cluster was found", "why", context.Cause(ctx))
			err = nil // it was asked to: that is an orderly end
		}
		n.group.Stop(err)
		return errors.Join(err, n.group.Wait(), n.peers.close())
	}
	select {
	case <-ctx.Done():
		n.log.Info("draining", "why", context.Cause(ctx))
	case <-n.group.Context().Done():
		n.log.Error("ending", "why", context.Cause(n.group.Context()))
	}
	return n.drain(ctx)
}

// start forms or joins the cluster and starts everything, in the order in which each needs the other.
func (n *Node) start(ctx context.Context) error {
	if err := n.startRaft(ctx); err != nil {
		return err
	}
	n.warnOfList()
	c := n.options.Clock
	refs := newReferences(referencePoints(n.options), n.options.Reach, c, n.log.Named("references"))
	n.view = newView(n.options.Node, c, n.fsm.State, refs)
	n.prober = n.options.NewProber(n.options.Node, func() failover.Index { return n.fsm.State().Applied }, n.view.observe)
	n.paths = newFencePaths(n.options.FencePathEvery, c, n.fsm.State, n.options.Drivers.Fencer.PathStatus, n.view.setPath)
	n.runner = newRunner(n.group.Context(), c, newExecutors(n.options.Drivers, c, n.view.answerWait), n.actionEnded)
	n.runner.failpoint = n.options.Failpoint
	n.startLoop()
	sender := &viewSender{view: n.view, clock: c, log: n.log.Named("view"), leader: n.leaderWatch, peers: n.peers, prober: n.prober}
	n.group.Go("loop", n.loop.run)
	n.group.Go("leadership", n.followLeadership)
	n.group.Go("leader", n.followLeader)
	n.group.Go("prober", n.prober.Run)
	n.group.Go("specs", n.followSpecs)
	n.group.Go("view sender", sender.run)
	n.group.Go("fence paths", n.paths.run)
	if n.options.RoutesEvery > 0 {
		n.routes = n.newRouteWatch()
		n.group.Go("routes", n.routes.run)
	}
	n.group.Go("reference points", func(ctx context.Context) error { return refs.run(ctx, n.view.troubled, n.view.wake) })
	n.group.Go("self-doubt", n.watchSelf)
	n.server.ready(n)
	n.setReadiness(arbiterv1.Readiness_READINESS_READY)
	return nil
}

func (n *Node) newRouteWatch() *routeWatch {
	return &routeWatch{
		every: n.options.RoutesEvery, clock: n.options.Clock, leading: n.leading, state: n.fsm.State, astray: n.options.Drivers.Inspect.Astray,
		program: n.options.Drivers.Inspect.RunsProgram, events: n.events.after, propose: n.proposeBody, log: n.log.Named("routes"), places: newRoutePlaces(),
		looking: map[routesLook]bool{},
	}
}

// actionEnded is what an action came to, also one whose outcome counts no more: it is committed only under the lease that it began with.
func (n *Node) actionEnded(e failover.ActionEnded) {
	n.log.Info("action ended", "group", e.Group, "intent", e.Intent, "result", e.Outcome.Result, "took", e.Outcome.Took, "detail", e.Outcome.Detail)
	n.loop.send(n.group.Context(), e)
}

func (n *Node) startLoop() {
	state, c := n.fsm.State(), n.options.Clock
	settings, now := failover.DefaultSettings(n.cluster), c.Boot()
	controller := failover.NewController(n.options.Node, settings, state, now)
	if n.options.Record != nil {
		n.options.Record.Begin(n.options.Node, settings, state, now)
	}
	n.intake = newIntake(n.leading, n.proposeBody, n.fsm.State, func(v failover.ViewSilent) { n.loop.send(n.group.Context(), v) })
	n.intake.failpoint = n.options.Failpoint
	n.mu.Lock()
	defer n.mu.Unlock()
	n.loop = &loop{
		node: n.options.Node, clock: c, log: n.log.Named("loop"), controller: controller, raft: n, runner: n.runner,
		lookAgain: n.intake.lookAgain, halt: func(why string) { n.halt(errors.New(why)) }, inputs: make(chan any, inputsKept),
		applied: make(chan struct{}, 1), state: n.fsm.State, leading: n.leading, questions: make(chan question), seen: state,
		group: n.group, record: n.options.Record, failpoint: n.options.Failpoint,
	}
}

// onApplied is called on Raft's goroutine: it only wakes others.
func (n *Node) onApplied(index failover.Index, state *failover.State, events []failover.Event) {
	if n.options.Applied != nil {
		n.options.Applied(index, state, events)
	}
	n.events.add(events, state.EventSeq)
	n.mu.Lock()
	close(n.advance)
	n.advance = make(chan struct{})
	if state.Reign.Index == index {
		n.reigned = n.options.Clock.Boot()
	}
	l := n.loop
	n.mu.Unlock()
	if l != nil {
		l.noteApplied()
	}
	select {
	case n.specs <- struct{}{}:
	default:
	}
}

// awaitApplied waits until an index is applied here.
func (n *Node) awaitApplied(ctx context.Context, index failover.Index) error {
	err := n.await(ctx, func(s *failover.State) bool { return s.Applied >= index || s.Reign.Index >= index })
	if err != nil {
		return fmt.Errorf("wait for index %d: %w", index, err)
	}
	return nil
}

// await waits until something holds of the applied state. The error is the cause of the context's end.
func (n *Node) await(ctx context.Context, holds func(*failover.State) bool) error {
	for {
		n.mu.Lock()
		advance := n.advance
		n.mu.Unlock()
		if holds(n.fsm.State()) {
			return nil
		}
		select {
		case <-advance:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// viewsLimit is how long after the beginning of a reign, beyond a heartbeat by which all learn of it, the leader waits for the arbiters' views.
const viewsLimit = time.Second

// awaitViews waits until the views that the beginning of this reign voided are here again, or have had their time: until then nobody knows whether
// an arbiter is silent and a primary unknown, or just not heard again.
func (n *Node) awaitViews(ctx context.Context) {
	if viewsCurrent(n.fsm.State()) {
		return
	}
	n.pass("before-views-status")
	n.mu.Lock()
	until := n.reigned + n.options.Timing.Heartbeat + viewsLimit
	n.mu.Unlock()
	ctx, cancel := clock.WithDeadline(ctx, n.options.Clock, until)
	defer cancel()
	_ = n.await(ctx, viewsCurrent) // what is missing then is missing
}

// viewsCurrent says whether there is a view of each voter.
func viewsCurrent(s *failover.State) bool {
	return !slices.ContainsFunc(s.Voters, func(node failover.NodeID) bool {
		v, _ := s.View(node)
		return !v.Current
	})
}

// pass is where a build for tests may end this process.
func (n *Node) pass(where string) {
	if n.options.Failpoint != nil {
		n.options.Failpoint(where)
	}
}

// Propose submits an entry for the loop and returns at once.
func (n *Node) Propose(data []byte, done func(*fsm.Response, error)) { n.propose(data, done) }

// Confirm succeeds once it is certain that this node led, in the term of the present reign, at some time after the call.
func (n *Node) Confirm(ctx context.Context) error {
	limited, cancel := clock.WithTimeout(ctx, n.options.Clock, 2*n.options.Timing.Election)
	defer cancel()
	confirmation, err := n.raft.Confirm(limited)
	if err != nil {
		return err
	}
	if reign := n.fsm.State().Reign.Term; failover.Term(confirmation.Term) != reign {
		return fmt.Errorf("%w: confirmed in term %d, the reign is of term %d", ErrNotConfirmed, confirmation.Term, reign)
	}
	return nil
}

func (n *Node) proposeBody(body failover.Body, done func(*fsm.Response, error)) {
	data, err := encode(n.fsm.State(), body, failover.WallTimeOf(n.options.Clock.Wall()), n.options.Node)
	if err != nil {
		n.group.Go("proposal", func(context.Context) error { done(nil, err); return nil })
		return
	}
	n.propose(data, done)
}

// halt ends this process: with a hung disk or an entry that it can't apply it does more harm than good.
func (n *Node) halt(err error) {
	n.log.Error("ending this arbiter", "error", err)
	n.group.Stop(fmt.Errorf("%w: %w", ErrHalted, err))
}

func (n *Node) setReadiness(r arbiterv1.Readiness) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ready = r
}

func (n *Node) readiness() arbiterv1.Readiness {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ready != arbiterv1.Readiness_READINESS_READY { // there may be no Raft to ask yet
		return n.ready
	}
	if leader, _ := n.raft.Leader(); leader == "" {
		return arbiterv1.Readiness_READINESS_NO_LEADER
	}
	return n.ready
}

func (n *Node) answeredBy(node failover.NodeID) (time.Duration, bool) {
	return n.stamps.AnsweredSince(raft.ServerID(node), n.raft.Term())
}
