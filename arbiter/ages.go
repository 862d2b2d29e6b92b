package arbiter

import (
	"cmp"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/arbiter-ha/arbiter/failover"
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
	told, ok := n.view.heard(group, member)
	if !ok {
		return nil
	}
	return n.age(told.Ended)
}

// measuredFrom is the primary that distances are from. It is neither Primary, which people are told and is nobody until a promotion is proven, nor Writer
// alone, to whom clients are sent and who is fenced: while nobody has authority, how far a standby is behind the last one is what a failover may lose.
func measuredFrom(g *failover.Group) failover.MemberName {
	return cmp.Or(g.Writer(), g.LastPrimary.Member)
}

// lag is how far a standby is behind the primary by this arbiter's newest looks, and behind the one that the group had last while it has none. It is
// nil where that isn't known: of one that follows nobody, or was told of by none but an earlier look.
func (n *Node) lag(g *failover.Group, member failover.MemberName) *uint64 {
	standby, seen := n.view.look(g.Name, member)
	if facts := standby.Observation.Facts; !seen || facts.Role != failover.RoleStandby || facts.Stale {
		return nil
	}
	written, position := g.LastPrimary.Written, standby.Observation.Facts.Position()
	if primary, ok := n.view.look(g.Name, measuredFrom(g)); ok {
		written = max(written, primary.Observation.Facts.Written)
	}
	if written == 0 {
		return nil
	}
	behind := uint64(max(written, position) - position)
	return &behind
}

// lagAge is how old what lag says is: what the standby or the primary told longer ago; nil without both.
func (n *Node) lagAge(g *failover.Group, member failover.MemberName) *durationpb.Duration {
	if n.lag(g, member) == nil {
		return nil
	}
	standby, primary := n.seenAge(g.Name, member), n.seenAge(g.Name, measuredFrom(g))
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
