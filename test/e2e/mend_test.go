package e2e

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/arbiter-ha/arbiter/internal/lab"
	"github.com/arbiter-ha/arbiter/internal/lab/database"
	"github.com/arbiter-ha/arbiter/internal/lab/power"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// mend makes a deployment whole again after a scenario: all faults end, all arbiters run, and every member that does not
// follow the present primary is made anew from it. Who is primary stays as it is.
func mend(ctx context.Context, l *lab.Lab) error {
	if err := endFaults(ctx, l); err != nil {
		return err
	}
	if err := startArbiters(ctx, l); err != nil {
		return err
	}
	primary, err := primaryOf(ctx, l)
	if err != nil {
		return err
	}
	if err := calm(ctx, l, primary); err != nil {
		return err
	}
	for _, m := range l.Members {
		if m == primary {
			continue
		}
		if err := rejoin(ctx, m, primary); err != nil {
			return err
		}
	}
	return nil
}

func endFaults(ctx context.Context, l *lab.Lab) error {
	setFailpoint(l, "")
	var failed error
	for _, m := range l.Members {
		failed = errors.Join(failed, l.Power.SetFault(m.Name(), power.Fault{}))
	}
	for _, h := range l.Site.Hosts() {
		failed = errors.Join(failed, h.Thaw())
	}
	return errors.Join(failed, l.Site.Heal(ctx))
}

func startArbiters(ctx context.Context, l *lab.Lab) error {
	for _, a := range l.Arbiters {
		if err := a.Host().PowerOn(ctx); err != nil {
			return err
		}
		if a.Process() == nil || !a.Process().Running() {
			if err := a.Start(); err != nil {
				return err
			}
		}
	}
	_, err := l.Leader(ctx)
	return err
}

// primaryOf asks the databases who is primary: one of them must be, and no more.
func primaryOf(ctx context.Context, l *lab.Lab) (*database.Server, error) {
	var found []*database.Server
	for _, m := range l.Members {
		if !m.Running() {
			continue
		}
		ask, cancel := context.WithTimeout(ctx, 10*time.Second)
		state, err := m.State(ask)
		cancel()
		if err == nil && !state.InRecovery {
			found = append(found, m)
		}
	}
	if len(found) != 1 {
		return nil, fmt.Errorf("find the primary: %d members are out of recovery", len(found))
	}
	return found[0], nil
}

// calm says whether the arbiters have nothing in progress and the same primary as the databases.
func calm(ctx context.Context, l *lab.Lab, primary *database.Server) error {
	c, err := l.Client()
	if err != nil {
		return err
	}
	defer c.Close()
	status, err := c.GetStatus(ctx, &arbiterv1.GetStatusRequest{Group: lab.Group})
	if err != nil {
		return fmt.Errorf("ask the arbiters: %w", err)
	}
	for _, g := range status.GetGroups() {
		if g.GetOperation() != nil || g.GetPrimary() != primary.Name() {
			return fmt.Errorf("the group is %s, its primary %q, and %s writes", g.GetStage(), g.GetPrimary(), primary.Name())
		}
		if g.GetPause() != nil {
			if _, err := c.Resume(ctx, &arbiterv1.ResumeRequest{Change: change(), Group: lab.Group}); err != nil {
				return err
			}
		}
	}
	return nil
}

// rejoin makes a member a standby of primary, by a full copy unless it is one.
func rejoin(ctx context.Context, m, primary *database.Server) error {
	if err := m.Host().PowerOn(ctx); err != nil {
		return err
	}
	if m.Running() {
		soon, cancel := context.WithTimeout(ctx, 6*time.Second)
		err := streams(soon, m, primary)
		cancel()
		if err == nil {
			return nil
		}
	}
	if err := m.Stop(ctx, database.Immediate); err != nil {
		return err
	}
	if err := m.Crash(ctx); err != nil { // orphans
		return err
	}
	// A machine whose power has just come back does not reach the others for a moment.
	for err := m.Reseed(ctx, primary); err != nil; err = m.Reseed(ctx, primary) {
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		case <-time.After(100 * time.Millisecond):
		}
	}
	if err := m.Start(ctx); err != nil {
		return err
	}
	return streams(ctx, m, primary)
}

// streams waits until the primary itself says that it sends to the standby.
func streams(ctx context.Context, m, primary *database.Server) error {
	return m.Await(ctx, "sent to by "+primary.Name(), func(ctx context.Context) (bool, error) {
		var sent bool
		err := primary.Ask(ctx, []any{&sent}, "SELECT EXISTS (SELECT FROM pg_stat_replication WHERE application_name = $1"+
			" AND state = 'streaming')", m.Name())
		return sent, err
	})
}
