package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/internal/lab"
	"github.com/arbiter-ha/arbiter/internal/lab/database"
	"github.com/arbiter-ha/arbiter/internal/lab/power"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// await asks until it gets no error, and fails the test with the last one at the scenario's limit.
func (s *stage) await(what string, ask func() error) {
	s.t.Helper()
	for {
		err := ask()
		if err == nil {
			return
		}
		select {
		case <-s.ctx.Done():
			s.t.Fatalf("wait for %s: %v: %v", what, context.Cause(s.ctx), err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// must fails the test.
func (s *stage) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// status is the leader's present status of the group.
func (s *stage) status() *arbiterv1.GroupStatus {
	s.t.Helper()
	return s.until("known", func(*arbiterv1.GroupStatus) bool { return true })
}

// until waits until the group's status is as wanted.
func (s *stage) until(what string, wanted func(*arbiterv1.GroupStatus) bool) *arbiterv1.GroupStatus {
	s.t.Helper()
	found, err := s.AwaitGroup(s.ctx, lab.Group, what, wanted)
	s.must(err)
	return found
}

// held waits until the operation is held for that reason, and until explain says so in these words too.
func (s *stage) held(reason string, words ...string) *arbiterv1.GroupStatus {
	s.t.Helper()
	found := s.until("held for "+reason, func(g *arbiterv1.GroupStatus) bool {
		return g.GetStage() == "held" && g.GetOperation().GetHeldReason() == reason
	})
	s.explains(append([]string{"held"}, words...)...)
	s.waited = true
	return found
}

// attention asserts that `arbiterctl status --check` ends with the status that asks for somebody.
func (s *stage) attention() {
	s.t.Helper()
	s.ends(6, []string{"status", "--check"})
}

// ends asserts that an arbiterctl command ends with an exit status, and says all these words.
func (s *stage) ends(status int, command []string, words ...string) {
	s.t.Helper()
	out, err := s.Ctl(s.ctx, command...)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != status {
		s.t.Errorf("arbiterctl %s ends with %v, want exit status %d", strings.Join(command, " "), err, status)
		return
	}
	text := string(out) + err.Error()
	for _, word := range words {
		if !strings.Contains(text, word) {
			s.t.Errorf("arbiterctl %s does not say %q: %s", strings.Join(command, " "), word, text)
		}
	}
}

// explains waits until `arbiterctl explain` has all these words, in any case, and returns what it says.
func (s *stage) explains(words ...string) string {
	s.t.Helper()
	return s.says([]string{"explain", lab.Group}, words...)
}

// says waits until an arbiterctl command has all these words in its output, in any case.
func (s *stage) says(command []string, words ...string) string {
	s.t.Helper()
	var text string
	s.await("arbiterctl "+strings.Join(command, " "), func() error {
		out, err := s.Ctl(s.ctx, command...)
		text = string(out)
		for _, word := range words {
			if !strings.Contains(strings.ToLower(text), strings.ToLower(word)) {
				return errors.Join(fmt.Errorf("it does not say %q:\n%s", word, text), err)
			}
		}
		return nil
	})
	return text
}

// writes waits until the client has written so much more.
func (s *stage) writes(n int) {
	s.t.Helper()
	s.must(s.writer.AwaitAcked(s.ctx, n))
}

// inject makes a fault at the primary and notes when.
func (s *stage) inject(fault lab.Fault) {
	s.t.Helper()
	var err error
	s.fault, err = s.Inject(s.ctx, fault, s.primary)
	s.must(err)
}

// crash crashes the primary's database; the machine lives.
func (s *stage) crash() {
	s.t.Helper()
	s.inject(lab.Crash)
}

// failedOver waits until the client writes to another member, which it returns, and until the operation has ended.
func (s *stage) failedOver() (*database.Server, *arbiterv1.Operation) {
	s.t.Helper()
	outage, err := s.writer.AwaitOutage(s.ctx, s.fault.Boot, s.primary.Name())
	s.must(err)
	op := s.ended()
	s.writes(20)
	if bound := s.longestOutage(); bound > 0 && outage.Length > bound {
		s.t.Errorf("the write outage took %v, and nobody was waited for: at most %v", outage.Length, bound)
	}
	s.t.Logf("write outage %v, first write on %s, epoch %d to %d", outage.Length.Round(time.Millisecond), outage.First.Member,
		op.GetEpochBefore(), op.GetEpochAfter())
	return s.Member(outage.First.Member), op
}

// longestOutage is what no outage comes near in which nobody is waited for: a crash costs a quarter of a second here, a frozen machine one,
// a leader that is lost beside it some more. It is that long because no test may depend on the speed of the machine, or on what else that
// does: what takes longer was forgotten until some time limit or another look came. How long failovers take is for `make bench` to say. 0 if
// the operation was held, and waited for somebody.
func (s *stage) longestOutage() time.Duration {
	const usually = 30 * time.Second
	switch {
	case s.waited || s.repair.repaired():
		return 0
	case len(detector) > 0:
		return 3 * usually
	}
	return usually
}

// ended waits until the newest operation has ended, and returns it.
func (s *stage) ended() *arbiterv1.Operation {
	s.t.Helper()
	op, err := s.Operation(s.ctx, lab.Group, "")
	s.must(err)
	return op
}

// promoted asserts that a failover ended well: on a standby, under a newer epoch, with the old primary proven off. Which
// standby it is may be chance: one that confirms nothing may have got the last record all the same. It returns the other.
func (s *stage) promoted(got *database.Server, op *arbiterv1.Operation) (left *database.Server) {
	s.t.Helper()
	left = s.first
	if got == s.first {
		left = s.second
	}
	if got == s.primary || op.GetResult() != "done" || op.GetFrom() != s.primary.Name() || op.GetTo() != got.Name() || op.GetEpochAfter() <= s.epoch {
		s.t.Errorf("first write on %s; operation %v", got.Name(), op)
	}
	if !slices.ContainsFunc(op.GetSteps(), func(step *arbiterv1.Step) bool { return step.GetMember() == s.primary.Name() && step.GetProof() != "" }) {
		s.t.Errorf("nothing has proven that %s can't write: %v", s.primary.Name(), op.GetSteps())
	}
	return left
}

// chosen asserts which standby was promoted, where that is not chance.
func (s *stage) chosen(got, want *database.Server) {
	s.t.Helper()
	if got != want {
		s.t.Errorf("%s was promoted, want %s", got.Name(), want.Name())
	}
}

// nothingDone asserts that nobody was told to go off, that the primary and the epoch are the same, and that no operation
// is in progress.
func (s *stage) nothingDone() {
	s.t.Helper()
	s.unfenced()
	if g := s.status(); g.GetEpoch() != s.epoch || g.GetOperation() != nil {
		s.t.Errorf("status %v, want epoch %d and nothing in progress", g, s.epoch)
	}
}

// unfenced asserts that nobody was told to go off and that the primary is the same.
func (s *stage) unfenced() {
	s.t.Helper()
	if offs := s.offs(); len(offs) > 0 {
		s.t.Errorf("the power switch was told to switch off: %v", offs)
	}
	if g := s.status(); g.GetPrimary() != s.primary.Name() {
		s.t.Errorf("status %v, want primary %s", g, s.primary.Name())
	}
}

// offs are the requests for off that the power switch has got in this scenario.
func (s *stage) offs() []power.Request {
	return slices.DeleteFunc(s.Power.Requests()[s.asked:], func(r power.Request) bool { return r.Action != "off" })
}

// events are what has happened since the event of that number, to whatever group.
func (s *stage) events(after uint64) []*arbiterv1.Event {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	var list []*arbiterv1.Event
	for item, err := range s.api.Watch(ctx, &arbiterv1.WatchEventsRequest{After: after}) {
		s.must(err)
		if item.Gap != nil {
			s.t.Fatalf("events %d to %d are missing", item.Gap.After+1, item.Gap.Oldest-1)
		}
		if item.CaughtUp {
			break
		}
		if item.Event != nil {
			list = append(list, item.Event)
		}
	}
	return list
}

// lastEvent is the number of the newest event.
func (s *stage) lastEvent() uint64 {
	s.t.Helper()
	list := s.events(0)
	if len(list) == 0 {
		s.t.Fatal("there are no events")
	}
	return list[len(list)-1].GetSequence()
}

// followers are the arbiters that don't lead.
func (s *stage) followers() (leader *lab.Arbiter, others []*lab.Arbiter) {
	s.t.Helper()
	leader, err := s.Leader(s.ctx)
	s.must(err)
	return leader, slices.DeleteFunc(slices.Clone(s.Arbiters), func(a *lab.Arbiter) bool { return a == leader })
}

// judge asserts what every scenario asserts.
func (s *stage) judge() {
	s.t.Helper()
	s.judged = true
	if s.writer == nil {
		return
	}
	s.writer.Stop()
	s.truth.Stop()
	if err := s.oneWriter(); err != nil {
		s.t.Errorf("S1: %v", err)
	}
	writers := 0
	for _, m := range s.status().GetMembers() {
		if m.GetAuthority() == "WRITER" {
			writers++
		}
	}
	if writers > 1 {
		s.t.Errorf("S1: %d members have the authority WRITER", writers)
	}
	primary, err := primaryOf(s.ctx, s.Lab)
	if err != nil {
		s.t.Errorf("after the scenario: %v", err)
		return
	}
	lost, err := s.Lost(s.ctx, s.writer, primary)
	if err != nil || lost > 0 && !s.expectLost {
		s.t.Errorf("%d acknowledged writes are missing on %s (%v)", lost, primary.Name(), err)
	}
	s.t.Logf("%d writes acknowledged, %d lost, longest time without one %v", s.writer.Acked(), lost,
		s.writer.LongestGap(0).Round(time.Millisecond))
}

// oneWriter says which two members accepted writes at the same time, but for the rogue that the scenario has made itself.
func (s *stage) oneWriter() error {
	if s.rogue != nil {
		return s.truth.CheckBut(s.rogue.Name(), s.writer)
	}
	return s.truth.Check(s.writer)
}

// expectRogue says that from now on this member accepts writes beside the primary. Up to now nobody has done so.
func (s *stage) expectRogue(m *database.Server) {
	s.t.Helper()
	s.must(s.oneWriter())
	s.rogue = m
}

// failpointFile is what all arbiters of a deployment with failpoints look into.
func failpointFile(l *lab.Lab) string { return filepath.Join(l.Site.Dir(), "failpoint") }

// taken is what the arbiter that has come to the place adds to the name of the file.
const taken = ".taken"

// environment is that of the arbiters. Released ones don't look at it.
func environment(l *lab.Lab) []string { return []string{"ARBITER_FAILPOINT=" + failpointFile(l)} }

// setFailpoint says what happens to the first arbiter that comes to a place, as "kill PLACE", "stop PLACE" or
// "wait PLACE"; empty for nothing.
func setFailpoint(l *lab.Lab, place string) {
	path := failpointFile(l)
	_ = errors.Join(os.Remove(path), os.Remove(path+taken)) // what an earlier scenario left
	if place == "" {
		return
	}
	// All at once: an arbiter must never read half a name.
	if err := os.WriteFile(path+".new", []byte(place), 0o600); err == nil {
		_ = os.Rename(path+".new", path)
	}
}

// full keeps a scenario out of the short run.
func full(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("part of the full run")
	}
}

// steady is a group with nothing in progress.
func steady(g *arbiterv1.GroupStatus) bool {
	return g.GetStage() == "steady" && g.GetOperation() == nil
}

// primaryIs is a group whose primary is seen like this: up, degraded, down or unknown.
func primaryIs(status string) func(*arbiterv1.GroupStatus) bool {
	return func(g *arbiterv1.GroupStatus) bool { return g.GetPrimaryStatus() == status }
}

// quiet lets time pass in which nothing may happen: there is nothing to wait for.
func (s *stage) quiet(d time.Duration) { time.Sleep(d) }

// leads says whether an arbiter says of itself that it leads.
func (s *stage) leads(a *lab.Arbiter) bool {
	s.t.Helper()
	c, err := s.ClientAs("operator", a)
	s.must(err)
	defer c.Close()
	ctx, cancel := context.WithTimeout(s.ctx, 2*time.Second)
	defer cancel()
	status, err := c.GetStatus(ctx, &arbiterv1.GetStatusRequest{Consistency: arbiterv1.Consistency_CONSISTENCY_STALE})
	return err == nil && status.GetFreshness().GetNode() == a.Name() && status.GetFreshness().GetLeader() == a.Name()
}

// state is what a database says of itself.
func (s *stage) state(m *database.Server) database.State {
	s.t.Helper()
	state, err := m.State(s.ctx)
	s.must(err)
	return state
}

// views are what the arbiters see of a member.
func (s *stage) views(m *database.Server) []*arbiterv1.View {
	s.t.Helper()
	for _, member := range s.status().GetMembers() {
		if member.GetMember() == m.Name() {
			return member.GetViews()
		}
	}
	s.t.Fatalf("the status has no member %s", m.Name())
	return nil
}
