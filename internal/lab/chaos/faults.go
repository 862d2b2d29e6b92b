package chaos

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/arbiter-ha/arbiter/internal/clock"
	"github.com/arbiter-ha/arbiter/internal/lab"
	"github.com/arbiter-ha/arbiter/internal/lab/database"
	"github.com/arbiter-ha/arbiter/internal/lab/disk"
	"github.com/arbiter-ha/arbiter/internal/lab/hosts"
	"github.com/arbiter-ha/arbiter/internal/lab/power"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// Injected is a fault as it was made.
type Injected struct {
	Fault
	// Hosts are those that it touched.
	Hosts []string
	// Began and Ended are when it was made and healed.
	Began, Ended time.Time
	// Skipped says why it was not made.
	Skipped string
}

// patient is a host that faults and the repair crew work on.
type patient struct {
	host     *hosts.Host
	database *database.Server // nil on an arbiter's host
	arbiter  *lab.Arbiter     // nil on a database's host
	disk     *disk.Disk       // under the database's log, or all that the arbiter has

	// hands is held by whoever starts, stops, copies or kills the host's process: one at a time.
	hands sync.Mutex
	// switchedOn is when the crew switched the machine on last; spoilt says that its files are of no use any more. Both
	// belong to whoever holds hands.
	switchedOn time.Time
	spoilt     bool

	mu     sync.Mutex
	broken int // faults under way during which the crew keeps its hands off
}

func (p *patient) name() string { return p.host.Name() }

// breakDown notes that a fault is under way, and returns how to end that.
func (p *patient) breakDown() (end func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.broken++
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.broken--
	}
}

func (p *patient) whole() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.broken == 0
}

// handsPatience is how long a fault waits for the crew to let go of the host; after that it is skipped.
const handsPatience = 3 * time.Second

var (
	errBusy    = errors.New("the repair crew works on it")
	errNobody  = errors.New("nobody plays that part at the moment")
	errNothing = errors.New("nothing runs there")
)

// with does something with the host's process once nobody else does.
func (p *patient) with(ctx context.Context, act func() error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, handsPatience, errBusy)
	defer cancel()
	for !p.hands.TryLock() {
		if err := clock.Pause(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
	defer p.hands.Unlock()
	return act()
}

// cast looks up who plays the parts of a fault now.
func (s *storm) cast(roles []string) ([]*patient, error) {
	seen := s.seen()
	var cast []*patient
	for _, role := range roles {
		var standbys, followers []*patient
		found := (*patient)(nil)
		for _, p := range s.patients {
			switch {
			case p.database != nil && p.name() == seen.primary && role == Primary, p.arbiter != nil && p.name() == seen.leader && role == Leader:
				found = p
			case p.database != nil && p.name() != seen.primary:
				standbys = append(standbys, p)
			case p.arbiter != nil && p.name() != seen.leader:
				followers = append(followers, p)
			}
		}
		for i, name := range []string{Standby1, Standby2} {
			if role == name && i < len(standbys) {
				found = standbys[i]
			}
		}
		for i, name := range []string{Follow1, Follow2} {
			if role == name && i < len(followers) {
				found = followers[i]
			}
		}
		if role == Router {
			found = &patient{host: s.lab.Site.Host(lab.ProxyHost)}
		}
		if found == nil {
			return nil, fmt.Errorf("%s: %w", role, errNobody)
		}
		cast = append(cast, found)
	}
	return cast, nil
}

// inject makes one fault, keeps it for its length, and heals it. The end of the storm heals it early.
func (s *storm) inject(ctx context.Context, f Fault) {
	record := &Injected{Fault: f, Began: time.Now()}
	ones, err := s.cast(f.Roles)
	var anothers []*patient
	if err == nil {
		anothers, err = s.cast(f.Others)
	}
	heal := func(context.Context) error { return nil }
	if err == nil {
		for _, p := range slices.Concat(ones, anothers) {
			record.Hosts = append(record.Hosts, p.name())
		}
		heal, err = s.make(ctx, f, ones, anothers)
	}
	if err != nil {
		record.Skipped = err.Error()
		record.Ended = time.Now()
	}
	s.say("%s%s", describe(*record), skippedWords(*record))
	s.note(func() { s.injected = append(s.injected, record) })
	if err != nil {
		return
	}
	_ = clock.Pause(ctx, f.Length) // cut short at the end: healed all the same
	s.heal(record, heal)
}

// healPatience bounds the end of a fault, which the end of the run must not cut short.
const healPatience = 30 * time.Second

func (s *storm) heal(record *Injected, heal func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.Background(), healPatience)
	defer cancel()
	if err := heal(ctx); err != nil {
		s.say("healing %s: %v", record.Kind, err)
	}
	s.note(func() { record.Ended = time.Now() })
}

func describe(i Injected) string {
	words := fmt.Sprintf("%-15s", i.Kind)
	for _, host := range i.Hosts {
		words += " " + host
	}
	return words
}

func skippedWords(i Injected) string {
	switch {
	case i.Skipped != "":
		return " skipped: " + i.Skipped
	case i.Length == 0:
		return ""
	default:
		return fmt.Sprintf(" for %.1fs", i.Length.Seconds())
	}
}

// make begins a fault and returns how to end it.
func (s *storm) make(ctx context.Context, f Fault, ones, anothers []*patient) (heal func(context.Context) error, err error) {
	switch f.Kind {
	case CutOneWay, CutTwoWays, IsolateHost, CutHalves, CutRing:
		return s.cut(ctx, f.Kind, hostsOf(ones), hostsOf(anothers))
	case AskFailover, PauseGroup, HandOver:
		return s.interfere(ctx, f.Kind)
	default:
		return s.harm(ctx, f, ones[0])
	}
}

func hostsOf(patients []*patient) (all []*hosts.Host) {
	for _, p := range patients {
		all = append(all, p.host)
	}
	return all
}

func (s *storm) cut(ctx context.Context, kind Kind, left, right []*hosts.Host) (func(context.Context) error, error) {
	var directions []hosts.Direction
	switch kind {
	case CutOneWay:
		directions = []hosts.Direction{{From: left[0], To: right[0]}}
	case IsolateHost:
		directions = directionsBetween(left, others(s.lab.Site.Hosts(), left...))
	case CutRing:
		directions = ringDirections(left)
	default:
		directions = directionsBetween(left, right)
	}
	return s.cuts.make(ctx, directions)
}

// harm does something to one host.
func (s *storm) harm(ctx context.Context, f Fault, p *patient) (heal func(context.Context) error, err error) {
	nothing := func(context.Context) error { return nil }
	switch f.Kind {
	case LossyLink:
		return func(ctx context.Context) error { return s.lab.Site.Lose(ctx, 0, p.host) }, s.lab.Site.Lose(ctx, f.Strength, p.host)
	case SlowLink:
		return func(ctx context.Context) error { return p.host.Narrow(ctx, 0) }, p.host.Narrow(ctx, f.Strength)
	case DelayedLink:
		least := time.Duration(f.Strength) * time.Millisecond
		return func(context.Context) error { return s.lab.Site.Delay(0, 0, p.host) }, s.lab.Site.Delay(least, least, p.host)
	case HungFence, FailingFence, GoneFence:
		fault := power.Fault{Hang: f.Kind == HungFence, Gone: f.Kind == GoneFence, FailOff: f.Strength}
		mended := func(context.Context) error { return s.lab.Power.SetFault(p.name(), power.Fault{}) }
		return mended, s.lab.Power.SetFault(p.name(), fault)
	}
	// From here on the host's own processes suffer, and the crew waits until the fault is over.
	end := p.breakDown()
	over := func(heal func(context.Context) error) func(context.Context) error {
		return func(ctx context.Context) error {
			defer end()
			return heal(ctx)
		}
	}
	switch f.Kind {
	case KillArbiter:
		heal, err = nothing, p.with(ctx, func() error { return p.arbiter.Kill() })
	case CrashDatabase:
		heal, err = nothing, p.with(ctx, func() error { return p.database.Crash(ctx) })
	case KillPostmaster:
		heal, err = nothing, p.with(ctx, func() error {
			if !p.database.Running() {
				return errNothing
			}
			return p.database.KillPostmaster()
		})
	case StopArbiter, StopDatabase:
		heal, err = p.stop()
	case HungDisk:
		heal, err = func(context.Context) error { return p.disk.Thaw() }, p.disk.Freeze()
	case FullDisk:
		heal, err = func(context.Context) error { return p.disk.Empty() }, p.fill(ctx)
	case FreezeHost:
		heal, err = func(context.Context) error { return p.host.Thaw() }, p.host.Freeze(ctx)
	case ArbiterPower, DatabasePower:
		heal, err = nothing, p.host.PowerOff(ctx)
	default:
		err = fmt.Errorf("unknown kind of fault %q", f.Kind)
	}
	if err != nil {
		end()
		return nil, err
	}
	return over(heal), nil
}

// stop sends SIGSTOP to the service's processes on a host. What is started later runs.
func (p *patient) stop() (heal func(context.Context) error, err error) {
	processes := p.host.PIDs
	if p.database != nil {
		processes = p.database.PIDs
	}
	pids, err := processes()
	if err != nil {
		return nil, err
	}
	if len(pids) == 0 {
		return nil, errNothing
	}
	for _, pid := range pids {
		_ = syscall.Kill(pid, syscall.SIGSTOP) // it may be gone by now
	}
	return func(context.Context) error {
		left, err := processes()
		for _, pid := range left {
			if slices.Contains(pids, pid) {
				_ = syscall.Kill(pid, syscall.SIGCONT)
			}
		}
		return err
	}, nil
}

// fill takes all room of the disk. A database notices when it needs room for more of its log, and is made to.
func (p *patient) fill(ctx context.Context) error {
	if err := p.disk.Fill(); err != nil {
		return err
	}
	if p.database != nil {
		asking, cancel := context.WithTimeout(ctx, askServerPatience)
		defer cancel()
		_ = p.database.Exec(asking, "SELECT pg_switch_wal()") // a standby can't, and one that dies of it can't answer
	}
	return nil
}

// interfere does what an operator does for reasons of their own.
func (s *storm) interfere(ctx context.Context, kind Kind) (heal func(context.Context) error, err error) {
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	heal = func(context.Context) error { return nil }
	switch kind {
	case AskFailover:
		_, err = s.api.Failover(ctx, &arbiterv1.FailoverRequest{Change: change("moved by chaos"), Group: lab.Group})
	case HandOver:
		_, err = s.api.TransferLeadership(ctx, &arbiterv1.TransferLeadershipRequest{Change: change("handed over by chaos")})
	case PauseGroup:
		// The crew resumes it, also when the answer to this request is lost.
		_, err = s.api.Pause(ctx, &arbiterv1.PauseRequest{Change: change("paused by chaos"), Group: lab.Group})
		s.note(func() { s.pauses++ })
		heal = func(context.Context) error { s.note(func() { s.pauses-- }); return nil }
		if err != nil {
			_ = heal(ctx)
		}
	}
	return heal, err
}
