package failover

import "fmt"

// NotFollowing says why a member that runs as a standby does not follow the present primary, as a majority of arbiters sees it. It is empty
// if the member follows, and if that can't be said: nobody can follow a primary that isn't seen to serve, and before a failover has pointed
// the standbys at the new one they follow nobody.
func NotFollowing(s *State, g *Group, member MemberName) string {
	writer, op := g.Writer(), g.Operation
	switch {
	case writer == "" || member == writer, op != nil && op.Kind == KindFailover && !op.Configured:
		return ""
	case g.countFresh(s, writer, func(f Facts) bool { return f.Role == RolePrimary }) < s.Majority():
		return ""
	case g.countFresh(s, member, receivesNothing) >= s.Majority():
		return fmt.Sprintf("it does not follow %s: it receives from nobody", writer)
	case g.countFresh(s, member, g.receivesOldHistory) >= s.Majority():
		return fmt.Sprintf("it does not follow %s: it receives from a server of an older timeline", writer)
	}
	return ""
}

func receivesNothing(f Facts) bool { return f.Role == RoleStandby && !f.Streaming }

// receivesOldHistory says that a standby is connected to a server that is still where the group was before the present primary was promoted.
func (g *Group) receivesOldHistory(f Facts) bool {
	return f.Role == RoleStandby && f.Streaming && f.Timeline != 0 && f.Timeline < g.LastPrimary.Timeline
}
