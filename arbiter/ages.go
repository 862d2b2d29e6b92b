package arbiter

import (
	"cmp"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/arbiter-ha/arbiter/failover"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// age is how long ago a moment of the boot clock was.
func (n *Node) age(moment time.Duration) *durationpb.Duration {
	return durationpb.New(max(0, n.view.clock.Boot()-moment).Truncate(time.Millisecond))
}

// lookAge is how long ago this arbiter's newest look at a member ended; nil if there was none.
func (n *Node) lookAge(group failover.GroupName, member failover.MemberName) *durationpb.Duration {
	look, ok := n.view.look(group, member)
	if !ok {
		return nil
	}
	return n.age(look.Ended)
}

// seenAge is how long ago a member told this arbiter what it is and where it stands; nil if it never did. Looks that it did not answer tell nothing
// of that, however new they are.
func (n *Node) seenAge(group failover.GroupName, member failover.MemberName) *durationpb.Duration {
	at, ok := n.view.heard(group, member)
	if !ok {
		return nil
	}
	return n.age(at)
}

// lagAge is how old what lag says is: the older of the two accounts that it compares; nil without both.
func (n *Node) lagAge(g *failover.Group, member failover.MemberName) *durationpb.Duration {
	standby, primary := n.seenAge(g.Name, member), n.seenAge(g.Name, cmp.Or(g.Writer(), g.LastPrimary.Member))
	switch {
	case standby == nil || primary == nil:
		return nil
	case standby.AsDuration() > primary.AsDuration():
		return standby
	}
	return primary
}

// fenceAge is how long ago the fence of a member has told this arbiter that it works; nil if it never has.
func (n *Node) fenceAge(group failover.GroupName, member failover.MemberName) *durationpb.Duration {
	at, ok := n.view.pathWorked(group, member)
	if !ok {
		return nil
	}
	return n.age(at)
}

// addDistance adds to a plan how far whom it promotes is behind, what that may lose, and how old what is known of it all is. The wanted
// member may be empty: then it is the best one.
func (n *Node) addDistance(answer *arbiterv1.FailoverResponse, s *failover.State, g *failover.Group, wanted failover.MemberName) {
	for _, c := range failover.Candidates(g, failover.PositionsToJudge(s, g)) {
		if wanted != "" && c.Member != wanted {
			continue
		}
		spec, _ := g.Spec.Member(c.Member)
		answer.Candidate, answer.Sync = string(c.Member), confirms(g, spec)
		answer.LagBytes, answer.LagAge = n.lag(g, c.Member), n.lagAge(g, c.Member)
		answer.LossGrade, answer.LossBytes = string(c.Loss.Grade), c.Loss.Bytes
		break
	}
	if writer := g.Writer(); writer != "" {
		answer.Fenced, answer.FenceAge = string(writer), n.fenceAge(g.Name, writer)
	}
}
