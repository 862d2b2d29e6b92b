package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/arbiter-ha/arbiter/client"
	"github.com/arbiter-ha/arbiter/internal/clock"
	"github.com/arbiter-ha/arbiter/internal/lab"
	"github.com/arbiter-ha/arbiter/internal/lab/database"
	"github.com/arbiter-ha/arbiter/internal/lab/disk"
	"github.com/arbiter-ha/arbiter/internal/lab/hosts"
	"github.com/arbiter-ha/arbiter/internal/lab/traffic"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// Options say how long and how hard.
type Options struct {
	Lab lab.Options
	// Length is how long faults are made; what comes before and after is not counted.
	Length time.Duration
	// Seed gives the same schedule again.
	Seed uint64
	// KeepLogs keeps the logs of every process also when nothing is wrong.
	KeepLogs bool
	// Progress is where people see what is done.
	Progress io.Writer
}

const (
	// appendClients and registerClients are how many clients there are, appendEvery how often each appends.
	appendClients, registerClients, appendEvery = 4, 4, 40 * time.Millisecond
	// watchEvery is how often each database is asked by the watch whether it accepts writes.
	watchEvery = 20 * time.Millisecond
	// openPatience bounds what comes before the storm, calmPatience how long the group may take to be whole after it.
	openPatience, calmPatience = 3 * time.Minute, 4 * time.Minute
	// warmUp is how many appends come before the first fault, settle how many after the last repair.
	warmUp, settle = 50, 50
)

// health is quick to see a crash, and patient with a machine that is busy with everything else of the laboratory.
const health = "{profile: fast, checks: [{name: postgres, kind: postgres, timeout: 1500ms}]}"

// storm is one run.
type storm struct {
	options  Options
	lab      *lab.Lab
	api      *client.Client
	patients []*patient
	cuts     *cuts
	writers  []*traffic.Writer
	truth    *traffic.Truth
	register history
	repairs  sync.WaitGroup
	began    time.Time

	mu       sync.Mutex
	sight    sight
	injected []*Injected
	repaired []Repair
	words    []Word
	events   []*arbiterv1.Event
	// operations by id: the newest that is known of each.
	operations map[string]*arbiterv1.Operation
	selfEnded  []string
	strays     map[string]time.Time // standbys without their primary, since when
	ordered    map[string]time.Time // by command: when it was given last
	held       string               // the hold that is known
	heldSince  time.Time
	heldFirst  map[string]time.Time // by operation
	pauses     int                  // faults under way that keep the group paused
}

// note changes what is shared.
func (s *storm) note(edit func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	edit()
}

// say prints one line with the time since the begin.
func (s *storm) say(format string, args ...any) {
	s.note(func() {
		fmt.Fprintf(s.options.Progress, "%7.1fs  "+format+"\n", append([]any{time.Since(s.began).Seconds()}, args...)...)
	})
}

// Run makes a storm and returns what came of it. Evidence is kept of a run in which something is wrong. What it made is
// removed, also when ctx ends.
func Run(ctx context.Context, options Options) (result *Report, err error) {
	options.Lab.Kind, options.Lab.SlowCables = hosts.Namespaces, true
	options.Lab.Settings = map[string]string{"max_connections": "200", "track_commit_timestamp": "on", "max_wal_size": "192MB"}
	opening, cancel := context.WithTimeout(ctx, openPatience)
	defer cancel()
	l, err := lab.Open(opening, options.Lab)
	if err != nil {
		return nil, err
	}
	s := &storm{
		options: options, lab: l, cuts: &cuts{site: l.Site, all: map[int][]hosts.Direction{}}, began: time.Now(),
		strays: map[string]time.Time{}, ordered: map[string]time.Time{}, heldFirst: map[string]time.Time{},
		operations: map[string]*arbiterv1.Operation{},
	}
	defer func() {
		if ctx.Err() == nil && (err != nil || result.Failed() != nil) {
			s.say("something is wrong; what there is to know:")
			l.Evidence(options.Progress, lab.Group)
		} else if options.KeepLogs {
			kept, failed := l.KeepLogs()
			s.say("logs were kept in %s", kept)
			err = errors.Join(err, failed)
		}
		if s.api != nil {
			_ = s.api.Close() // nothing is under way any more
		}
		err = errors.Join(err, l.Close())
	}()
	if err := s.prepare(opening); err != nil {
		return nil, err
	}
	return s.run(ctx)
}

// prepare makes the group ready, with clients that write.
func (s *storm) prepare(ctx context.Context) (err error) {
	l := s.lab
	for _, m := range l.Members {
		p := &patient{host: m.Host(), database: m}
		s.patients = append(s.patients, p)
		if err := p.giveDisk(ctx, databaseDisk); err != nil {
			return err
		}
		// What every member needs to be a primary of the others counts from its start.
		if err := errors.Join(m.Stop(ctx, database.Fast), follow(m, l.Members), m.MoveLog(ctx, p.disk.Folder()), m.Start(ctx)); err != nil {
			return err
		}
	}
	for _, table := range []string{appendsTable, registerTable} {
		if err := l.Members[0].Exec(ctx, table); err != nil {
			return err
		}
	}
	if err := s.startArbiters(ctx); err != nil {
		return err
	}
	if s.api, err = l.Client(); err != nil {
		return err
	}
	return l.Protect(ctx, lab.Spec{Health: health, Policy: []string{"retry_interval: 2s", "cooldown: 15s", "max_loss: none"}})
}

// Sizes of the disks: what a database keeps of its log fits in, and there is room for an arbiter's snapshots.
const databaseDisk, arbiterDisk = 1 << 30, 64 << 20

// giveDisk gives the host a disk that can fail. A power cut ends its hanging, since nothing would die otherwise.
func (p *patient) giveDisk(ctx context.Context, size int64) (err error) {
	dir := filepath.Join(p.host.Dir(), "disk")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return fmt.Errorf("make a disk of %s: %w", p.name(), err)
	}
	if p.disk, err = disk.New(ctx, dir, size); err != nil {
		return err
	}
	p.host.OnPowerCut(func() { _ = p.disk.Thaw() })
	return nil
}

// startArbiters starts them with a disk each.
func (s *storm) startArbiters(ctx context.Context) error {
	if err := s.lab.PrepareArbiters(); err != nil {
		return err
	}
	for _, a := range s.lab.Arbiters {
		a.Recording = a.Host().LogDir() // also of a host whose disk is broken
	}
	for _, a := range s.lab.Arbiters {
		p := &patient{host: a.Host(), arbiter: a}
		s.patients = append(s.patients, p)
		if err := p.giveDisk(ctx, arbiterDisk); err != nil {
			return err
		}
		if err := errors.Join(os.Symlink(p.disk.Folder(), a.DataDir()), a.Start()); err != nil {
			return err
		}
	}
	_, err := s.lab.Leader(ctx)
	return err
}

// run lets clients work, the storm pass, and everything come to rest; then it checks.
func (s *storm) run(ctx context.Context) (*Report, error) {
	boot := bootTime()
	working, stopWorking := context.WithCancel(ctx)
	defer stopWorking()
	var work sync.WaitGroup
	defer work.Wait()
	defer stopWorking()
	s.startClients(working, &work)
	defer s.stopClients()
	for _, w := range s.writers {
		if err := w.AwaitAcked(ctx, warmUp); err != nil {
			return nil, err
		}
	}
	work.Go(func() { s.follow(working) })
	s.began = time.Now()
	crew := make(chan struct{})
	repairing, stopRepairing := context.WithCancel(ctx)
	defer func() { stopRepairing(); <-crew; s.repairs.Wait() }()
	go func() {
		defer close(crew)
		s.repair(repairing)
	}()
	s.rage(ctx)
	ended := time.Now()
	calm := s.calm(ctx)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	stopRepairing()
	<-crew
	s.repairs.Wait()
	stopWorking()
	s.stopClients()
	work.Wait()
	return s.judge(ctx, boot, ended, calm)
}

// bootTime is the wall time at which the boot-time clock was 0.
func bootTime() time.Time {
	now := lab.Now()
	return now.Wall.Add(-now.Boot)
}

func (s *storm) startClients(ctx context.Context, work *sync.WaitGroup) {
	d := door{
		address: s.lab.RoutedAddress(), dial: s.lab.Site.Host(lab.ClientHost).Dial,
		user: database.App, password: s.lab.Template.Password(database.App), database: database.Name,
	}
	for i := range appendClients {
		s.writers = append(s.writers, traffic.StartWriter(traffic.WriterOptions{
			Name: fmt.Sprintf("client-%d", i+1), Interval: appendEvery, Pause: afterFailure,
			ConnectTimeout: connectPatience, WriteTimeout: answerPatience,
			Open: func(ctx context.Context) (traffic.Session, error) {
				opened, err := d.open(ctx)
				if err != nil {
					return nil, err
				}
				return appender{opened}, nil
			},
		}))
	}
	for i := range registerClients {
		work.Go(func() { s.register.use(ctx, d, i, rand.New(rand.NewPCG(s.options.Seed, uint64(i)+1))) })
	}
	s.truth = traffic.WatchTruth(s.lab.Members, watchEvery)
}

func (s *storm) stopClients() {
	for _, w := range s.writers {
		w.Stop()
	}
	s.truth.Stop()
}

// rage makes the faults of the schedule, and returns when the last one is healed.
func (s *storm) rage(ctx context.Context) {
	raging, cancel := context.WithTimeout(ctx, s.options.Length)
	defer cancel()
	var faults sync.WaitGroup
	for _, f := range Draw(s.options.Seed, s.options.Length) {
		if clock.Pause(raging, time.Until(s.began.Add(f.At))) != nil {
			break
		}
		faults.Go(func() { s.inject(raging, f) })
	}
	<-raging.Done()
	faults.Wait()
	if ctx.Err() == nil {
		s.say("the storm is over; everything must become whole again")
	}
}

// calm waits until the group is ready for a failover with all standbys streaming, and clients write.
func (s *storm) calm(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, calmPatience, fmt.Errorf("it was not whole after %v", calmPatience))
	defer cancel()
	for told := ""; ; {
		err := s.whole(ctx)
		if err == nil {
			break
		}
		if told != err.Error() {
			told = err.Error()
			s.say("not yet         %s", told)
		}
		if failed := clock.Pause(ctx, roundEvery); failed != nil {
			return errors.Join(failed, err)
		}
	}
	for _, w := range s.writers {
		if err := w.AwaitAcked(ctx, settle); err != nil {
			return err
		}
	}
	s.say("everything is whole")
	return nil
}

// whole says what is missing. That one standby may not be promoted just now since another one holds more is no fault.
func (s *storm) whole(ctx context.Context) error {
	g := s.seen().group
	if g.GetStage() != "steady" || !g.GetArmed() || g.GetPause() != nil || g.GetPrimaryStatus() != statusUp || g.GetCandidate() == "" {
		return fmt.Errorf("the group is %s, armed %v, paused %v, its primary %s, its candidate %q", g.GetStage(), g.GetArmed(),
			g.GetPause() != nil, g.GetPrimaryStatus(), g.GetCandidate())
	}
	ctx, cancel := context.WithTimeout(ctx, askServerPatience)
	defer cancel()
	for _, m := range g.GetMembers() {
		if m.GetMember() == g.GetPrimary() {
			continue
		}
		var sent bool
		err := s.lab.Member(g.GetPrimary()).Ask(ctx, []any{&sent}, sentTo, m.GetMember())
		if err != nil || !sent || m.GetStatus() != statusUp {
			return errors.Join(fmt.Errorf("%s is %s, and follows %s: %v", m.GetMember(), m.GetStatus(), g.GetPrimary(), sent), err)
		}
	}
	return nil
}

// follow collects the arbiters' events.
func (s *storm) follow(ctx context.Context) {
	for item, err := range s.api.Watch(ctx, &arbiterv1.WatchEventsRequest{}) {
		if err != nil {
			if ctx.Err() == nil {
				s.say("no more events: %v", err)
			}
			return
		}
		if item.Gap != nil {
			s.say("events %d to %d are missing", item.Gap.After+1, item.Gap.Oldest-1)
		}
		if item.Event != nil {
			s.note(func() { s.events = append(s.events, item.Event) })
		}
	}
}
