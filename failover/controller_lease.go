package failover

import "time"

// ownLease is the lease of this process, counted from just before its entry was proposed.
type ownLease struct {
	epoch    Epoch
	until    time.Duration
	proposed time.Duration // when the acquire or renewal under way was proposed
	renewed  Index
}

// margin is what drift adds to or takes from a length of time.
func (c *Controller) margin(d time.Duration) time.Duration {
	return d*time.Duration(c.settings.Drift)/1000 + 5*time.Millisecond
}

func (c *Controller) durations(g *Group, gc *control, now time.Duration, wall WallTime) Durations {
	d := Durations{InStage: now - gc.stageAt, SinceAttempt: time.Hour, SinceLastFailover: -1, Running: gc.running != nil}
	d.SinceReroute = g.Reroutes.since(wall)
	if g.Operation != nil {
		d.VerdictStood = now - gc.operationAt
	}
	if gc.restarting != (restartKey{}) {
		d.Restarting = now - gc.restartAt
	}
	if gc.attemptEver {
		d.SinceAttempt = now - gc.attemptAt
	}
	if g.LastFailover != 0 {
		d.SinceLastFailover = now - gc.failoverAt
		if !gc.failoverSeen {
			d.SinceLastFailover = max(time.Duration(wall-g.LastFailover), d.SinceLastFailover)
		}
	}
	d.LeaseLeft = max(gc.own.until-now, 0)
	d.LeaseWait = c.leaseWait(g, gc, now)
	d.MachineWait = c.machineWait(g, now)
	return d
}

// leaseWait is how long until a lease of somebody else must have run out on any clock: its full length, counted from when this
// process applied it, started, or was elected, whichever is latest (S8).
func (c *Controller) leaseWait(g *Group, gc *control, now time.Duration) time.Duration {
	if !c.foreignLease(g) {
		return 0
	}
	length := time.Duration(g.Lease.Duration)
	from := max(gc.leaseSeen, c.started, c.elected)
	return max(from+length+c.margin(length)-now, 0)
}

// foreignLease says whether somebody else, or this process in an earlier term, holds a lease of the group.
func (c *Controller) foreignLease(g *Group) bool {
	return g.Lease != nil && (g.Lease.Holder != c.self || g.Lease.Term != c.term)
}

// machineWait is how long until whoever held a lease of another group can't act any more on the machine that is to be fenced for this one (S15).
// Under that lease a fence of this machine may still run at an arbiter that led before, which nobody here sees. What this process does under
// its own leases it sees: fenceBusy.
func (c *Controller) machineWait(g *Group, now time.Duration) time.Duration {
	if g.Operation == nil || g.Operation.Intent == nil || g.Operation.Intent.Action != ActionIsolate {
		return 0
	}
	target, _ := g.Spec.Member(g.Operation.Intent.Member)
	longest := time.Duration(0)
	for _, other := range c.state.Groups {
		if !c.foreignLease(other) || other.Name == g.Name {
			continue // of a thousand groups that fail at once hardly any is left
		}
		if wait := c.leaseWait(other, c.groups[other.Name], now); wait > longest && other.onMachineOf(target) {
			longest = wait
		}
	}
	return longest
}

// acquire asks for the next epoch, which names the one that was waited out (S8).
func (s *step) acquire(g *Group, gc *control) {
	if wait := s.leaseWait(g, gc, s.now); wait > 0 {
		s.wakeAt(s.now + wait)
		return
	}
	gc.own.proposed = s.now
	gc.proposed = s.propose(AcquireLease{Group: g.Name, Holder: s.self, Term: s.term, AfterEpoch: g.Epoch, Duration: g.LeaseDuration()})
}

// renewDue says whether half of the lease is gone while there is work that needs it.
func (s *step) renewDue(g *Group, gc *control) bool {
	if g.Operation == nil || g.Lease == nil || gc.own.until <= s.now || gc.own.epoch != g.Epoch {
		return false
	}
	if g.Operation.Intent == nil && gc.running == nil {
		return false // the next step is taken at once, or waits for looks, or the lease is released
	}
	return s.halfGone(g, gc)
}

// halfGone says whether half of the own lease is gone.
func (s *step) halfGone(g *Group, gc *control) bool {
	if gc.own.until <= s.now {
		return false
	}
	due := gc.own.until - time.Duration(g.Lease.Duration)/2
	if s.now < due {
		s.wakeAt(due)
	}
	return s.now >= due
}

func (s *step) renew(g *Group, gc *control) {
	gc.own.proposed = s.now
	gc.proposed = s.propose(RenewLease{Group: g.Name, Holder: s.self, Epoch: g.Epoch})
}
