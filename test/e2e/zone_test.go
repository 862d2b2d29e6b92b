package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/internal/lab"
	"github.com/arbiter-ha/arbiter/internal/lab/database"
	"github.com/arbiter-ha/arbiter/internal/lab/traffic"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// pair is one of several groups in a deployment: a primary in one zone, and its synchronous standby in another.
type pair struct {
	name             string
	primary, standby *database.Server
	writer           *traffic.Writer // its client; nil until it is ready
}

// pairsOf makes pairs of a deployment's members, each a database of its own.
func pairsOf(t *testing.T, ctx context.Context, l *lab.Lab) []pair {
	t.Helper()
	var pairs []pair
	for i := 0; i < len(l.Members); i += 2 {
		p := pair{name: fmt.Sprintf("group-%d", i/2+1), primary: l.Members[i], standby: l.Members[i+1]}
		if i > 0 {
			for _, m := range []*database.Server{p.primary, p.standby} {
				if err := m.Stop(ctx, database.Fast); err != nil {
					t.Fatal(err)
				}
			}
			if err := errors.Join(p.primary.StartAsPrimary(ctx), p.standby.Reseed(ctx, p.primary), p.standby.Start(ctx)); err != nil {
				t.Fatal(err)
			}
		}
		if err := setRule(ctx, p.primary, p.standby, p.standby, ""); err != nil {
			t.Fatal(err)
		}
		pairs = append(pairs, p)
	}
	return pairs
}

// yamlOf is the spec of one pair: that of the deployment without the other members, and without routes.
func (s *stage) yamlOf(p pair, health string) string {
	yaml := s.yaml(plan{spec: lab.Spec{Name: p.name}, health: health})
	var kept []string
	for line := range strings.Lines(yaml) {
		name, member := strings.CutPrefix(line, "  - {name: ")
		name, _, _ = strings.Cut(name, ",")
		if member && name != p.primary.Name() && name != p.standby.Name() {
			continue
		}
		if strings.HasPrefix(line, "routes:") {
			break
		}
		kept = append(kept, line)
	}
	return strings.Join(kept, "")
}

// Every group of a zone goes down at once. Above the fleet brake all are held. An operator lets one go on, and with that the
// others are below the brake: those with a candidate elsewhere fail over, the one without is neither failed over nor fenced.
func TestScenario14_ZoneLost(t *testing.T) {
	full(t)
	s := &stage{t: t}
	var cancel context.CancelFunc
	s.ctx, cancel = context.WithTimeout(context.Background(), 2*limit)
	t.Cleanup(cancel)
	p := plan{own: true, options: lab.Options{Standbys: 9}}
	p.options = provided(t, p)
	s.Lab = deployment(t, s.ctx, p)
	t.Cleanup(s.leave)
	var err error
	s.api, err = s.Client()
	s.must(err)
	pairs := pairsOf(t, s.ctx, s.Lab)
	// All are seen down before any is acted on: otherwise which of them are held would be chance.
	health := strings.Replace(patient, "{", "{minimum_unhealthy: 5s, ", 1)
	for _, p := range pairs {
		s.apply(s.yamlOf(p, health))
	}
	s.truth = s.WatchTruth()
	for i, p := range pairs {
		_, err := s.AwaitReady(s.ctx, p.name)
		s.must(err)
		pairs[i].writer = s.StartWriterAmong(p.primary, p.standby)
		s.must(pairs[i].writer.AwaitAcked(s.ctx, 20))
	}
	var writers []*database.Server
	for _, p := range pairs {
		writers = append(writers, p.primary)
	}
	s.spoilFence(writers...)
	lost := pairs[len(pairs)-1]
	s.fault = lab.Now()
	s.must(lost.standby.Crash(s.ctx))
	for _, p := range pairs {
		s.must(p.primary.Crash(s.ctx))
	}
	s.brakeHolds(pairs)
	_, err = s.Ctl(s.ctx, "release", pairs[0].name, "--yes", "--reason", "the zone is dark")
	s.must(err)
	for _, p := range pairs[:len(pairs)-1] {
		s.done(p)
	}
	_, err = s.AwaitGroup(s.ctx, lost.name, "held without a candidate", func(g *arbiterv1.GroupStatus) bool {
		reason := g.GetOperation().GetHeldReason()
		return g.GetStage() == "held" && (reason == "no-candidate" || reason == "loss-bound")
	})
	s.must(err)
	if !lost.primary.Host().On() {
		t.Errorf("%s was fenced, and nobody can replace it", lost.primary.Name())
	}
	s.wroteAlone(pairs)
}

// brakeHolds waits until all groups are held, and asserts that nothing was done to any.
func (s *stage) brakeHolds(pairs []pair) {
	s.t.Helper()
	for _, p := range pairs {
		_, err := s.AwaitGroup(s.ctx, p.name, "held by the fleet brake", func(g *arbiterv1.GroupStatus) bool {
			return g.GetStage() == "held" && g.GetOperation().GetHeldReason() == "fleet-brake"
		})
		s.must(err)
	}
	s.says([]string{"explain", pairs[0].name}, "5 of 5 groups turned down", "release")
	for _, r := range s.Power.Requests() {
		if r.Action == "off" {
			s.t.Errorf("the brake was on, and %s was switched off", r.Plug)
		}
	}
}

// done waits until a group's client writes to the standby, and asserts that a failover brought it there and lost no acknowledged write.
func (s *stage) done(p pair) {
	s.t.Helper()
	outage, err := p.writer.AwaitOutage(s.ctx, s.fault.Boot, p.primary.Name())
	s.must(err)
	s.must(p.writer.AwaitAcked(s.ctx, 20))
	p.writer.Stop()
	lost, err := s.Lost(s.ctx, p.writer, p.standby)
	if err != nil || lost > 0 {
		s.t.Errorf("%d acknowledged writes of %s are missing on %s (%v)", lost, p.name, p.standby.Name(), err)
	}
	s.t.Logf("%s: write outage %v, the brake and its release included; %d writes acknowledged, %d lost", p.name,
		outage.Length.Round(time.Millisecond), p.writer.Acked(), lost)
	op, err := s.Operation(s.ctx, p.name, "")
	s.must(err)
	if op.GetResult() != "done" || op.GetTo() != p.standby.Name() {
		s.t.Errorf("operation on %s: %v", p.name, op)
	}
}

// wroteAlone asserts S1 within each group: the truth that is shared by all groups has several writers by design.
func (s *stage) wroteAlone(pairs []pair) {
	s.t.Helper()
	s.truth.Stop()
	for _, p := range pairs {
		p.writer.Stop()
		if err := s.truth.CheckAmong([]string{p.primary.Name(), p.standby.Name()}, p.writer); err != nil {
			s.t.Errorf("S1 in %s: %v", p.name, err)
		}
	}
}
