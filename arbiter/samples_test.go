package arbiter

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/clock"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

var rewriteSamples = flag.Bool("rewrite", false, "write the samples as arbiters answer now; review the difference as behaviour")

// TestSamples holds the answers that the screens of arbiterctl are tested with to what arbiters say: each is made here from a scripted log.
// A sentence that no arbiter produces can't get into a screen's test by it.
func TestSamples(t *testing.T) {
	orders, billing := ordersScript(t), billingScript(t)
	within := func(e failover.Explanation) failover.Explanation { return e.Within(12 * time.Second) }
	rehearse := func(silent string, unfit failover.Shortcoming) *arbiterv1.FailoverResponse {
		asked := askedAnew{since: orders.clock.Boot() - 30*time.Millisecond, Asked: failover.Asked{
			Routers: failover.Routers{Asked: []failover.RouterAnswer{{Route: "haproxy-1", Silent: silent}}},
			Fence:   failover.FenceAnswer{Member: "pg-a"}, Members: []failover.MemberAnswer{{Member: "pg-b", Unfit: unfit}},
		}}
		plan, err := orders.node().rehearse(&orders.state, orders.find(), within, failover.StartOperation{Request: operator, Group: orders.group, Kind: failover.KindFailover}, asked)
		if err != nil {
			t.Fatal(err)
		}
		return plan
	}
	plan, refused := rehearse("", failover.Shortcoming{}), rehearse("dial tcp 10.0.0.9:9999: connect: connection refused", failover.Shortcoming{})
	unfit := rehearse("", failover.Shortcoming{What: "allow_alter_system is off, so the token can't be written", Next: "set allow_alter_system = on"})
	well, check := orders.status(), orders.check()
	orders.partOff()
	fresh := newScript(t, sampleSpec("fence_ipmilan", 0, "pg-a", "pg-b"), "new-db", time.Date(2026, 11, 20, 12, 5, 0, 0, time.UTC), 9200)
	unfollowed := ordersScript(t)
	done, unproven, paused, ungranted := doneScript(t), unprovenScript(t), ordersScript(t), ungrantedScript(t)
	running, degraded, unasked := runningScript(t), ordersScript(t), ordersScript(t)
	recovering, down := ordersScript(t), ordersScript(t)
	recovering.startInRecovery()
	down.failPaused()
	degraded.refuseWrites()
	unasked.refuseLogins()
	paused.wall = time.Date(2026, 11, 20, 12, 4, 31, 0, time.UTC)
	paused.commit(failover.Pause{Request: operator, Group: paused.group})
	unfollowed.leaveBehind()
	for name, answer := range map[string]proto.Message{
		"unfollowed": unfollowed.status(), "new": fresh.status(), "epochs": epochsToProto(done.find()),
		"failover": done.operation(), "failover_running": running.operation(), "explain_running": running.explanation(), "explain_held": billing.explanation(), "failover_unproven": unproven.operation(),
		"unproven": unproven.status(), "check": check, "check_paused": paused.check(), "degraded": degraded.status(), "unasked": unasked.status(),
		"recovering": recovering.status(), "explain_recovering": recovering.explanation(), "paused_down": down.status(), "check_down": down.check(),
		"ungranted": ungranted.status(), "epochs_held": epochsToProto(ungranted.find()),
		"orders": well, "plan": plan, "plan_refused": refused, "plan_unfit": unfit, "explain": orders.explanation(), "billing": billing.status(),
	} {
		t.Run(name, func(t *testing.T) { holdSample(t, name, answer) })
	}
}

func holdSample(t *testing.T, name string, answer proto.Message) {
	t.Helper()
	file := filepath.Join("..", "cmd", "arbiterctl", "sample", "testdata", name+".json")
	if *rewriteSamples {
		writeSample(t, file, answer)
	}
	text, err := os.ReadFile(file)
	kept := answer.ProtoReflect().New().Interface()
	if err = errors.Join(err, protojson.Unmarshal(text, kept)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if !proto.Equal(kept, answer) {
		t.Errorf("arbiters answer otherwise than the sample; look at the diff after `go test ./arbiter -run TestSamples -rewrite`, and then at the screens:\n%v", answer)
	}
}

func writeSample(t *testing.T, file string, answer proto.Message) {
	t.Helper()
	raw, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(answer)
	var text bytes.Buffer
	if err = errors.Join(err, json.Indent(&text, raw, "", "  ")); err != nil { // protojson varies its spaces on purpose
		t.Fatal(err)
	}
	text.WriteByte('\n')
	if err := os.WriteFile(file, text.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

var operator = failover.Request{Actor: "dana", Reason: "kernel update"}

// script is a log that is made entry by entry, and what one arbiter sees live beside it.
type script struct {
	t        *testing.T
	group    failover.GroupName
	state    failover.State
	wall     time.Time
	view     *view
	clock    *clock.Fake
	seen     map[failover.NodeID]map[failover.MemberName]failover.Observation
	sequence uint64
	events   []failover.Event
	live     failover.Durations // what only the leader knows
}

var scriptNodes = []failover.NodeID{"az-a", "az-b", "az-c"}

// newScript begins a log after the given index with a group of this spec.
func newScript(t *testing.T, spec *failover.Spec, group failover.GroupName, wall time.Time, after failover.Index) *script {
	s := &script{t: t, group: group, wall: wall, state: failover.NewState(), live: failover.Durations{SinceLastFailover: -1}, seen: map[failover.NodeID]map[failover.MemberName]failover.Observation{}}
	s.clock = clock.NewFake(time.Hour, wall)
	s.view = newView("az-a", s.clock, func() *failover.State { return &s.state }, newReferences(nil, nil, s.clock, hclog.NewNullLogger()))
	s.state.Applied = after
	s.commit(failover.SetVoters{Voters: scriptNodes})
	s.commit(failover.ApplySpec{Request: operator, Group: group, Spec: spec, Source: []byte("source")})
	s.commit(failover.BeginReign{Leader: "az-a", Term: 3})
	return s
}

func (s *script) commit(body failover.Body) {
	s.t.Helper()
	state, events := failover.Next(s.state, failover.Entry{
		Index: s.state.Applied + 1, Term: 3, Wall: failover.WallTime(s.wall.UnixNano()), Proposer: "az-a", Body: body,
	})
	for _, e := range events {
		if e.Kind == failover.Rejected {
			s.t.Fatalf("%T: %s", body, e.Text)
		}
	}
	s.state, s.events = state, append(s.events, events...)
}

func (s *script) find() *failover.Group { return s.state.Group(s.group) }

func (s *script) node() *Node { return &Node{view: s.view, options: Options{Node: "az-a"}} }

func (s *script) explain() failover.Explanation {
	return failover.Explain(s.node().judged(&s.state, s.find()), s.group, s.live).Within(12 * time.Second)
}

func (s *script) explanation() *arbiterv1.ExplainResponse {
	return s.node().explanationToProto(&s.state, s.find(), s.explain())
}

func (s *script) status() *arbiterv1.GroupStatus {
	return s.node().groupToProto(&s.state, s.find(), s.explain())
}

// check is a check of which the arbiters have not told what they found.
func (s *script) check() *arbiterv1.CheckGroupResponse {
	return &arbiterv1.CheckGroupResponse{
		Group: string(s.group), Findings: obstacles(&s.state, s.group, s.live), WouldDo: s.explain().WouldDo, Possible: s.explain().Possible(),
	}
}

// see changes what arbiters see of a member.
func (s *script) see(member failover.MemberName, evidence failover.Evidence, facts failover.Facts, nodes ...failover.NodeID) {
	if facts.Role != failover.RoleUnknown {
		facts.SystemID, facts.Timeline = "7", 3
	}
	for _, node := range nodes {
		if s.seen[node] == nil {
			s.seen[node] = map[failover.MemberName]failover.Observation{}
		}
		s.seen[node][member] = failover.Observation{
			Group: s.group, Member: member, Facts: facts, Since: failover.WallTime(s.wall.UnixNano()),
			Checks: []failover.CheckState{{Name: "postgres", Evidence: evidence}},
		}
	}
}

// send commits what all arbiters see, each with the doubt that it has, and answers to looking again if that was asked for.
func (s *script) send(doubts map[failover.NodeID]string) {
	s.t.Helper()
	s.sequence++
	var batches []failover.Batch
	for _, node := range scriptNodes {
		b := failover.Batch{Node: node, Incarnation: s.sequence, Sequence: 1, Whole: true, Doubt: doubts[node], Version: failover.CurrentVersion}
		for _, m := range s.find().Spec.Members {
			o := s.seen[node][m.Name]
			o.AsOf = s.state.Applied
			b.Observations = append(b.Observations, o)
			b.FencePaths = append(b.FencePaths, failover.FencePath{Group: s.group, Member: m.Name, Armed: true, Detail: m.Fence[0].Devices[0].Method, AsOf: s.state.Applied})
			if node == "az-a" {
				s.clock.Advance(10 * time.Millisecond)
				s.view.setPath(b.FencePaths[len(b.FencePaths)-1])
				r := Report{Observation: o, Address: m.Address, SpecSince: s.find().SpecSince, Began: s.clock.Boot() - 10*time.Millisecond, Ended: s.clock.Boot()}
				if o.Facts.Role != failover.RoleUnknown && !o.Facts.Stale {
					r.Told = Told{Began: r.Began, Ended: r.Ended}
				}
				s.view.observe(r)
			}
		}
		if op := s.find().Operation; op != nil {
			b.Answers = []failover.Answer{{Group: s.group, Index: op.ConfirmedAt}}
		}
		batches = append(batches, b)
	}
	s.commit(failover.Observe{Batches: batches})
}

// adopt commits the group's adoption under the epoch after the one that its members hold, and that they hold that.
func (s *script) adopt() {
	s.send(nil)
	s.commit(failover.Adopt{Request: operator, Group: s.group})
	for _, members := range s.seen {
		for m, o := range members {
			o.Facts.Epoch = s.find().Epoch
			members[m] = o
		}
	}
	s.send(nil)
}

var well = failover.Evidence{Reason: failover.ReasonAnswered}

// sampleSpec is a group whose members are fenced by one device each.
func sampleSpec(method string, maxLoss uint64, members ...failover.MemberName) *failover.Spec {
	spec := &failover.Spec{
		Engine: failover.EnginePostgres,
		Health: failover.Health{Checks: []failover.Check{{
			Name: "postgres", Kind: failover.CheckPostgres, Required: true, Interval: 200 * time.Millisecond, Timeout: 250 * time.Millisecond, Failures: 2, Successes: 1,
		}}},
		Policy: failover.Policy{
			Automation: failover.AutomationFull, MaxLossBytes: maxLoss, Cooldown: 5 * time.Minute, LeaseDuration: 2 * time.Second,
			MaxAttempts: 3, RetryInterval: 10 * time.Second, RefenceRogues: true,
		},
		Routes: []failover.Route{{Router: "haproxy", Name: "haproxy-1"}},
	}
	for i, m := range members {
		spec.Members = append(spec.Members, failover.MemberSpec{
			Name: m, Zone: string(scriptNodes[i]), Address: string(m) + ".internal:5432", Priority: 100, ApplicationName: string(m),
			Fence: []failover.FenceLevel{{Devices: []failover.FenceDevice{{Method: method, Settings: []failover.Setting{{Key: "plug", Value: string(m)}}}}}},
		})
	}
	return spec
}

// ordersScript is a group that is well, with a synchronous standby, and one that is starting up for two of three arbiters.
func ordersScript(t *testing.T) *script {
	s := newScript(t, sampleSpec("fence_ipmilan", 0, "pg-a", "pg-b", "pg-c"), "orders-db", time.Date(2026, 11, 8, 9, 0, 2, 0, time.UTC), 8803)
	const end = failover.LSN(0x5A11F28)
	s.see("pg-a", well, failover.Facts{
		Role: failover.RolePrimary, AcceptsWrites: true, Written: end, Epoch: 3, SyncRule: failover.SyncRule{Need: 1, Names: []string{"pg-b"}},
		Replicas: []failover.Replica{{Name: "pg-b", Streaming: true, Sync: true}, {Name: "pg-c", Streaming: true}},
	}, scriptNodes...)
	standby := failover.Facts{Role: failover.RoleStandby, Received: end, Replayed: end, Streaming: true, Epoch: 3}
	s.see("pg-b", well, standby, scriptNodes...)
	s.see("pg-c", well, standby, scriptNodes...)
	s.adopt()
	s.see("pg-c", failover.Evidence{Reason: failover.ReasonStartingUp, Detail: "FATAL: the database system is starting up (SQLSTATE 57P03)"},
		failover.Facts{}, "az-a", "az-b")
	s.send(nil)
	return s
}

// partOff lets one arbiter lose the primary, and its reference points with it.
func (s *script) partOff() {
	s.wall = time.Date(2026, 11, 20, 12, 4, 31, 207_000_000, time.UTC)
	s.see("pg-a", failover.Evidence{Reason: failover.ReasonTimeout, Detail: "dial tcp 10.0.0.1:5432: i/o timeout"}, failover.Facts{}, "az-b")
	s.send(map[failover.NodeID]string{"az-b": "can't reach its reference points (az-a, az-c)"})
	s.almostDown("pg-a")
}

// almostDown lets the arbiter that answers count a failure of a member that it sees well.
func (s *script) almostDown(member failover.MemberName) {
	s.clock.Advance(10 * time.Millisecond)
	report, _ := s.view.look(s.group, member)
	report.Began, report.Ended = s.clock.Boot()-10*time.Millisecond, s.clock.Boot()
	report.Towards = []failover.BadLooks{{
		Check: "postgres", Count: 1, Latest: failover.Evidence{Reason: failover.ReasonRefused, Detail: "dial tcp 10.0.0.1:5432: connect: connection refused"},
	}}
	s.view.observe(report)
}

// refuseWrites lets two arbiters see the primary answer without taking writes.
func (s *script) refuseWrites() {
	facts := s.seen["az-a"]["pg-a"].Facts
	facts.AcceptsWrites = false
	s.see("pg-a", failover.Evidence{Reason: failover.ReasonReadOnly, Detail: "every transaction is read-only"}, facts, "az-a", "az-b")
	s.send(nil)
}

// startInRecovery lets the primary be started again as a standby of nobody: every check of it is good.
func (s *script) startInRecovery() {
	written := s.seen["az-a"]["pg-a"].Facts.Written
	s.see("pg-a", well, failover.Facts{Role: failover.RoleStandby, Received: written, Replayed: written, Epoch: s.find().Epoch}, scriptNodes...)
	s.send(nil)
}

// failPaused pauses the group, and lets its primary die then.
func (s *script) failPaused() {
	s.wall = time.Date(2026, 11, 20, 12, 1, 0, 0, time.UTC)
	s.commit(failover.Pause{Request: operator, Group: s.group})
	s.wall = time.Date(2026, 11, 20, 12, 4, 31, 207_000_000, time.UTC)
	s.see("pg-a", failover.Evidence{Reason: failover.ReasonRefused, Detail: "dial tcp 10.0.0.1:5432: connect: connection refused"}, failover.Facts{}, scriptNodes...)
	s.send(nil)
}

// refuseLogins lets no arbiter log in to any member any more.
func (s *script) refuseLogins() {
	refused := failover.Evidence{Reason: failover.ReasonBadCredentials, Detail: `password authentication failed for user "arbiter"`}
	for _, m := range s.find().Spec.Members {
		facts := s.seen["az-a"][m.Name].Facts
		facts.Stale, facts.AcceptsWrites = true, false
		s.see(m.Name, refused, facts, scriptNodes...)
	}
	s.send(nil)
}

// leaveBehind lets the standby that would be promoted receive from nobody.
func (s *script) leaveBehind() {
	facts := s.seen["az-a"]["pg-b"].Facts
	facts.Streaming = false
	s.see("pg-b", well, facts, scriptNodes...)
	s.send(nil)
}

// billingScript is a group whose failover is held after the fence, since the best standby is too far behind.
func billingScript(t *testing.T) *script {
	spec := sampleSpec("fence_vmware_rest", 16_000_000, "pg-1", "pg-2")
	for _, m := range spec.Members { // nobody can suspend these machines
		device := &m.Fence[0].Devices[0]
		device.Settings = append(device.Settings, failover.Setting{Key: "proof", Value: "off"})
	}
	s := newScript(t, spec, "billing", time.Date(2026, 11, 20, 12, 4, 31, 500_000_000, time.UTC), 9113)
	const written, held = failover.LSN(1_000_000_000), failover.LSN(928_654_322)
	s.see("pg-1", well, failover.Facts{Role: failover.RolePrimary, AcceptsWrites: true, Written: written, Epoch: 7}, scriptNodes...)
	s.see("pg-2", well, failover.Facts{Role: failover.RoleStandby, Received: written, Replayed: written, Streaming: true, Epoch: 7}, scriptNodes...)
	s.adopt()
	s.see("pg-1", failover.Evidence{Reason: failover.ReasonRefused, Detail: "dial tcp 10.0.0.1:5432: connect: connection refused"}, failover.Facts{}, scriptNodes...)
	s.send(nil)
	s.commit(failover.AcquireLease{Group: s.group, Holder: "az-a", Term: 3, AfterEpoch: s.find().Epoch, Duration: 2 * time.Second})
	s.send(nil)
	s.act(failover.ActionIsolate, failover.Outcome{
		Result: failover.ResultDone, Detail: "CONFIRMED_OFF by fence_vmware_rest", Proof: failover.Proof{Grade: failover.ProofConfirmedOff, By: "fence_vmware_rest"},
	})
	s.see("pg-2", well, failover.Facts{Role: failover.RoleStandby, Received: held, Replayed: held, Epoch: 9}, scriptNodes...)
	s.send(nil)
	s.act(failover.ActionCatchUp, failover.Outcome{Result: failover.ResultDone, Detail: "pg-2 at 0/375A2FF2", Positions: []failover.MemberPosition{
		{Member: "pg-1", Detail: "connection refused"}, {Member: "pg-2", Answered: true, SystemID: "7", Timeline: 3, Received: held, Replayed: held},
	}})
	decision := failover.Plan(&s.state, s.group, failover.Durations{LeaseLeft: time.Second, SinceLastFailover: -1})
	if decision.Step != failover.StepHold {
		t.Fatalf("the leader does not hold it: %+v", decision)
	}
	s.commit(failover.HoldOperation{Group: s.group, Operation: s.find().Operation.ID, Reason: decision.Hold, Detail: decision.Detail})
	s.commit(failover.ReleaseLease{Group: s.group, Holder: "az-a", Epoch: s.find().Epoch})
	return s
}

// act commits an intent about the former primary and its outcome.
func (s *script) act(action failover.ActionKind, o failover.Outcome) {
	s.t.Helper()
	op := s.find().Operation
	s.commit(failover.Intend{Group: s.group, Epoch: s.find().Epoch, Operation: op.ID, Action: action, Member: op.From})
	intent := s.find().Operation.Intent
	if intent == nil {
		s.t.Fatalf("no intent to %s is open", action)
	}
	s.commit(failover.Conclude{Group: s.group, Epoch: s.find().Epoch, Operation: op.ID, Intent: intent.Index, Outcome: o})
	if !slices.Contains([]failover.Stage{failover.Isolated, failover.CaughtUp}, s.find().Stage) {
		s.t.Fatalf("after %s it is %s", action, s.find().Stage)
	}
}
