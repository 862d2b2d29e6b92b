package arbiter

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/clock"
	"github.com/arbiter-ha/arbiter/internal/ownview"
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
	latest ownview.Points // its lists are never changed, but replaced: they are handed out
}

func newReferences(points []referencePoint, reach func(context.Context, string) error, c clock.Clock, log hclog.Logger) *references {
	r := &references{points: points, reach: reach, clock: c, log: log, asked: make(chan struct{}, 1)}
	r.latest.Sights = make([]failover.PointSight, len(points))
	for _, p := range points {
		r.latest.Names = append(r.latest.Names, p.name)
	}
	return r
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

// seen are the latest finished looks, and when the newest round began.
func (r *references) seen() ownview.Points {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.latest
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
			timer.Reset(max(0, r.seen().Newest+ownview.PointsPause-r.clock.Boot()))
			continue
		case <-timer.C:
		}
		r.round(ctx, &looks, changed)
		pause := ownview.PointsIdle
		if troubled() {
			pause = ownview.PointsTroubled
		}
		timer.Reset(pause)
	}
}

func (r *references) round(ctx context.Context, looks *sync.WaitGroup, changed func()) {
	began := r.clock.Boot()
	r.mu.Lock()
	r.latest.Newest = began
	r.mu.Unlock()
	for i := range r.points {
		looks.Go(func() {
			limited, cancel := context.WithTimeout(ctx, ownview.PointsTimeout)
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
	last := r.latest.Sights[i]
	if began < last.Began {
		return
	}
	r.latest.Sights = slices.Clone(r.latest.Sights)
	r.latest.Sights[i] = failover.PointSight{Began: began, Answered: err == nil}
	switch {
	case err == nil && !last.Answered && last.Began != 0:
		r.log.Info("reference point answers again", "point", r.points[i].name)
	case err != nil && (last.Answered || last.Began == 0):
		r.log.Info("reference point doesn't answer", "point", r.points[i].name, "error", err)
	}
}
