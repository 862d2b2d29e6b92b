package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/arbiter-ha/arbiter/client"
	"github.com/arbiter-ha/arbiter/internal/clock"
	"github.com/arbiter-ha/arbiter/internal/lab"
	"github.com/arbiter-ha/arbiter/internal/lab/database"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

const (
	// roundEvery is how often the crew looks around, askPatience how long it waits for an answer.
	roundEvery, askPatience = 500 * time.Millisecond, 4 * time.Second
	// roundsPerCollection is how often operations are collected.
	roundsPerCollection = 10
	// repairPatience bounds one repair, askServerPatience one question to a database that may hang.
	repairPatience, askServerPatience = 45 * time.Second, 2 * time.Second
	// strayPatience is how long a standby may be without its primary before the crew makes it anew.
	strayPatience = 10 * time.Second
)

// Repair is one thing that the crew did to a host.
type Repair struct {
	Host         string
	Began, Ended time.Time
	How          string
	Failed       string
}

// sight is what the crew saw of the group last.
type sight struct {
	primary, leader string
	group           *arbiterv1.GroupStatus
}

func (s *storm) seen() sight {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sight
}

func change(reason string) *arbiterv1.Change {
	return &arbiterv1.Change{RequestId: client.NewRequestID(), Reason: reason}
}

// repair goes round until ctx ends, and waits for what it began.
func (s *storm) repair(ctx context.Context) {
	for number := 0; ctx.Err() == nil; number++ {
		s.round(ctx)
		if number%roundsPerCollection == 0 {
			_ = s.collect(ctx) // without an answer the next one tells
		}
		_ = clock.Pause(ctx, roundEvery)
	}
}

// round looks at everything once. What takes long goes on beside it.
func (s *storm) round(ctx context.Context) {
	for _, p := range s.patients {
		if p.arbiter != nil {
			s.begin(ctx, p, func(ctx context.Context) (string, error) { return s.restartArbiter(ctx, p) })
		}
	}
	asked := time.Now()
	asking, cancel := context.WithTimeout(ctx, askPatience)
	status, err := s.api.GetStatus(asking, &arbiterv1.GetStatusRequest{
		Group: lab.Group, Consistency: arbiterv1.Consistency_CONSISTENCY_LINEARIZABLE,
	})
	cancel()
	if err != nil || len(status.GetGroups()) != 1 {
		return // without the arbiters' word nobody is made anything
	}
	g := status.GetGroups()[0]
	s.note(func() {
		s.sight = sight{primary: writerOf(g), leader: status.GetFreshness().GetLeader(), group: g}
	})
	for _, p := range s.patients {
		if p.database != nil {
			s.begin(ctx, p, func(ctx context.Context) (string, error) { return s.restore(ctx, p, g, asked) })
		}
	}
	s.command(ctx, g)
}

// begin does one repair beside all others, unless somebody works on the host or a fault is not over.
func (s *storm) begin(ctx context.Context, p *patient, work func(context.Context) (how string, err error)) {
	if !p.whole() || !p.hands.TryLock() {
		return
	}
	s.repairs.Go(func() {
		defer p.hands.Unlock()
		ctx, cancel := context.WithTimeout(ctx, repairPatience)
		defer cancel()
		r := Repair{Host: p.name(), Began: time.Now()}
		how, err := work(ctx)
		if how == "" {
			return
		}
		r.Ended, r.How = time.Now(), how
		if err != nil {
			r.Failed = err.Error()
		}
		s.note(func() { s.repaired = append(s.repaired, r) })
		s.say("repaired        %s: %s in %.1fs%s", r.Host, how, r.Ended.Sub(r.Began).Seconds(), failedWords(err))
	})
}

func failedWords(err error) string {
	if err == nil {
		return ""
	}
	words := err.Error()
	return ", in vain: " + words[:min(len(words), 200)]
}

// restartArbiter is what systemd does (Restart=on-failure), after somebody has switched the machine on.
func (s *storm) restartArbiter(ctx context.Context, p *patient) (how string, err error) {
	if p.arbiter.Process().Running() && p.host.On() {
		return "", nil
	}
	if p.host.On() && p.whole() && !s.broke(p.name()) {
		s.note(func() { s.selfEnded = append(s.selfEnded, fmt.Sprintf("%s at %s", p.name(), clockOf(time.Now()))) })
	}
	if err := p.host.PowerOn(ctx); err != nil {
		return "switched on", err
	}
	return "started", p.arbiter.Start()
}

// deadly are the faults that end an arbiter, or that it ends itself for.
var deadly = []Kind{KillArbiter, ArbiterPower, HungDisk, FullDisk}

// broke tells whether a fault ended the host's processes since they were started last.
func (s *storm) broke(host string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	var started time.Time
	for _, r := range s.repaired {
		if r.Host == host {
			started = r.Began
		}
	}
	for _, i := range s.injected {
		if len(i.Hosts) > 0 && i.Hosts[0] == host && i.Skipped == "" && slices.Contains(deadly, i.Kind) && i.Ended.After(started) {
			return true
		}
	}
	return false
}

// writerOf is the member that has authority, empty if none has.
func writerOf(g *arbiterv1.GroupStatus) string {
	for _, m := range g.GetMembers() {
		if m.GetAuthority() == authorityWriter {
			return m.GetMember()
		}
	}
	return ""
}

// Words of the API.
const (
	authorityWriter, authorityRevoked, authorityNone = "WRITER", "REVOKED", "NONE"
	stageHeld                                        = "held"
	statusUp                                         = "up"
)

func memberOf(g *arbiterv1.GroupStatus, name string) *arbiterv1.MemberStatus {
	for _, m := range g.GetMembers() {
		if m.GetMember() == name {
			return m
		}
	}
	return nil
}

// restore brings a database back, if something is wrong with it and it may be touched. What it may be started as is
// decided by its authority: a former primary without any becomes a standby of the present one, or stays down.
//
// A writer is started only on a machine that is on, and only if the arbiters' word was asked for after the machine was
// switched on: then no fence has begun before that moment, and a later one finds the machine on and switches it off.
func (s *storm) restore(ctx context.Context, p *patient, g *arbiterv1.GroupStatus, asked time.Time) (how string, err error) {
	db, authority := p.database, memberOf(g, p.name()).GetAuthority()
	spoilt := p.spoilt || !exists(filepath.Join(db.DataDir(), "PG_VERSION"))
	switch {
	case authority == authorityRevoked: // it is being fenced
		return "", nil
	case p.host.On() && db.Running():
		return s.reattach(ctx, p, g)
	case authority == authorityNone && !spoilt && exists(filepath.Join(db.DataDir(), "standby.signal")):
		if err := p.switchOn(ctx); err != nil {
			return "switched on", err
		}
		return "started as a standby", p.start(ctx)
	case authority == authorityNone:
		return s.rejoin(ctx, p, g, spoilt)
	case authority == authorityWriter && !p.host.On():
		return "switched on", p.switchOn(ctx)
	case authority == authorityWriter && asked.After(p.switchedOn):
		return "started as the writer", p.start(ctx)
	}
	return "", nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func (p *patient) switchOn(ctx context.Context) error {
	if p.host.On() {
		return nil
	}
	defer func() { p.switchedOn = time.Now() }()
	return p.host.PowerOn(ctx)
}

// start starts the server as it was, on a machine that is on. Orphans of an earlier life are ended first.
func (p *patient) start(ctx context.Context) error {
	if err := p.database.Crash(ctx); err != nil {
		return err
	}
	err := p.database.Start(ctx)
	// A copy or a rewind that was cut short leaves what can't be started.
	p.spoilt = p.spoilt || errors.Is(err, database.ErrEnded) && p.host.On() && p.whole()
	return err
}

// reattach makes a standby anew that has lost its primary for good.
func (s *storm) reattach(ctx context.Context, p *patient, g *arbiterv1.GroupStatus) (how string, err error) {
	primary := s.source(p, g)
	if primary == nil || memberOf(g, p.name()).GetAuthority() != authorityNone {
		return "", nil
	}
	asking, cancel := context.WithTimeout(ctx, askServerPatience)
	defer cancel()
	var sent bool
	if err := primary.database.Ask(asking, []any{&sent}, sentTo, p.name()); err != nil || sent {
		s.note(func() { delete(s.strays, p.name()) })
		return "", nil
	}
	var since time.Time
	s.note(func() {
		if s.strays[p.name()].IsZero() {
			s.strays[p.name()] = time.Now()
		}
		since = s.strays[p.name()]
	})
	if time.Since(since) < strayPatience {
		return "", nil
	}
	s.note(func() { delete(s.strays, p.name()) })
	return s.rejoin(ctx, p, g, true)
}

const sentTo = "SELECT EXISTS (SELECT FROM pg_stat_replication WHERE application_name = $1 AND state = 'streaming')"

// source is the primary that standbys are made from; nil while there is none beyond doubt. While an operation is held the
// writer that is up is one: the operation may be held for want of that very standby.
func (s *storm) source(p *patient, g *arbiterv1.GroupStatus) *patient {
	under, up := g.GetOperation() != nil && g.GetStage() != stageHeld, g.GetPrimaryStatus() == statusUp
	if under || !up || g.GetPrimary() == p.name() || memberOf(g, g.GetPrimary()).GetAuthority() != authorityWriter {
		return nil
	}
	for _, other := range s.patients {
		if other.name() == g.GetPrimary() {
			return other
		}
	}
	return nil
}

// rejoin makes a member without authority a standby of the present primary: by pg_rewind, or else by a full copy.
func (s *storm) rejoin(ctx context.Context, p *patient, g *arbiterv1.GroupStatus, copyAll bool) (how string, err error) {
	primary := s.source(p, g)
	if primary == nil {
		return "", nil
	}
	if err := p.switchOn(ctx); err != nil {
		return "switched on", err
	}
	if err := p.database.Crash(ctx); err != nil {
		return "stopped", err
	}
	how = "rewound"
	if !copyAll {
		err = p.database.Rewind(ctx, primary.database)
	}
	if copyAll || err != nil {
		how = "copied"
		if again := p.database.Reseed(ctx, primary.database); again != nil {
			return how, errors.Join(err, again)
		}
	}
	p.spoilt = false
	return how + " from " + primary.name(), p.start(ctx)
}

// follow sets what every member needs to be a primary of the others.
func follow(m *database.Server, all []*database.Server) error {
	var names []string
	for _, other := range all {
		if other != m {
			names = append(names, fmt.Sprintf("%q", other.Name()))
		}
	}
	return m.Set(map[string]string{"synchronous_standby_names": fmt.Sprintf("ANY 1 (%s)", strings.Join(names, ", "))})
}
