package e2e

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/arbiter-ha/arbiter/internal/lab"
	"github.com/arbiter-ha/arbiter/internal/lab/database"
	"github.com/arbiter-ha/arbiter/internal/lab/power"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// fenceMode runs every scenario with a bad fence: `make e2e FENCE=gone`. What a scenario asserts must hold all the same, in its
// time: an operation that can't prove its fence is held until the fence is repaired, and then goes on.
var fenceMode = flag.String("fence", os.Getenv("FENCE"), "make every fence slow, lying or gone until an operation is held for it")

// badFences are the ways in which a fence is bad.
var badFences = map[string]power.Fault{"slow": slowFence, "lying": lyingFence, "gone": goneFence}

// lied says that every fence lies: a member that answers nobody keeps its power then, and nobody notices.
func lied() bool { return *fenceMode == "lying" }

// Whose fence a scenario can be about.
var (
	primarysFence = func(s *stage) []*database.Server { return []*database.Server{s.primary} }
	firstsFence   = func(s *stage) []*database.Server { return []*database.Server{s.first} }
	everyFence    = func(s *stage) []*database.Server { return s.Members }
)

// mustBeOff asserts that a member has no power, unless its fence lies.
func (s *stage) mustBeOff(m *database.Server) {
	s.t.Helper()
	if m.Host().On() && (!lied() || slices.Contains(s.owned, m)) {
		s.t.Errorf("%s still has power", m.Name())
	}
}

// repair stands for the operator who repairs a bad fence once an operation is held for it.
type repair struct {
	cancel context.CancelFunc
	done   sync.WaitGroup
	made   atomic.Bool // an operation was held, and the fence is good again
	// writers are the members that may write before; unsafe are others that wrote before the fence was repaired.
	writers, unsafe []string
}

// repaired says whether a bad fence was repaired, for which an operation had to wait.
func (r *repair) repaired() bool { return r != nil && r.made.Load() }

// spoilFence makes the fence of every member as bad as -fence says, but for those that the scenario is about: one with such fences repairs them
// itself. The writers are those that write now.
func (s *stage) spoilFence(writers ...*database.Server) {
	s.t.Helper()
	fault, bad := badFences[*fenceMode]
	if !bad {
		if *fenceMode != "" {
			s.t.Fatalf("unknown -fence %q: use slow, lying or gone", *fenceMode)
		}
		return
	}
	for _, m := range s.Members {
		if !slices.Contains(s.owned, m) {
			s.must(s.Power.SetFault(m.Name(), fault))
		}
	}
	ctx, cancel := context.WithCancel(s.ctx)
	s.repair = &repair{cancel: cancel}
	for _, m := range writers {
		s.repair.writers = append(s.repair.writers, m.Name())
	}
	if len(s.owned) == 0 {
		s.repair.done.Go(func() { s.repairWhenHeld(ctx) })
	}
}

// giveUpFences ends what the scenario did to fences of its own: from now on -fence has its way with all of them.
func (s *stage) giveUpFences() {
	s.t.Helper()
	for _, m := range s.owned {
		s.must(s.Power.SetFault(m.Name(), power.Fault{}))
	}
	s.owned = nil
	if s.repair != nil {
		s.repair.cancel()
	}
	s.spoilFence(s.primary)
}

func (s *stage) repairWhenHeld(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(50 * time.Millisecond):
		}
		status, err := s.api.GetStatus(ctx, &arbiterv1.GetStatusRequest{})
		if err != nil || !slices.ContainsFunc(status.GetGroups(), heldForItsFence) {
			continue
		}
		may := slices.Clone(s.repair.writers)
		for _, g := range status.GetGroups() {
			may = append(may, g.GetPrimary(), g.GetBeingPromoted(), g.GetOperation().GetFrom())
		}
		if s.truth != nil {
			for _, span := range s.truth.Spans() {
				if !slices.Contains(may, span.Member) {
					s.repair.unsafe = append(s.repair.unsafe, span.Member)
				}
			}
		}
		for _, m := range s.Members {
			_ = s.Power.SetFault(m.Name(), power.Fault{}) // a member that isn't there any more needs no repair
		}
		s.repair.made.Store(true)
		if lied() {
			s.vouchWhereAdvised(ctx)
		}
		return
	}
}

// vouchWhereAdvised does what `explain` advises where devices were seen to lie, and are not believed any more, repaired or not: a member that answers is
// let write again; another one is switched off by hand, and vouched for.
func (s *stage) vouchWhereAdvised(ctx context.Context) {
	for {
		text, _ := s.Ctl(ctx, "explain", lab.Group)
		if _, held, _ := strings.Cut(string(text), "is not fenced: its fence has said that it is off"); held != "" {
			s.obey(ctx, string(text))
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// advised is a command of those that `explain` names for an operation that is held for a fence.
var advised = regexp.MustCompile(`arbiterctl (release|attest|reinstate) (\S+)( pg-\w)? --seen (\d+)`)

// obey does the first thing that is advised. What has changed meanwhile is refused, and advised anew.
func (s *stage) obey(ctx context.Context, explained string) {
	found := advised.FindStringSubmatch(explained)
	if found == nil {
		return
	}
	command := []string{found[1], found[2]}
	if member := strings.TrimSpace(found[3]); member != "" {
		if s.switchOff(ctx, member) != nil {
			return
		}
		command = append(command, member)
	}
	if found[1] == "reinstate" {
		status, err := s.api.GetStatus(ctx, &arbiterv1.GetStatusRequest{})
		if err != nil || len(status.GetGroups()) != 1 {
			return
		}
		if op := status.GetGroups()[0].GetOperation(); op.GetActor() != "automatic" { // whoever asked for it wants another primary
			_ = s.switchOff(ctx, op.GetFrom())
			return
		}
	}
	_, _ = s.Ctl(ctx, append(command, "--seen", found[4], "--yes", "--reason", "switched off by hand")...)
}

func (s *stage) switchOff(ctx context.Context, member string) error {
	i := slices.IndexFunc(s.Members, func(m *database.Server) bool { return m.Name() == member })
	if i < 0 {
		return fmt.Errorf("there is no %s", member)
	}
	return s.Members[i].Host().PowerOff(ctx)
}

// believeFences has devices that were seen to lie believed again: an operator who has repaired them adopts the group anew.
func (s *stage) believeFences() {
	s.t.Helper()
	s.await("fences to be believed", func() error {
		status, err := s.api.GetStatus(s.ctx, &arbiterv1.GetStatusRequest{})
		if err != nil {
			return err
		}
		for _, g := range status.GetGroups() {
			wrong := slices.ContainsFunc(g.GetMembers(), func(m *arbiterv1.MemberStatus) bool {
				return strings.Contains(m.GetFence(), "has said that it is off while")
			})
			if wrong && g.GetStage() == "steady" {
				adopt := &arbiterv1.AdoptRequest{Change: change(), Group: g.GetGroup()}
				for _, m := range g.GetMembers() {
					if m.GetStatus() == "down" {
						adopt.Attest = append(adopt.Attest, m.GetMember())
					}
				}
				_, err := s.api.Adopt(s.ctx, adopt)
				return errors.Join(fmt.Errorf("adopted %s", g.GetGroup()), err)
			}
		}
		return nil
	})
}

func heldForItsFence(g *arbiterv1.GroupStatus) bool {
	return g.GetOperation().GetHeldReason() == "fence-unproven"
}

// end asserts what a bad fence must not change: nobody was promoted before the fence was repaired, and without any fence no
// failover came to its end. It also undoes the fault.
func (r *repair) end(s *stage) {
	if r == nil {
		return
	}
	r.cancel()
	r.done.Wait()
	if len(r.unsafe) > 0 {
		s.t.Errorf("%v accepted writes before the fence had a proof", r.unsafe)
	}
	if *fenceMode == "gone" && len(s.owned) == 0 && !r.repaired() && len(s.offs()) > 0 {
		status, err := s.api.GetStatus(s.ctx, &arbiterv1.GetStatusRequest{})
		s.must(err)
		for _, g := range status.GetGroups() {
			if !slices.Contains(r.writers, g.GetPrimary()+g.GetBeingPromoted()) {
				s.t.Errorf("a failover of %s ended without any fence and without having been held", g.GetGroup())
			}
		}
	}
	for _, m := range s.Members {
		_ = s.Power.SetFault(m.Name(), power.Fault{}) // as above
	}
}
