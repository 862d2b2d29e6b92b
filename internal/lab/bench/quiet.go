package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/arbiter-ha/arbiter/internal/lab"
	"github.com/arbiter-ha/arbiter/internal/lab/report"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// QuietOptions say how bad the weather is in which no failover is due.
type QuietOptions struct {
	Lab     lab.Options
	Profile string
	// Duration is how long is watched, over all labs.
	Duration time.Duration
	// Seed gives the same stalls, of the same hosts after the same pauses, again.
	Seed uint64
	// Loss is the chance in 10,000 with which each cable loses a packet; a packet between two hosts passes two cables.
	Loss int
	// Jitter is how much longer each cable takes for a packet, by chance up to so much; packets keep their order.
	Jitter time.Duration
	// Stall is how long a host stands still.
	Stall    time.Duration
	Progress io.Writer
}

const (
	// shortestCalm and longestCalm bound the time between two stalls.
	shortestCalm, longestCalm = 500 * time.Millisecond, 3 * time.Second
	// wakeUp is what the arbiters have after the last stall to act on what they saw.
	wakeUp = 3 * time.Second
	// grace is what a watch has beside what it watches: making the lab, and looking back.
	grace = patience
)

// Quiet makes packets disappear and hosts stall while a client writes, and counts the failovers that come of it; none
// is due. A lease that is taken and given back with nothing done is none: it is counted apart. Each failover ends its lab, prints evidence, and the time that is left is watched in a fresh one.
func Quiet(ctx context.Context, options QuietOptions) (*report.Bench, error) {
	closeWorkshop, err := workshop(ctx, &options.Lab)
	if err != nil {
		return nil, err
	}
	defer closeWorkshop()
	options.Lab.SlowCables = options.Jitter > 0
	result := report.New("quiet")
	result.Profile, result.Fence = options.Profile, "fence_lab"
	result.Service = string(options.Lab.Service)
	result.Quiet = &report.Quiet{
		Seed: options.Seed, Under: options.weather(),
	}
	dice := rand.New(rand.NewPCG(options.Seed, options.Seed))
	for watched := time.Duration(0); watched < options.Duration; {
		rest := options.Duration - watched
		err := trial(ctx, options.Lab, rest+grace, options.Progress, func(ctx context.Context, l *lab.Lab) error {
			result.Hosts = string(l.Site.Kind())
			s := &spell{QuietOptions: options, lab: l, dice: dice, result: result.Quiet}
			lasted, err := s.watch(ctx, rest)
			watched += lasted
			return err
		})
		result.Quiet.Minutes = watched.Minutes()
		if err != nil {
			return result, err
		}
	}
	return result, nil
}

// weather is what goes on, in words.
func (o QuietOptions) weather() string {
	delay := ""
	if o.Jitter > 0 {
		delay = fmt.Sprintf(", up to %v of delay", o.Jitter)
	}
	return fmt.Sprintf("%g %% loss%s on every link and stalls of %v", float64(o.Loss)/100, delay, o.Stall)
}

// spell is the bad weather of one lab.
type spell struct {
	QuietOptions
	lab    *lab.Lab
	dice   *rand.Rand
	result *report.Quiet
	stalls []string // what was done when, for the evidence

	mu       sync.Mutex
	events   []*arbiterv1.Event
	deaf     error         // why events are missing
	failover chan struct{} // closed when the intent to fence the primary was committed
}

// watch returns how long the weather lasted: until rest is over or a failover began.
func (s *spell) watch(ctx context.Context, rest time.Duration) (time.Duration, error) {
	if err := s.lab.Protect(ctx, lab.Spec{Profile: s.Profile}); err != nil {
		return 0, err
	}
	writer, truth := s.lab.StartWriter(), s.lab.WatchTruth()
	if err := writer.AwaitAcked(ctx, warmUp); err != nil {
		return 0, err
	}
	before, err := read(ctx, s.lab)
	if err != nil {
		return 0, err
	}
	stopListening, err := s.listen(ctx)
	if err != nil {
		return 0, err
	}
	defer stopListening()
	began, tried, acked := lab.Now(), len(writer.Attempts()), writer.Acked()
	if err := s.lab.Site.Lose(ctx, s.Loss, s.lab.Site.Hosts()...); err != nil {
		return 0, err
	}
	if s.Jitter > 0 {
		if err := s.lab.Site.Delay(0, s.Jitter, s.lab.Site.Hosts()...); err != nil {
			return 0, err
		}
	}
	if err := s.stall(ctx, rest); err != nil {
		return 0, err
	}
	lasted := min(lab.Now().Boot-began.Boot, rest)
	if err := s.lab.Site.Heal(ctx); err != nil {
		return lasted, err
	}
	after, err := s.settle(ctx, before)
	if err != nil {
		return lasted, err
	}
	writer.Stop()
	truth.Stop()
	s.result.WritesTried += len(writer.Attempts()) - tried
	s.result.WritesMissed += len(writer.Attempts()) - tried - (writer.Acked() - acked)
	s.result.LongestGapMS = max(s.result.LongestGapMS, report.Milliseconds(writer.LongestGap(began.Boot)))
	s.result.LogEntries += growthBetween(before, after).entries()
	lost, err := s.lab.Lost(ctx, writer, s.lab.Service(after.status.GetGroups()[0].GetPrimary()))
	if s.broke(lost, len(truth.Doubles(writer))) {
		s.lab.Evidence(s.Progress, lab.Group)
	}
	s.count()
	return lasted, errors.Join(err, s.heardAll())
}

// broke counts what nothing may break, and says whether anything of that was broken.
func (s *spell) broke(lost, doubles int) bool {
	s.result.LostAcked += lost
	s.result.DoubleWritable += doubles
	if lost == 0 && doubles == 0 {
		return false
	}
	fmt.Fprintf(s.Progress, "%d ACKNOWLEDGED WRITES WERE LOST, %d WRITES WERE ACCEPTED BY TWO MEMBERS\n", lost, doubles)
	return true
}

// stall stalls host after host until rest is over or a failover has begun.
func (s *spell) stall(ctx context.Context, rest time.Duration) error {
	ctx, cancel := context.WithTimeoutCause(ctx, rest, errOver)
	defer cancel()
	for {
		calm := shortestCalm + time.Duration(s.dice.Int64N(int64(longestCalm-shortestCalm)))
		victim := s.lab.Services()[0].Host()
		if s.dice.IntN(2) == 0 {
			victim = s.lab.Arbiters[s.dice.IntN(len(s.lab.Arbiters))].Host()
		}
		select {
		case <-time.After(calm):
		case <-s.failover:
			return nil
		case <-ctx.Done():
			if cause := context.Cause(ctx); !errors.Is(cause, errOver) {
				return cause
			}
			return nil
		}
		// A stall that has begun is ended whatever happens meanwhile.
		began := lab.Now()
		err := victim.Freeze(context.WithoutCancel(ctx))
		if err == nil {
			select {
			case <-time.After(s.Stall):
			case <-s.failover: // what was to be seen was seen
			}
			err = victim.Thaw()
		}
		s.stalls = append(s.stalls, fmt.Sprintf("%s  %s stood still for %v", began.Wall.UTC().Format("15:04:05.000"), victim.Name(),
			(lab.Now().Boot-began.Boot).Round(time.Millisecond)))
		if err != nil && !s.failedOver() { // a fence takes the power of a host that is about to stall, or stalls
			return err
		}
		s.result.Stalls++
	}
}

// fenceIntended is the kind of event at which a failover can be taken back no more.
const fenceIntended = "isolate-intended"

var errOver = errors.New("the time is over")

func (s *spell) failedOver() bool {
	select {
	case <-s.failover:
		return true
	default:
		return false
	}
}

// settle lets what was begun come to its end, and returns how things stand then. A failover is counted, with evidence: an epoch that
// has grown tells of an operation, also of one that no event has told of yet.
func (s *spell) settle(ctx context.Context, before reading) (reading, error) {
	select {
	case <-s.failover:
	case <-time.After(wakeUp):
	}
	now, err := read(ctx, s.lab)
	if err != nil || now.status.GetGroups()[0].GetEpoch() == before.status.GetGroups()[0].GetEpoch() {
		return now, err
	}
	op, err := s.lab.Operation(ctx, lab.Group, "")
	if err != nil {
		return now, err
	}
	if s.judge(op) {
		s.lab.Evidence(s.Progress, lab.Group)
	}
	return read(ctx, s.lab)
}

// judge counts an operation that began for nothing if it is a false failover, tells what happened before it, and says whether it is one.
func (s *spell) judge(op *arbiterv1.Operation) bool {
	if !s.failedOver() && !fenced(op) {
		return false
	}
	s.result.FalseFailovers++
	fmt.Fprintf(s.Progress, "FALSE FAILOVER %s: %s -> %s, %s; the stalls before it:\n  %s\n", op.GetId(), op.GetFrom(), op.GetTo(),
		op.GetResult(), strings.Join(s.stalls[max(0, len(s.stalls)-5):], "\n  "))
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, event := range s.events {
		fmt.Fprintf(s.Progress, "  %s  %s %s %s\n", event.GetWall().AsTime().UTC().Format("15:04:05.000"), event.GetKind(), event.GetMember(), event.GetText())
	}
	return true
}

// fenced says whether an operation came as far as the intent to fence: from then on its primary may be down because of it.
func fenced(op *arbiterv1.Operation) bool {
	return slices.ContainsFunc(op.GetSteps(), func(step *arbiterv1.Step) bool { return step.GetName() == "isolate" && step.GetIntentIndex() != 0 })
}

// listen collects events from now on, and returns how to stop that.
func (s *spell) listen(ctx context.Context) (stop func(), err error) {
	c, err := s.lab.Client()
	if err != nil {
		return nil, err
	}
	s.failover = make(chan struct{})
	ctx, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	caughtUp := make(chan struct{})
	work.Go(func() {
		heard := sync.OnceFunc(func() { close(caughtUp) })
		defer heard()
		began := sync.OnceFunc(func() { close(s.failover) })
		live := false
		for item, err := range c.Watch(ctx, &arbiterv1.WatchEventsRequest{}) {
			switch {
			case err != nil:
				if ctx.Err() == nil {
					s.missed(fmt.Errorf("watch events: %w", err))
				}
				return
			case item.Gap != nil && live:
				s.missed(fmt.Errorf("%w: those from %d to %d", errMissed, item.Gap.After+1, item.Gap.Oldest-1))
			case item.CaughtUp:
				live = true
				heard()
			case item.Event != nil && live:
				s.note(item.Event)
				if item.Event.GetKind() == fenceIntended {
					began()
				}
			}
		}
	})
	stop = func() {
		cancel()
		work.Wait()
		_ = c.Close() // nothing is under way any more
	}
	select {
	case <-caughtUp:
		return stop, nil
	case <-ctx.Done():
		stop()
		return nil, context.Cause(ctx)
	}
}

// errMissed says that a failover could have gone unseen.
var errMissed = errors.New("events are missing")

// missed keeps why not every event was heard.
func (s *spell) missed(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deaf = errors.Join(s.deaf, err)
}

// heardAll returns an error unless every event was heard: others would be missing in what is counted.
func (s *spell) heardAll() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.deaf
}

func (s *spell) note(event *arbiterv1.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, event)
}

// count adds up what the events were.
func (s *spell) count() {
	s.mu.Lock()
	defer s.mu.Unlock()
	leased := map[string]bool{} // operations; true: with nothing done
	for _, event := range s.events {
		switch event.GetKind() {
		case "views-failing":
			s.result.Suspicions++
		case "member-changed":
			s.result.VerdictChanges++
		case "reign-began":
			s.result.LeaderChanges++
		case "lease-granted":
			if _, again := leased[event.GetOperation()]; !again {
				leased[event.GetOperation()] = true
			}
		case fenceIntended:
			leased[event.GetOperation()] = false
		}
	}
	for _, nothingDone := range leased {
		if nothingDone {
			s.result.LeasesReturned++
		}
	}
}
