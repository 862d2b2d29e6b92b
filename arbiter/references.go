package arbiter

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/clock"
)

// referencePoint is an address by which this arbiter tells its own trouble from its targets'.
type referencePoint struct{ name, address string }

// references looks at the reference points: seldom while all is well, at once when a member fails, and again and again until most of its
// group were reached.
//
// A look is a new connection, as a look at a target is. The connections that arbiters keep to each other say nothing here: with a
// broken name server, a full table of connections or a firewall that lets open ones live they go on, while every target seems dead.
type references struct {
	points []referencePoint
	reach  func(ctx context.Context, address string) error
	clock  clock.Clock
	log    hclog.Logger
	asked  chan struct{} // has room for one

	mu     sync.Mutex
	sights []failover.PointSight // by point
	newest time.Duration         // when the newest round of looks began
}

const (
	// referenceIdle is how often reference points are looked at while all is well, so that the log tells of one that never answers.
	referenceIdle = 30 * time.Second
	// referenceTroubled is how often after a member failed, until most of its group were reached.
	referenceTroubled = time.Second
	// referencePause is the least between two rounds: the members of a large fleet fail one after the other.
	referencePause = 20 * time.Millisecond
	// referenceTimeout is how long a look may take.
	referenceTimeout = time.Second
)

func newReferences(points []referencePoint, reach func(context.Context, string) error, c clock.Clock, log hclog.Logger) *references {
	return &references{
		points: points, reach: reach, clock: c, log: log, asked: make(chan struct{}, 1), sights: make([]failover.PointSight, len(points)),
	}
}

// referencePoints are the other arbiters' APIs, and the configured addresses.
func referencePoints(o Options) []referencePoint {
	var points []referencePoint
	for _, p := range o.Peers {
		if p.Node != o.Node {
			points = append(points, referencePoint{string(p.Node), p.GRPC})
		}
	}
	for _, address := range o.ReferencePoints {
		points = append(points, referencePoint{address, address})
	}
	return points
}

// connectOver makes a new connection and ends it.
func connectOver(network Network) func(ctx context.Context, address string) error {
	return func(ctx context.Context, address string) error {
		c, err := network.DialContext(ctx, address)
		if err != nil {
			return err
		}
		_ = c.Close() // that it was made is all that counts
		return nil
	}
}

// names lists the points for people.
func (r *references) names() string {
	names := make([]string, len(r.points))
	for i, p := range r.points {
		names[i] = p.name
	}
	return strings.Join(names, ", ")
}

// seen are the latest finished looks, and when the newest round began.
func (r *references) seen() (sights []failover.PointSight, newest time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append(sights, r.sights...), r.newest
}

// ask wants a round of looks now.
func (r *references) ask() {
	select {
	case r.asked <- struct{}{}:
	default:
	}
}

// run looks until the context ends. changed is called after every look.
func (r *references) run(ctx context.Context, troubled func() bool, changed func()) error {
	var looks sync.WaitGroup
	defer looks.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-r.asked:
			_, newest := r.seen()
			timer.Reset(max(0, newest+referencePause-r.clock.Boot()))
			continue
		case <-timer.C:
		}
		r.round(ctx, &looks, changed)
		pause := referenceIdle
		if troubled() {
			pause = referenceTroubled
		}
		timer.Reset(pause)
	}
}

func (r *references) round(ctx context.Context, looks *sync.WaitGroup, changed func()) {
	began := r.clock.Boot()
	r.mu.Lock()
	r.newest = began
	r.mu.Unlock()
	for i := range r.points {
		looks.Go(func() {
			limited, cancel := context.WithTimeout(ctx, referenceTimeout)
			defer cancel()
			err := r.reach(limited, r.points[i].address)
			if ctx.Err() == nil {
				r.note(i, began, err)
				changed()
			}
		})
	}
}

// note keeps the end of a look, unless one that began later has ended before.
func (r *references) note(i int, began time.Duration, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	last := r.sights[i]
	if began < last.Began {
		return
	}
	r.sights[i] = failover.PointSight{Began: began, Answered: err == nil}
	switch {
	case err == nil && !last.Answered && last.Began != 0:
		r.log.Info("reference point answers again", "point", r.points[i].name)
	case err != nil && (last.Answered || last.Began == 0):
		r.log.Info("reference point doesn't answer", "point", r.points[i].name, "error", err)
	}
}
