package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/client"
	"github.com/arbiter-ha/arbiter/config"
	"github.com/arbiter-ha/arbiter/internal/lab"
	"github.com/arbiter-ha/arbiter/internal/lab/database"
	"github.com/arbiter-ha/arbiter/internal/lab/hosts"
	"github.com/arbiter-ha/arbiter/internal/lab/traffic"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// limit is how long one scenario may take; only a hang reaches it.
const limit = 2 * time.Minute

// plan says what a scenario needs to begin. The zero value is what most of them need.
type plan struct {
	// failpoints takes arbiters that can be ended or stopped at a chosen place.
	failpoints bool
	// own opens a deployment that no other scenario uses.
	own bool
	// options of an own deployment.
	options lab.Options
	// before runs in an own deployment, before the arbiters start.
	before func(*testing.T, *lab.Lab)
	// sync is the rule for synchronous commits, with %s for the names of the first and the second standby;
	// FIRST 1 of the first standby by default, "none" for asynchronous replication.
	sync string
	// spec of the group.
	spec lab.Spec
	// policy are further lines of the policy.
	policy []string
	// health replaces what the spec says of health.
	health string
	// idle starts no client and no truth.
	idle bool
	// ownFences are the members whose fences the scenario is about: -fence leaves those alone, and doc.go says why. Nil: it is about none.
	ownFences func(*stage) []*database.Server
}

// patient is the health of most scenarios: quick to see a crash, and patient with a machine that is busy.
const patient = "{profile: fast, checks: [{name: postgres, kind: postgres, timeout: 1500ms}]}"

// stage is one scenario's hold of a deployment, whole at first.
type stage struct {
	*lab.Lab
	t   *testing.T
	ctx context.Context
	api *client.Client
	// primary writes at first; first and second follow it, first synchronously unless the plan says otherwise.
	primary, first, second *database.Server
	writer                 *traffic.Writer
	truth                  *traffic.Truth
	epoch                  uint64 // at first
	fault                  lab.Moment
	asked                  int              // requests that the power switch had got before
	expectLost             bool             // the scenario is about losing acknowledged writes
	rogue                  *database.Server // the one that the scenario makes a second writer itself; nil: there may be none
	waited                 bool             // an operation was held until the scenario supplied what was missing
	judged                 bool
	owned                  []*database.Server // members whose fences the scenario is about
	repair                 *repair            // of a fence that -fence has made bad; nil: it is good
}

// shared is the deployment that scenarios without one of their own use, one after the other.
var shared struct {
	lab        *lab.Lab
	failpoints bool
}

func closeShared() error {
	if shared.lab == nil {
		return nil
	}
	closing := shared.lab
	shared.lab = nil
	return closing.Close()
}

// enter gives the scenario a whole deployment whose group is ready for a failover, with a client that writes and the
// truth watched. At the end of the test it is judged.
func enter(t *testing.T, p plan) *stage {
	t.Helper()
	return enterFor(t, limit, p)
}

// enterFor is enter with another limit.
func enterFor(t *testing.T, limit time.Duration, p plan) *stage {
	t.Helper()
	p.options = provided(t, p) // which may take long the first time, and so before the scenario's time begins
	// The test's own context would end before what Cleanup does.
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	s := &stage{t: t, ctx: ctx}
	began := time.Now()
	s.Lab = deployment(t, ctx, p)
	t.Cleanup(s.leave)
	var err error
	if s.api, err = s.Client(); err != nil {
		t.Fatal(err)
	}
	s.cast()
	s.follow(p.sync)
	s.apply(s.yaml(p))
	s.ready()
	s.epoch = s.status().GetEpoch()
	s.asked = len(s.Power.Requests())
	if !p.idle {
		s.writer, s.truth = s.StartWriter(), s.WatchTruth()
		s.writes(20)
	}
	if p.ownFences != nil {
		s.owned = p.ownFences(s)
	}
	s.spoilFence(s.primary)
	t.Logf("on stage after %v: primary %s, epoch %d", time.Since(began).Round(time.Millisecond), s.primary.Name(), s.epoch)
	return s
}

// deployment takes the shared one if it is of the right kind and can be mended, otherwise a new one.
func deployment(t *testing.T, ctx context.Context, p plan) *lab.Lab {
	t.Helper()
	if !p.own && shared.lab != nil && shared.failpoints == p.failpoints {
		err := mend(ctx, shared.lab)
		if err == nil {
			return shared.lab
		}
		t.Logf("the deployment can't be mended, another is opened: %v", err)
	}
	if err := closeShared(); err != nil {
		t.Fatal(err)
	}
	l := open(t, ctx, p)
	if p.own {
		t.Cleanup(func() {
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		})
		return l
	}
	shared.lab, shared.failpoints = l, p.failpoints
	return l
}

// provided are the options of a plan, with the programs built and the databases' template made.
func provided(t *testing.T, p plan) lab.Options {
	t.Helper()
	options, programs := p.options, released
	if p.failpoints {
		programs = failing
	}
	var err error
	if options.Template, err = template(); err != nil {
		t.Fatal(err)
	}
	if options.Binaries, err = programs(); err != nil {
		t.Fatal(err)
	}
	return options
}

func open(t *testing.T, ctx context.Context, p plan) *lab.Lab {
	t.Helper()
	l, err := lab.Open(ctx, p.options)
	if err != nil {
		t.Fatal(err)
	}
	if err := start(t, ctx, l, p); err != nil {
		logs(t, l)
		t.Fatal(errors.Join(err, l.Close()))
	}
	return l
}

func start(t *testing.T, ctx context.Context, l *lab.Lab, p plan) error {
	t.Helper()
	if err := l.PrepareArbiters(); err != nil {
		return err
	}
	if p.before != nil {
		p.before(t, l)
	}
	for _, a := range l.Arbiters {
		a.Env = environment(l)
		if err := a.Start(); err != nil {
			return err
		}
	}
	_, err := l.Leader(ctx)
	return err
}

// addToFile adds a line to an arbiter's file.
func addToFile(a *lab.Arbiter, line string) error {
	text, err := os.ReadFile(a.Config())
	return errors.Join(err, os.WriteFile(a.Config(), append(text, line+"\n"...), 0o600))
}

// leave judges what the scenario did not judge itself, and gives up a deployment in which a scenario failed.
func (s *stage) leave() {
	s.repair.end(s)
	if !s.t.Failed() && !s.judged {
		s.judge()
	}
	s.raceless()
	if s.t.Failed() {
		s.describe()
		logs(s.t, s.Lab)
	}
	if s.writer != nil {
		s.writer.Stop()
		s.truth.Stop()
	}
	if s.api != nil {
		_ = s.api.Close()
	}
	if s.t.Failed() && s.Lab == shared.lab {
		if err := closeShared(); err != nil {
			s.t.Error(err)
		}
	}
}

// describe logs how things stand when a scenario has failed.
func (s *stage) describe() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for _, command := range []string{"explain", "show", "attestations", "events"} {
		out, err := s.Ctl(ctx, command, lab.Group)
		s.t.Logf("arbiterctl %s (%v):\n%s", command, err, out)
	}
	if s.writer == nil {
		return
	}
	attempts := s.writer.Attempts()
	for _, a := range attempts[max(0, len(attempts)-5):] {
		s.t.Logf("the client's write %d: began %v, took %v, %s %s", a.Number, a.Began-s.fault.Boot, a.Ended-a.Began, a.Member, a.Err)
	}
	for _, span := range s.truth.Spans() {
		s.t.Logf("truth: %s wrote from %v to %v; %s", span.Member, span.From()-s.fault.Boot, span.Until()-s.fault.Boot, span.Closed)
	}
}

// raceless asserts that no arbiter has reported a data race, where the programs look for them.
func (s *stage) raceless() {
	s.t.Helper()
	for _, a := range s.Arbiters {
		text, err := os.ReadFile(a.LogFile())
		if err != nil {
			s.t.Errorf("read what %s has written: %v", a.Name(), err)
		}
		if at := strings.Index(string(text), "WARNING: DATA RACE"); at >= 0 {
			s.t.Errorf("%s has a data race:\n%s", a.Name(), text[at:min(len(text), at+4000)])
		}
	}
}

func logs(t *testing.T, l *lab.Lab) {
	t.Helper()
	for _, a := range l.Arbiters {
		if text, err := os.ReadFile(a.LogFile()); err == nil {
			t.Logf("log of %s:\n%s", a.Name(), text[max(0, len(text)-6000):])
		}
	}
}

// cast finds who plays which part.
func (s *stage) cast() {
	s.t.Helper()
	var err error
	if s.primary, err = primaryOf(s.ctx, s.Lab); err != nil {
		s.t.Fatal(err)
	}
	for _, m := range s.Members {
		switch {
		case m == s.primary:
		case s.first == nil:
			s.first = m
		case s.second == nil:
			s.second = m
		}
	}
}

// follow sets the rule for synchronous commits and waits until it is kept.
func (s *stage) follow(rule string) {
	s.t.Helper()
	if err := setRule(s.ctx, s.primary, s.first, s.second, rule); err != nil {
		s.t.Fatal(err)
	}
}

func setRule(ctx context.Context, primary, first, second *database.Server, rule string) error {
	switch rule {
	case "":
		rule = fmt.Sprintf("FIRST 1 (%q)", first.Name())
	case "none":
		rule = ""
	default:
		rule = strings.NewReplacer("$1", fmt.Sprintf("%q", first.Name()), "$2", fmt.Sprintf("%q", second.Name())).Replace(rule)
	}
	// A standby that was primary once must not wait for its old standbys when it is promoted.
	for _, standby := range []*database.Server{first, second} {
		if err := standby.Set(map[string]string{"synchronous_standby_names": ""}); err != nil {
			return err
		}
	}
	if err := primary.Set(map[string]string{"synchronous_standby_names": rule}); err != nil {
		return err
	}
	if err := primary.Reload(ctx); err != nil {
		return err
	}
	if rule == "" {
		return nil
	}
	return primary.AwaitSynchronous(ctx, first)
}

// yaml is the group's spec as an operator would write it.
func (s *stage) yaml(p plan) string {
	spec := p.spec
	spec.Policy = append([]string{"retry_interval: 1s"}, append(spec.Policy, p.policy...)...)
	if !strings.Contains(strings.Join(spec.Policy, "\n"), "cooldown:") {
		spec.Policy = append(spec.Policy, "cooldown: 0s")
	}
	health := p.health
	if health == "" {
		health = patient
	}
	return strings.Replace(s.YAML(spec), "health: {profile: fast}", "health: "+health, 1)
}

// apply applies a spec, and adopts the group if it must be.
func (s *stage) apply(yaml string) {
	s.t.Helper()
	parsed, _, err := config.LoadGroup("group.yaml", []byte(yaml))
	if err != nil {
		s.t.Fatalf("%v\n%s", err, yaml)
	}
	if _, err := s.api.ApplyGroup(s.ctx, &arbiterv1.ApplyGroupRequest{Change: change(), Spec: parsed}); err != nil {
		s.t.Fatalf("apply: %v\n%s", err, yaml)
	}
	s.await("the adoption of "+parsed.GetGroup(), func() error {
		status, err := s.api.GetStatus(s.ctx, &arbiterv1.GetStatusRequest{Group: parsed.GetGroup()})
		if err != nil {
			return err
		}
		if len(status.GetGroups()) == 1 && status.GetGroups()[0].GetAdopted() {
			return nil
		}
		_, err = s.api.Adopt(s.ctx, &arbiterv1.AdoptRequest{Change: change(), Group: parsed.GetGroup()})
		return err
	})
}

// ready waits until the group is ready for a failover. Fences that -fence has taken away are armed only after one was missed.
func (s *stage) ready() *arbiterv1.GroupStatus {
	s.t.Helper()
	if s.repair != nil && *fenceMode == "gone" {
		return s.until("ready but for its fences", func(g *arbiterv1.GroupStatus) bool {
			return g.GetStage() == "steady" && g.GetAdopted() && g.GetCandidate() != ""
		})
	}
	if lied() {
		s.believeFences()
	}
	status, err := s.AwaitReady(s.ctx, lab.Group)
	s.must(err)
	return status
}

func change() *arbiterv1.Change {
	return &arbiterv1.Change{RequestId: client.NewRequestID(), Reason: "scenario"}
}

// namespaces skips a scenario that cuts networks where they can't be cut.
func (s *stage) namespaces() {
	s.t.Helper()
	if s.Site.Kind() != hosts.Namespaces {
		s.t.Skip("needs root: networks can't be cut between loopback addresses")
	}
}
