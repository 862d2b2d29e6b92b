package e2e

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/internal/lab"
	"github.com/arbiter-ha/arbiter/internal/lab/database"
	"github.com/arbiter-ha/arbiter/internal/lab/power"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// outlet is what a supply feeds: it can be switched, and nothing hangs on it.
type outlet struct {
	name string
	mu   sync.Mutex
	off  bool
}

func (o *outlet) Name() string                   { return o.name }
func (o *outlet) PowerOff(context.Context) error { return o.turn(true) }
func (o *outlet) PowerOn(context.Context) error  { return o.turn(false) }

func (o *outlet) turn(off bool) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.off = off
	return nil
}

func (o *outlet) On() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.off
}

// supply is a power switch of the test's own beside the one that feeds the machines.
type supply struct {
	*power.Switch
	socket string
}

// newSupply makes one that is reached by a socket in the directory. It serves until the test ends.
func newSupply(t *testing.T, dir, name string, members []*database.Server) *supply {
	t.Helper()
	var outlets []*outlet
	for _, m := range members {
		outlets = append(outlets, &outlet{name: m.Name()})
	}
	s := &supply{Switch: power.NewSwitch(outlets), socket: filepath.Join(dir, name+".sock")}
	listener, err := net.Listen("unix", s.socket)
	if err != nil {
		t.Fatal(err)
	}
	s.Serve(listener)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// device is the supply as a device of a member's fence, as YAML.
func (s *supply) device(m *database.Server, more string) string {
	return fmt.Sprintf("{device: fence_lab, socket: %s, plug: %s, proof: off%s}", s.socket, m.Name(), more)
}

// mains is the power switch that feeds the machines, as a device of a member's fence.
func (s *stage) mains(m *database.Server) string {
	return strings.TrimSuffix(strings.TrimPrefix(s.PowerFence(m), "[["), "]]")
}

// fence gives every member another fence.
func (s *stage) fence(fence func(*database.Server) string, policy ...string) {
	s.t.Helper()
	s.apply(s.yaml(plan{spec: lab.Spec{Fence: fence}, policy: policy}))
	s.ready()
	s.epoch = s.status().GetEpoch() // the group was adopted anew
}

// isolation is the step of an operation that proved that the old primary was isolated: by its fence, or by a person's word.
func isolation(op *arbiterv1.Operation) *arbiterv1.Step {
	for _, step := range slices.Backward(op.GetSteps()) {
		if (step.GetName() == "isolate" || step.GetName() == "attest") && step.GetResult() == "done" {
			return step
		}
	}
	return nil
}

// The first device fails, the next level succeeds.
func TestScenario21_NextLevel(t *testing.T) {
	full(t)
	s := enter(t, plan{})
	broken := newSupply(t, s.Site.Dir(), "broken", s.Members)
	s.fence(func(m *database.Server) string {
		return fmt.Sprintf("[[%s], [%s]]", broken.device(m, ", timeout: 3s"), s.mains(m))
	})
	s.must(broken.SetFault(s.primary.Name(), power.Fault{Gone: true}))
	s.crash()
	to, op := s.failedOver()
	s.promoted(to, op)
	if step := isolation(op); !gaveNoProof(step) || !strings.HasPrefix(step.GetProof(), "CONFIRMED_OFF") {
		t.Errorf("isolation %v", step)
	}
	if len(s.offs()) == 0 {
		t.Error("the second level was not asked")
	}
	s.mustBeOff(s.primary)
}

// gaveNoProof says that a device of the isolation was tried in vain.
func gaveNoProof(isolation *arbiterv1.Step) bool {
	return slices.ContainsFunc(isolation.GetParts(), func(p *arbiterv1.StepTime) bool {
		return strings.Contains(p.GetName(), "gave no proof") && p.GetDetail() != ""
	})
}

// All devices of a level must succeed: a machine with two power supplies is off when both are.
func TestScenario22_AllDevicesOfALevel(t *testing.T) {
	full(t)
	s := enter(t, plan{ownFences: primarysFence})
	second := newSupply(t, s.Site.Dir(), "second", s.Members)
	s.fence(func(m *database.Server) string {
		return fmt.Sprintf("[[%s, %s]]", s.mains(m), second.device(m, ", timeout: 3s"))
	}, "max_attempts: 2")
	s.must(second.SetFault(s.primary.Name(), power.Fault{Gone: true}))
	s.crash()
	s.held("fence-unproven", s.primary.Name(), "attest")
	s.unpromoted()
	s.must(second.SetFault(s.primary.Name(), power.Fault{}))
	to, op := s.failedOver()
	s.promoted(to, op)
	if step := isolation(op); strings.Count(step.GetProof(), "fence_lab") != 2 {
		t.Errorf("the proof does not name both devices: %v", step)
	}
}

// unpromoted asserts that nobody but the old primary accepted a write.
func (s *stage) unpromoted() {
	s.t.Helper()
	for _, span := range s.truth.Spans() {
		if span.Member != s.primary.Name() {
			s.t.Errorf("%s accepted writes without a proof that %s can't", span.Member, s.primary.Name())
		}
	}
}

// A device has its own time limit: one that hangs does not eat the time of the next.
func TestScenario23_DeviceHangs(t *testing.T) {
	full(t)
	s := enter(t, plan{ownFences: primarysFence})
	hanging := newSupply(t, s.Site.Dir(), "hanging", s.Members)
	const limit, ending = 2 * time.Second, 5 * time.Second // ending is what a program that was told to end is waited for
	s.fence(func(m *database.Server) string {
		return fmt.Sprintf("[[%s], [%s]]", hanging.device(m, fmt.Sprintf(", timeout: %v, retries: 1", limit)), s.mains(m))
	})
	s.must(hanging.SetFault(s.primary.Name(), power.Fault{Hang: true}))
	s.crash()
	to, op := s.failedOver()
	s.promoted(to, op)
	hung, worked := s.parts(op)
	if worked.GetStart().AsDuration() < hung.GetLength().AsDuration() {
		t.Errorf("the next level did not wait for the first: %v, %v", hung, worked)
	}
	// Without its limit it would have had 10 s, half of the action's time.
	if took := hung.GetLength().AsDuration(); took < limit || took > limit+ending {
		t.Errorf("a device with a limit of %v had %v: %v", limit, took, hung)
	}
	s.toldOff(hanging, 1) // which took all of its time: none was left for another try
	s.mustBeOff(s.primary)
}

// A device that fails is tried again as often as its spec says, and no more: the next level has its turn before it would have worked.
func TestScenario23_DeviceIsTriedAgain(t *testing.T) {
	full(t)
	s := enter(t, plan{ownFences: primarysFence})
	failing := newSupply(t, s.Site.Dir(), "failing", s.Members)
	s.fence(func(m *database.Server) string {
		return fmt.Sprintf("[[%s], [%s]]", failing.device(m, ", retries: 1"), s.mains(m))
	})
	s.must(failing.SetFault(s.primary.Name(), power.Fault{FailOff: 2}))
	s.crash()
	to, op := s.failedOver()
	s.promoted(to, op)
	s.parts(op)
	s.toldOff(failing, 2)
	s.mustBeOff(s.primary)
}

// parts are those of an isolation whose first level gave no proof and whose second one did.
func (s *stage) parts(op *arbiterv1.Operation) (failed, worked *arbiterv1.StepTime) {
	s.t.Helper()
	for _, part := range isolation(op).GetParts() {
		switch {
		case strings.Contains(part.GetName(), "no proof"):
			failed = part
		case strings.Contains(part.GetName(), "read back off"):
			worked = part
		}
	}
	if failed == nil || worked == nil {
		s.t.Fatalf("isolation %v", isolation(op))
	}
	return failed, worked
}

// toldOff waits until a supply was told so many times to switch the primary off, and asserts that it was not told more often.
func (s *stage) toldOff(supply *supply, times int) {
	s.t.Helper()
	s.await("the device to have been told to switch off", func() error {
		tries := slices.DeleteFunc(supply.Requests(), func(r power.Request) bool { return r.Plug != s.primary.Name() || r.Action != "off" })
		if len(tries) > times {
			s.t.Fatalf("it was told %d times, want %d: %v", len(tries), times, tries)
		}
		if len(tries) < times {
			return fmt.Errorf("it was told %d times: %v", len(tries), tries)
		}
		return nil
	})
}

// The device says off, and the target still answers: that is no proof. A frozen machine accepts connections.
func TestScenario24_DeviceLies(t *testing.T) {
	full(t)
	s := enter(t, plan{ownFences: primarysFence, policy: []string{"max_attempts: 2"}})
	s.must(s.Power.SetFault(s.primary.Name(), power.Fault{Lie: true}))
	s.inject(lab.Freeze)
	s.held("fence-unproven", "still answers")
	s.unpromoted()
	if !s.primary.Host().On() {
		t.Fatal("the lying device switched off")
	}
	s.must(s.Power.SetFault(s.primary.Name(), power.Fault{}))
	to, op := s.failedOver()
	s.promoted(to, op)
}

// The device says off, and the machine refuses connections, since only its postmaster was killed: a kernel that refuses has power, and the
// session that was left behind goes on committing. Nobody is promoted beside it.
func TestScenario24_OrphanBehindADeviceThatLies(t *testing.T) {
	full(t)
	s := enter(t, plan{ownFences: primarysFence, policy: []string{"max_attempts: 2"}})
	s.namespaces()
	s.must(s.Power.SetFault(s.primary.Name(), power.Fault{Lie: true}))
	orphan := s.orphan()
	s.held("fence-unproven", "still answers", s.primary.Address()+" refuses connections", "Check its plug")
	s.commits(orphan)
	s.unpromoted()
	if !s.primary.Host().On() {
		t.Fatal("the lying device switched off")
	}
	s.must(s.Power.SetFault(s.primary.Name(), power.Fault{}))
	to, op := s.failedOver()
	s.promoted(to, op)
	s.endedBefore(orphan, to)
}

// The device of the first level lies, and the next level is honest.
func TestScenario24_NextLevelIsHonest(t *testing.T) {
	full(t)
	s := enter(t, plan{ownFences: primarysFence})
	liar := newSupply(t, s.Site.Dir(), "liar", s.Members)
	s.fence(func(m *database.Server) string {
		return fmt.Sprintf("[[%s], [%s]]", liar.device(m, ", timeout: 3s"), s.mains(m))
	})
	s.inject(lab.Freeze)
	to, op := s.failedOver()
	s.promoted(to, op)
	if !slices.ContainsFunc(liar.Requests(), func(r power.Request) bool { return r.Plug == s.primary.Name() && r.Action == "off" }) {
		t.Error("the device that lies was not asked")
	}
	contradicted := slices.ContainsFunc(isolation(op).GetParts(), func(p *arbiterv1.StepTime) bool { return p.GetName() == "member still answers" })
	if !contradicted {
		t.Errorf("nothing says that the word of the device that lies was not believed: %v", isolation(op))
	}
	s.mustBeOff(s.primary)
}

// No fence path can be reached: held, and an operator's word releases it, unless the member is seen answering.
func TestScenario25_NoFencePath(t *testing.T) {
	s := enter(t, plan{ownFences: primarysFence, policy: []string{"max_attempts: 2"}})
	s.must(s.Power.SetFault(s.primary.Name(), power.Fault{Gone: true}))
	s.crash()
	s.held("fence-unproven", s.primary.Name(), "attest")
	s.unpromoted()
	if !testing.Short() {
		s.attestRefused()
	}
	_, err := s.Ctl(s.ctx, "attest", lab.Group, s.primary.Name(), "--yes", "--reason", "I stand before it and it is dark")
	s.must(err)
	to, op := s.failedOver()
	s.promoted(to, op)
	if !strings.Contains(fmt.Sprint(op.GetSteps()), "ATTESTED") {
		t.Errorf("the operation does not say that it rests on a person's word: %v", op.GetSteps())
	}
	s.says([]string{"epoch", lab.Group}, "ATTESTED", "operator")
}

// attestRefused starts the primary again behind everybody's back: nobody can vouch for a member that answers.
func (s *stage) attestRefused() {
	s.t.Helper()
	s.must(s.primary.Start(s.ctx))
	s.until("seen to answer", func(g *arbiterv1.GroupStatus) bool {
		for _, m := range g.GetMembers() {
			if m.GetMember() == s.primary.Name() {
				return m.GetStatus() == "up"
			}
		}
		return false
	})
	out, err := s.Ctl(s.ctx, "attest", lab.Group, s.primary.Name(), "--yes", "--reason", "I believe so")
	if err == nil || !strings.Contains(err.Error(), "S3") && !strings.Contains(err.Error(), "answering") {
		s.t.Errorf("attest of a member that answers: %s, %v", out, err)
	}
	s.must(s.primary.Crash(s.ctx))
	s.until("seen dead", func(g *arbiterv1.GroupStatus) bool {
		for _, m := range g.GetMembers() {
			if m.GetMember() != s.primary.Name() {
				continue
			}
			for _, v := range m.GetViews() {
				if v.GetStatus() != "down" {
					return false
				}
			}
			return true
		}
		return false
	})
}

// A fence path that is silent is shown before it is needed.
func TestScenario28_NotArmed(t *testing.T) {
	full(t)
	s := enter(t, plan{ownFences: firstsFence})
	s.must(s.Power.SetFault(s.first.Name(), power.Fault{Gone: true}))
	// For a moment after a change of leader nobody's path is known, so that a group isn't armed is not enough.
	s.until("not armed for want of "+s.first.Name()+"'s fence", func(g *arbiterv1.GroupStatus) bool {
		armed, fence := fenceOf(g, s.first)
		return !g.GetArmed() && !armed && strings.Contains(fence, s.first.Name())
	})
	s.says([]string{"status"}, "not armed")
	if *fenceMode != "gone" { // else it is another one's fence that is named first
		s.says([]string{"status"}, "not armed", s.first.Name())
	}
	s.must(s.Power.SetFault(s.first.Name(), power.Fault{}))
	s.until("armed", func(g *arbiterv1.GroupStatus) bool {
		armed, _ := fenceOf(g, s.first)
		return armed && (g.GetArmed() || *fenceMode == "gone")
	})
	s.nothingDone()
}

// fenceOf says whether a member's fence path is armed, and what is said of it.
func fenceOf(g *arbiterv1.GroupStatus, of *database.Server) (armed bool, says string) {
	for _, m := range g.GetMembers() {
		if m.GetMember() == of.Name() {
			return m.GetArmed(), m.GetFence()
		}
	}
	return false, ""
}
