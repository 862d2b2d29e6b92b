package bench

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/arbiter-ha/arbiter/internal/clock"
	"github.com/arbiter-ha/arbiter/internal/lab"
	"github.com/arbiter-ha/arbiter/internal/lab/hosts"
	"github.com/arbiter-ha/arbiter/internal/lab/report"
	"github.com/arbiter-ha/arbiter/internal/lab/yardstick"
	"github.com/arbiter-ha/arbiter/internal/logkinds"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// IdleOptions say how much there is to do nothing about.
type IdleOptions struct {
	Lab lab.Options
	// Groups is how many groups there are: each has three databases on hosts of their own, or, of the built-in service, members at ports of
	// their own in three processes. Five hundred groups at one address would use up its ports, with connections that were closed within the
	// last minute.
	Groups  int
	Profile string
	// Interval between two looks at a member; 0 is the profile's.
	Interval time.Duration
	// Duration is how long is measured.
	Duration time.Duration
	Progress io.Writer
}

const (
	// protectedAtOnce bounds how many groups are set up side by side.
	protectedAtOnce = 8
	// idleWarmUp passes between the readiness of the last group and the measurement.
	idleWarmUp = 10 * time.Second
	// patiencePerGroup bounds how long it takes to make a group ready.
	patiencePerGroup = 10 * time.Second
)

// Idle measures what each arbiter uses while nothing happens.
func Idle(ctx context.Context, options IdleOptions) (*report.Bench, error) {
	closeWorkshop, err := workshop(ctx, &options.Lab)
	if err != nil {
		return nil, err
	}
	defer closeWorkshop()
	options.Lab.Groups = options.Groups
	result := report.New("idle")
	result.Profile = options.looksEvery()
	result.Service = string(options.Lab.Service)
	bound := patience + idleWarmUp + options.Duration + time.Duration(options.Groups)*patiencePerGroup
	err = trial(ctx, options.Lab, bound, options.Progress, func(ctx context.Context, l *lab.Lab) error {
		result.Hosts = string(l.Site.Kind())
		if err := protectMany(ctx, l, options); err != nil {
			return err
		}
		fmt.Fprintf(options.Progress, "%d groups are ready; measuring for %v\n", options.Groups, options.Duration)
		if err := clock.Pause(ctx, idleWarmUp); err != nil {
			return err
		}
		machine, err := yardstick.Measure(l.Site.Dir())
		if err != nil {
			return err
		}
		idle, grown, err := measureIdle(ctx, l, options)
		if err != nil {
			return err
		}
		idle.Machine = &machine
		idle.ServingMS, idle.Shared = report.Milliseconds(l.Serving), shared(options)
		follower, err := restartOne(ctx, l, &idle)
		if err == nil && grown.entries() > 0 {
			err = tellGrowth(ctx, l, follower, grown, &idle)
		}
		result.Idle = append(result.Idle, idle)
		return err
	})
	return result, err
}

// health is the spec's section where the profile's interval is not wanted, as YAML.
func (o IdleOptions) health() string {
	if o.Interval == 0 {
		return ""
	}
	kind := "postgres"
	if o.Lab.Service == lab.Builtin {
		kind = "service"
	}
	return fmt.Sprintf("{profile: %s, checks: [{kind: %s, interval: %v}]}", o.Profile, kind, o.Interval)
}

// looksEvery names the profile, and the interval where it is another one.
func (o IdleOptions) looksEvery() string {
	if o.Interval == 0 {
		return o.Profile
	}
	return fmt.Sprintf("%s, a look every %v", o.Profile, o.Interval)
}

// shared says what the groups have in common.
func shared(options IdleOptions) string {
	if options.Groups > 1 && options.Lab.Service == lab.Builtin {
		return "each group has members at ports of their own, in three processes"
	}
	return ""
}

// restartOne restarts an arbiter that does not lead, and notes in how many ms it serves again.
func restartOne(ctx context.Context, l *lab.Lab, idle *report.Idle) (follower *lab.Arbiter, err error) {
	leader, err := l.Leader(ctx)
	if err != nil {
		return nil, err
	}
	follower = l.Arbiters[slices.IndexFunc(l.Arbiters, func(a *lab.Arbiter) bool { return a != leader })]
	took, err := l.Restart(ctx, follower)
	idle.AgainMS = report.Milliseconds(took)
	return follower, err
}

// growth is which entries the log gained.
type growth struct{ after, upTo uint64 }

func (g growth) entries() int { return int(g.upTo) - int(g.after) }

// tellGrowth notes what the log grew by, and keeps what the arbiters said meanwhile: nothing was to happen. It ends the follower, since
// nobody else may have its log open.
func tellGrowth(ctx context.Context, l *lab.Lab, follower *lab.Arbiter, grown growth, idle *report.Idle) (err error) {
	if idle.LogsKept, err = l.KeepLogs(); err != nil {
		return err
	}
	if err := follower.Stop(ctx); err != nil {
		return err
	}
	counted, err := logkinds.Read(follower.DataDir(), grown.after, grown.upTo)
	if err != nil {
		return fmt.Errorf("count what the log of %s grew by: %w", follower.Name(), err)
	}
	for _, k := range counted.Kinds {
		idle.Entries = append(idle.Entries, report.IdleEntries{Kind: k.Name, Entries: k.Entries, Bytes: k.Bytes})
	}
	for _, w := range counted.Whole {
		idle.WholeViews = append(idle.WholeViews, report.IdleWhole{Arbiter: w.Arbiter, Why: w.Why, Views: w.Views, Bytes: w.Bytes})
	}
	return nil
}

// protectMany makes all groups ready; the first has the name that evidence is asked about.
func protectMany(ctx context.Context, l *lab.Lab, options IdleOptions) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(protectedAtOnce)
	ready := newTally(options.Progress, options.Groups)
	for number := range options.Groups {
		name := lab.Group
		if number > 0 {
			name = fmt.Sprintf("%s-%d", lab.Group, number+1)
		}
		group.Go(func() error {
			spec := lab.Spec{Name: name, Number: number, Profile: options.Profile, Health: options.health()}
			if err := l.Protect(ctx, spec); err != nil {
				return err
			}
			ready.one()
			return nil
		})
	}
	return group.Wait()
}

// tally tells now and then how many groups are ready.
type tally struct {
	out   io.Writer
	of    int
	began time.Duration // boot time

	mu   sync.Mutex
	done int
}

func newTally(out io.Writer, of int) *tally {
	return &tally{out: out, of: of, began: clock.System().Boot()}
}

// one counts a group, and tells of every tenth part of them.
func (t *tally) one() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.done++
	if t.of >= 20 && t.done*10/t.of != (t.done-1)*10/t.of {
		fmt.Fprintf(t.out, "%d of %d groups are ready after %.0f s\n", t.done, t.of, (clock.System().Boot() - t.began).Seconds())
	}
}

// reading is what was used up to one moment.
type reading struct {
	at     time.Duration // boot time
	usage  []hosts.Usage // by arbiter
	status *arbiterv1.GetStatusResponse
}

func read(ctx context.Context, l *lab.Lab) (reading, error) {
	c, err := l.Client()
	if err != nil {
		return reading{}, err
	}
	defer c.Close()
	r := reading{at: clock.System().Boot()}
	if r.status, err = c.GetStatus(ctx, &arbiterv1.GetStatusRequest{}); err != nil {
		return r, fmt.Errorf("read status: %w", err)
	}
	for _, a := range l.Arbiters {
		used, err := a.Process().Usage()
		if err != nil {
			return r, err
		}
		r.usage = append(r.usage, used)
	}
	return r, nil
}

// growthBetween is what was applied between two readings.
func growthBetween(before, after reading) growth {
	return growth{before.status.GetFreshness().GetAppliedIndex(), after.status.GetFreshness().GetAppliedIndex()}
}

func measureIdle(ctx context.Context, l *lab.Lab, options IdleOptions) (idle report.Idle, grown growth, err error) {
	before, err := read(ctx, l)
	if err != nil {
		return idle, grown, err
	}
	if err := clock.Pause(ctx, options.Duration); err != nil {
		return idle, grown, err
	}
	after, err := read(ctx, l)
	if err != nil {
		return idle, grown, err
	}
	took := after.at - before.at
	var arbiters []report.IdleArbiter
	for i, a := range l.Arbiters {
		from, to := before.usage[i], after.usage[i]
		arbiters = append(arbiters, report.IdleArbiter{
			Name: a.Name(), Leader: a.Name() == after.status.GetFreshness().GetLeader(),
			CPUPercent:        100 * float64(to.CPU-from.CPU) / float64(took),
			RSSMB:             float64(to.RSS) / 1e6,
			LogBytesPerMinute: float64(to.Written-from.Written) / took.Minutes(),
		})
	}
	idle, grown = report.NewIdle(options.Groups, arbiters), growthBetween(before, after)
	idle.Seconds = took.Seconds()
	idle.LogEntriesPerMinute = float64(grown.entries()) / took.Minutes()
	return idle, grown, nil
}
