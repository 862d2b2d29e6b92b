package e2e

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/arbiter-ha/arbiter/client"
	"github.com/arbiter-ha/arbiter/config"
	"github.com/arbiter-ha/arbiter/internal/lab"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// TestTwoPrimariesAreNotAdopted: a group that is taken over while two of its members say that they are primary is not adopted, whichever is named,
// and both are. Nothing is changed by asking.
func TestTwoPrimariesAreNotAdopted(t *testing.T) {
	p := plan{own: true, idle: true}
	s := enter(t, p)
	_, err := s.api.DeleteGroup(s.ctx, &arbiterv1.DeleteGroupRequest{Change: change(), Group: lab.Group})
	s.must(err)
	s.must(s.first.Exec(s.ctx, "SELECT pg_promote(true)")) // while nobody protects it
	written, _, err := config.LoadGroup("group.yaml", []byte(s.yaml(p)))
	s.must(err)
	_, err = s.api.ApplyGroup(s.ctx, &arbiterv1.ApplyGroupRequest{Change: change(), Spec: written})
	s.must(err)

	both := []string{s.primary.Name(), s.first.Name()}
	adopt := func(member string) error {
		_, err := s.api.Adopt(s.ctx, &arbiterv1.AdoptRequest{Change: change(), Group: lab.Group, Member: member})
		return err
	}
	s.await("two members that are seen as primaries", func() error { return refusesBoth(adopt(""), both) })
	before := standing(s.status())
	for _, member := range []string{"", both[0], both[1]} {
		s.must(refusesBoth(adopt(member), both))
		command := []string{"adopt", lab.Group}
		if member != "" {
			command = append(command, "--member", member)
		}
		out, err := s.Ctl(s.ctx, command...)
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 4 {
			t.Errorf("%v ends with %v, want exit status 4", command, err)
		}
		if said := fmt.Sprint(string(out), err); !names(said, both) {
			t.Errorf("%v names not both of %v: %s", command, both, said)
		}
	}
	if now := standing(s.status()); now != before || strings.Contains(now, "WRITER") {
		t.Errorf("the group was %s, and is %s", before, now)
	}
	if offs := s.offs(); len(offs) > 0 {
		t.Errorf("somebody was switched off: %v", offs)
	}
}

// refusesBoth is nil for a refusal by S0 that names two members.
func refusesBoth(err error, both []string) error {
	var rejected *client.RejectedError
	if !errors.As(err, &rejected) || rejected.Rule != "S0" || !strings.Contains(rejected.Why, "accept writes at the same time") || !names(rejected.Why, both) {
		return fmt.Errorf("adopt: %w, want a refusal by S0 that names %v", errors.Join(errors.New("it said"), err), both)
	}
	return nil
}

func names(text string, all []string) bool {
	for _, name := range all {
		if !strings.Contains(text, name) {
			return false
		}
	}
	return true
}

// standing is what an adoption would change of a group.
func standing(g *arbiterv1.GroupStatus) string {
	text := fmt.Sprintf("%s, adopted %t, epoch %d, spec %d", g.GetStage(), g.GetAdopted(), g.GetEpoch(), g.GetSpecVersion())
	for _, m := range g.GetMembers() {
		text += fmt.Sprintf(", %s %s", m.GetMember(), m.GetAuthority())
	}
	return text
}
