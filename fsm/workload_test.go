package fsm

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/fsm/wire"
	"github.com/arbiter-ha/arbiter/fsm/wire/wiretest"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// committed is one entry of a log: a command, or a configuration of Raft's.
type committed struct {
	log           *raft.Log
	configuration *raft.Configuration
}

func (c committed) applyTo(machine *FSM) any {
	if c.configuration != nil {
		machine.StoreConfiguration(c.log.Index, *c.configuration)
		return nil
	}
	return machine.Apply(c.log)
}

// workload makes up a log: what arbiters, leaders and operators propose while members fail and recover. Much of it
// makes sense, so that operations go all the way; some of it is stale or nonsense.
type workload struct {
	t        *testing.T
	chance   *rand.Rand
	state    *failover.State // what the author of the next entry knows: everything so far
	index    uint64
	term     uint64
	wall     failover.WallTime
	sequence map[failover.NodeID]uint64
	down     map[failover.MemberName]bool
	rogue    map[failover.MemberName]bool
	stranger map[failover.MemberName]bool // another database than the group's
	starting map[failover.MemberName]bool // it says so, and does not answer otherwise
	kinds    []reflect.Type
}

var (
	workGroups  = []failover.GroupName{"pay", "shop"}
	workMembers = []failover.MemberName{"db1", "db2", "db3"}
	workNodes   = []failover.NodeID{"a1", "a2", "a3"}
)

func newWorkload(t *testing.T, seed uint64) *workload {
	w := &workload{
		t: t, chance: rand.New(rand.NewPCG(seed, 1)), term: 1, wall: 1_774_749_599_000_000_000, sequence: map[failover.NodeID]uint64{},
		down: map[failover.MemberName]bool{}, rogue: map[failover.MemberName]bool{},
		stranger: map[failover.MemberName]bool{}, starting: map[failover.MemberName]bool{},
	}
	for _, s := range wiretest.Samples(t) {
		w.kinds = append(w.kinds, reflect.TypeOf(s.Body))
	}
	return w
}

// beginning is how every log begins: voters, a reign, two groups, whole views, and adoption.
func (w *workload) beginning(apply func(committed)) {
	apply(w.configuration(workNodes...))
	apply(w.command(w.reign("a1")))
	for i, group := range workGroups {
		apply(w.command(w.applySpec(group, 0, len(workMembers)-i)))
	}
	for _, node := range workNodes {
		apply(w.command(w.observe(node, true)))
	}
	for _, group := range workGroups {
		apply(w.command(failover.Adopt{Request: w.request(), Group: group}))
	}
}

func (w *workload) advance() {
	w.index += 1 + w.chance.Uint64N(2) // Raft's own entries take indexes too
	w.wall += failover.WallTime(100 * time.Millisecond)
}

func (w *workload) configuration(nodes ...failover.NodeID) committed {
	w.advance()
	configuration := voters(nodes...)
	return committed{log: &raft.Log{Index: w.index}, configuration: &configuration}
}

func (w *workload) command(body failover.Body) committed {
	proposer := failover.NodeID("a1")
	if w.state != nil && w.state.Reign.Leader != "" {
		proposer = w.state.Reign.Leader
	}
	if b, ok := body.(failover.BeginReign); ok {
		proposer = b.Leader
	}
	w.advance()
	data, err := Encode(body, w.wall, proposer)
	if err != nil {
		w.t.Fatal(err)
	}
	return committed{log: &raft.Log{Index: w.index, Term: w.term, Data: data}}
}

// next makes up one more entry.
func (w *workload) next() committed {
	switch roll := w.chance.IntN(100); {
	case roll < 2:
		w.term++
		return w.command(w.reign(pick(w, workNodes)))
	case roll < 4:
		return w.configuration(w.voters()...)
	case roll < 30:
		w.happen()
		return w.command(w.observe(pick(w, workNodes), false))
	case roll < 75:
		return w.command(w.lead(pick(w, workGroups)))
	case roll < 88:
		return w.command(w.operate(pick(w, workGroups)))
	case roll < 91:
		return w.foreign()
	case roll < 95:
		node := pick(w, workNodes)
		view, _ := w.state.View(node)
		return w.command(failover.ExpireView{Node: node, Incarnation: view.Incarnation})
	}
	kind := pick(w, w.kinds)
	return w.command(rapid.Custom(func(t *rapid.T) failover.Body { return wiretest.AnyBody(t, kind) }).Example(w.chance.IntN(1 << 30)))
}

func pick[T any](w *workload, values []T) T { return values[w.chance.IntN(len(values))] }

// voters replaces one of the arbiters now and then.
func (w *workload) voters() []failover.NodeID {
	nodes := slices.Clone(workNodes)
	if w.chance.IntN(2) == 0 {
		nodes[w.chance.IntN(len(nodes))] = "a4"
	}
	return nodes
}

// foreign is an entry of a later version that this one may pass over.
func (w *workload) foreign() committed {
	w.advance()
	data := changed(w.t, func(e *arbiterv1.Entry) { e.Version, e.Ignorable = 2, true })
	return committed{log: &raft.Log{Index: w.index, Term: w.term, Data: data}}
}

func (w *workload) request() failover.Request {
	return failover.Request{ID: fmt.Sprintf("r%d", w.chance.IntN(2000)), Actor: "maria", Reason: "a <test> & \u2028 'more'"}
}

func (w *workload) reign(leader failover.NodeID) failover.BeginReign {
	return failover.BeginReign{Term: failover.Term(w.term), Leader: leader, Version: 1, ClusterID: "c0ffee"}
}

func (w *workload) applySpec(group failover.GroupName, expected uint64, members int) failover.ApplySpec {
	effective := wiretest.EffectiveSpec()
	effective.Group, effective.Members = string(group), nil
	for _, name := range workMembers[:members] {
		member := wiretest.EffectiveMember(string(name), 100)
		member.Address = fmt.Sprintf("%s.%s:5432", name, group) // each group has servers of its own
		effective.Members = append(effective.Members, member)
	}
	effective.Health = &arbiterv1.Health{
		Profile: proto.String("fast"), Checks: []*arbiterv1.Check{{Name: "postgres", Kind: "postgres", Required: proto.Bool(true)}},
	}
	policy := effective.GetPolicy()
	policy.MaxLossBytes, policy.DownVotes, policy.Cooldown = proto.Uint64(1<<40), nil, nil
	policy.PreferredZone = proto.String(pick(w, []string{"z-db1", "z-db2"}))
	body, err := wire.NewApplySpec(w.request(), wiretest.WrittenSpec(), effective, expected)
	if err != nil {
		w.t.Fatal(err)
	}
	return body
}

// happen lets a member fail or recover, or forget who it is.
func (w *workload) happen() {
	member := pick(w, workMembers)
	switch w.chance.IntN(14) {
	case 0, 1, 2:
		w.down[member] = true
	case 3, 4, 5, 6:
		delete(w.down, member)
	case 7:
		w.rogue[member] = true
	case 8:
		delete(w.rogue, member)
	case 10:
		w.stranger[member] = true
	case 11:
		delete(w.stranger, member)
	case 12:
		w.starting[member] = true
	case 13:
		delete(w.starting, member)
	}
}

// observe is what an arbiter sees of everybody: whole if its view is void.
func (w *workload) observe(node failover.NodeID, whole bool) failover.Observe {
	if w.state != nil {
		view, _ := w.state.View(node)
		whole = whole || !view.Current || w.chance.IntN(10) == 0
	}
	w.sequence[node]++
	batch := failover.Batch{Node: node, Incarnation: 1, Sequence: w.sequence[node], Whole: whole, Version: 1}
	if w.chance.IntN(20) == 0 {
		w.sequence[node] += 2 // the next batch is missed
		batch.Doubt = "its loop ran late"
	}
	for _, name := range workGroups {
		batch.Answers = append(batch.Answers, failover.Answer{Group: name, Index: failover.Index(w.index)})
		for _, member := range workMembers {
			batch.Observations = append(batch.Observations, w.look(name, member))
			batch.FencePaths = append(batch.FencePaths, failover.FencePath{Group: name, Member: member, Armed: true})
		}
	}
	return failover.Observe{Batches: []failover.Batch{batch}}
}

func (w *workload) look(name failover.GroupName, member failover.MemberName) failover.Observation {
	o := failover.Observation{Group: name, Member: member, Since: w.wall, AsOf: failover.Index(w.index)}
	reason := failover.ReasonAnswered
	system := "73"
	if w.stranger[member] {
		system = "74"
	}
	switch {
	case w.down[member]:
		reason = failover.ReasonRefused
	case w.starting[member]:
		reason = failover.ReasonStartingUp
	default:
		o.Facts = failover.Facts{Role: failover.RoleStandby, SystemID: system, Timeline: 1, Received: failover.LSN(w.index), Streaming: true}
		if w.writes(name, member) {
			o.Facts = failover.Facts{Role: failover.RolePrimary, AcceptsWrites: true, SystemID: system, Timeline: 1, Written: failover.LSN(w.index)}
		}
	}
	o.Checks = []failover.CheckState{{Name: "postgres", Evidence: failover.Evidence{Reason: reason, Detail: "<" + string(member) + ">"}}}
	return o
}

func (w *workload) writes(name failover.GroupName, member failover.MemberName) bool {
	if w.state == nil {
		return member == "db1"
	}
	group := w.state.Group(name)
	if group == nil || group.Writer() == "" {
		return member == "db1"
	}
	return group.Writer() == member || w.rogue[member]
}

// lead does what a leader does: the next step of the plan, and the outcome of what is open; what keeps it from that
// is put right.
func (w *workload) lead(name failover.GroupName) failover.Body {
	group := w.state.Group(name)
	if group == nil {
		return w.applySpec(name, 0, len(workMembers))
	}
	switch {
	case !group.Adopted && w.chance.IntN(2) == 0:
		return failover.Adopt{Request: w.request(), Group: name}
	case group.Pause != nil && w.chance.IntN(2) == 0:
		return failover.Resume{Request: w.request(), Group: name}
	}
	durations := failover.Durations{VerdictStood: time.Minute, InStage: time.Minute, SinceAttempt: time.Minute, SinceLastFailover: -1}
	if lease := group.Lease; lease != nil && lease.Holder == w.state.Reign.Leader && lease.Term == w.state.Reign.Term {
		durations.LeaseLeft = time.Second
	}
	operation := group.Operation
	if operation != nil && operation.Intent != nil && operation.Attempts == 0 {
		return failover.Conclude{Group: name, Epoch: group.Epoch, Operation: operation.ID, Intent: operation.Intent.Index, Outcome: w.outcome()}
	}
	decision := failover.Plan(w.state, name, durations)
	switch decision.Step {
	case failover.StepAcquire:
		return failover.AcquireLease{
			Group: name, Holder: w.state.Reign.Leader, Term: w.state.Reign.Term, AfterEpoch: group.Epoch, Duration: group.LeaseDuration(),
		}
	case failover.StepRelease:
		return failover.ReleaseLease{Group: name, Holder: w.state.Reign.Leader, Epoch: group.Epoch}
	case failover.StepIntend:
		return failover.Intend{
			Group: name, Epoch: group.Epoch, Operation: decision.Operation, Action: decision.Action, Member: decision.Member,
			Reinstate: decision.Reinstate, Basis: decision.Basis, Rule: decision.Rule,
		}
	case failover.StepTry:
		return failover.Conclude{Group: name, Epoch: group.Epoch, Operation: operation.ID, Intent: operation.Intent.Index, Outcome: w.outcome()}
	case failover.StepHold:
		return failover.HoldOperation{Group: name, Operation: decision.Operation, Reason: decision.Hold, Detail: decision.Detail}
	}
	if group.Lease == nil || w.chance.IntN(2) == 0 {
		return w.observe(pick(w, workNodes), false)
	}
	return failover.RenewLease{Group: name, Holder: w.state.Reign.Leader, Epoch: group.Epoch}
}

func (w *workload) outcome() failover.Outcome {
	outcome := wiretest.Outcome()
	outcome.Positions = nil
	for _, member := range workMembers {
		outcome.Positions = append(outcome.Positions, failover.MemberPosition{
			Member: member, Answered: !w.down[member], SystemID: "73", Timeline: 1, Received: failover.LSN(w.index), Detail: "read live",
		})
	}
	results := []failover.Result{failover.ResultDone, failover.ResultDone, failover.ResultDone, failover.ResultFailed, failover.ResultUnknown}
	outcome.Result = pick(w, results)
	return outcome
}

// operate is what an operator asks for.
func (w *workload) operate(name failover.GroupName) failover.Body {
	request, operation, seen := w.request(), failover.OperationID("none"), w.state.Applied
	member := pick(w, workMembers)
	var version uint64
	if group := w.state.Group(name); group != nil {
		version = group.SpecVersion
		if group.Operation != nil {
			operation = group.Operation.ID
		}
	}
	bodies := []failover.Body{
		failover.StartOperation{Request: request, Group: name, Kind: failover.KindFailover},
		failover.StartOperation{Request: request, Group: name, Kind: failover.KindFailover, Candidate: member},
		failover.Release{Request: request, Group: name, Operation: operation, Seen: seen, AcceptLoss: true, LossBytes: 1 << 30},
		failover.Release{Request: request, Group: name, Operation: operation, Seen: seen},
		failover.Abort{Request: request, Group: name, Operation: operation},
		failover.Reinstate{Request: request, Group: name, Operation: operation, Seen: seen},
		failover.Attest{Request: request, Group: name, Operation: operation, Seen: seen, Member: member},
		failover.Pause{Request: request, Group: name},
		failover.Resume{Request: request, Group: name},
		failover.Adopt{Request: request, Group: name},
		failover.Adopt{Request: request, Group: name, Member: member, Seen: seen, Attested: slices.DeleteFunc(slices.Clone(workMembers),
			func(m failover.MemberName) bool { return m == member })},
		w.applySpec(name, version, 2+w.chance.IntN(2)),
	}
	if w.chance.IntN(40) == 0 {
		bodies = []failover.Body{
			failover.DeleteGroup{Request: request, Group: name},
			failover.Restored{Request: request, EpochsAbove: failover.Epoch(w.index)},
		}
	}
	return pick(w, bodies)
}
