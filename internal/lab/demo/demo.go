// Package demo is the demonstration: it builds a lab before the reader's eyes, takes the primary away while a client
// writes, shows what the arbiters do about it as it happens, and says what it cost.
//
// What it prints as the result was counted in the databases and by the client, not reported by the arbiters; only the
// timeline is their own account.
//
// Goroutines: one that follows events while the failover goes on; Run waits for its end.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/arbiter-ha/arbiter/internal/lab"
	"github.com/arbiter-ha/arbiter/internal/lab/database"
	"github.com/arbiter-ha/arbiter/internal/lab/hosts"
	"github.com/arbiter-ha/arbiter/internal/lab/report"
	"github.com/arbiter-ha/arbiter/internal/lab/traffic"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// Options say what to show.
type Options struct {
	// Lab is what is built.
	Lab lab.Options
	// Fault is what happens to the primary.
	Fault lab.Fault
	// Keep leaves everything running until ctx ends.
	Keep bool
	// Report is the file for machines; none if empty.
	Report string
	// Out is where people read.
	Out io.Writer
}

const (
	// warmUp is how many writes the client makes before the fault.
	warmUp = 400
	// settle is how many it makes after the outage.
	settle = 100
	// patience bounds each step; a machine that is slower than this can't show anything.
	patience = 2 * time.Minute
)

// show is one demonstration under way.
type show struct {
	Options
	lab     *lab.Lab
	primary lab.Member
	writer  *traffic.Writer
	truth   *traffic.Truth
}

// Run shows the demonstration. Everything is removed when it returns.
func Run(ctx context.Context, options Options) (err error) {
	s := &show{Options: options}
	for _, line := range lab.MakeDo(&s.Lab) {
		s.say("%s\n", line)
	}
	s.say("Arbiter demo: %s\n", s.cast())
	defer func() {
		if s.lab != nil {
			if err != nil && ctx.Err() == nil {
				s.say("\nThis demo failed. What an operator would look at:\n")
				s.lab.Evidence(s.Out, lab.Group)
			}
			err = errors.Join(err, s.lab.Close())
		}
	}()
	if err := s.prepare(ctx); err != nil {
		return err
	}
	outage, run, op, err := s.failover(ctx)
	if err != nil {
		return err
	}
	if err := s.conclude(outage, run, op); err != nil {
		return err
	}
	return s.keep(ctx)
}

func (s *show) cast() string {
	service, router := "the built-in service", "HAProxy"
	if s.Lab.Service == lab.PostgreSQL {
		var err error
		if service, err = database.Version(); err != nil {
			service = "PostgreSQL"
		}
	}
	if s.Lab.BuiltinRouter {
		router = "the built-in router"
	}
	return fmt.Sprintf("%d arbiters, %s with a synchronous and an asynchronous standby, %s, a client committing every 10 ms",
		max(s.Lab.Arbiters, 3), service, router)
}

func (s *show) say(format string, args ...any) { fmt.Fprintf(s.Out, format, args...) }

// step does one part of the preparation and prints how long it took, and what it found.
func (s *show) step(ctx context.Context, number int, what string, do func(context.Context) (string, error)) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	s.say("[%d/4] %-42s", number, what)
	began := time.Now()
	found, err := do(ctx)
	if err != nil {
		s.say("not done\n")
		return err
	}
	s.say("%5.1f s   %s\n", time.Since(began).Seconds(), found)
	return nil
}

func (s *show) prepare(ctx context.Context) error {
	return firstError(
		func() error { return s.step(ctx, 1, "hosts, power switches, databases", s.build) },
		func() error { return s.step(ctx, 2, "arbiters elect a leader", s.elect) },
		func() error { return s.step(ctx, 3, lab.Group+" armed", s.arm) },
		func() error { return s.step(ctx, 4, "client writing", s.warm) },
	)
}

func firstError(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (s *show) build(ctx context.Context) (string, error) {
	var err error
	if s.lab, err = lab.Open(ctx, s.Lab); err != nil {
		return "", err
	}
	s.primary = s.lab.Services()[0]
	if s.lab.Site.Kind() == hosts.Loopback {
		return "as processes on loopback addresses: run as root for hosts of their own", nil
	}
	return fmt.Sprintf("%d hosts, each in a network namespace", len(s.lab.Site.Hosts())), nil
}

func (s *show) elect(ctx context.Context) (string, error) {
	if err := s.lab.StartArbiters(ctx); err != nil {
		return "", err
	}
	leader, err := s.lab.Leader(ctx)
	if err != nil {
		return "", err
	}
	return leader.Name() + " leads", nil
}

func (s *show) arm(ctx context.Context) (string, error) {
	if err := s.lab.Protect(ctx, lab.Spec{}); err != nil {
		return "", err
	}
	group, err := s.lab.AwaitReady(ctx, lab.Group)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s primary, %s ready, %s would be lost", group.GetPrimary(), group.GetCandidate(), group.GetWouldLose()), nil
}

func (s *show) warm(ctx context.Context) (string, error) {
	s.writer, s.truth = s.lab.StartWriter(), s.lab.WatchTruth()
	if err := s.writer.AwaitAcked(ctx, warmUp); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d writes committed", s.writer.Acked()), nil
}

// announcements say what is about to happen.
var announcements = map[lab.Fault]string{
	lab.Crash:            "Killing every process of the database on %s ...\n",
	lab.Freeze:           "Freezing %s: connections stay open, nothing answers ...\n",
	lab.Partition:        "Pulling the network cable of %s ...\n",
	lab.HostLoss:         "Pulling the plug of %s ...\n",
	lab.LeaderAndPrimary: "Killing the database on %s, and the leading arbiter with it ...\n",
}

// failover makes the fault and shows what comes of it until the operation has ended.
func (s *show) failover(ctx context.Context) (outage traffic.Outage, run report.Run, op *arbiterv1.Operation, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	s.say(announcements[s.Fault], s.primary.Name())
	timeline, err := s.follow(ctx)
	if err != nil {
		return outage, run, nil, err
	}
	defer timeline.stop()
	fault, err := s.lab.Inject(ctx, s.Fault, s.primary)
	if err != nil {
		return outage, run, nil, err
	}
	timeline.begin(fault.Wall)
	if outage, run, err = s.lab.Measure(ctx, s.writer, s.truth, fault, s.primary.Name(), settle); err != nil {
		return outage, run, nil, err
	}
	if op, err = s.lab.Operation(ctx, lab.Group, timeline.about()); err != nil {
		return outage, run, nil, err
	}
	timeline.finish(op)
	s.showDrawn(ctx, op)
	// Without the arbiters' own record there is no division into phases; the outage itself stands.
	run.PhasesMS, _ = lab.PhasesOf(op, fault, outage)
	return outage, run, op, nil
}

// showDrawn is what an operator sees of it afterwards: the same times, drawn to scale, from the first sight of the fault on.
func (s *show) showDrawn(ctx context.Context, op *arbiterv1.Operation) {
	s.say("\n$ arbiterctl show %s\n", lab.Group)
	screen, err := s.lab.Ctl(ctx, "show", lab.Group, op.GetId())
	if err != nil {
		s.say("%v\n", err) // the failover itself went well, and what it cost is still to be said
	}
	s.say("%s\n", screen)
}

// conclude says what it cost, and fails if that was anything but time.
func (s *show) conclude(outage traffic.Outage, run report.Run, op *arbiterv1.Operation) error {
	s.sayCost(outage, run, op)
	return errors.Join(s.report(run), run.Failed())
}

func (s *show) sayCost(outage traffic.Outage, run report.Run, op *arbiterv1.Operation) {
	to := outage.First.Member
	s.say("Writes stopped for %.0f ms. %d of %d acknowledged writes are missing on %s.", run.OutageMS, run.LostAcked,
		s.writer.Acked(), to)
	if run.DoubleWritable > 0 {
		s.say(" %d WRITES WERE ACCEPTED BY TWO MEMBERS.", run.DoubleWritable)
	}
	for _, step := range op.GetSteps() {
		if step.GetName() == "isolate" && step.GetProof() != "" {
			s.say(" %s: %s.", s.primary.Name(), proofWords(step.GetProof()))
			break
		}
	}
	s.say("\n")
}

func proofWords(proof string) string {
	// A proof is its grade and what gave it.
	if strings.HasPrefix(proof, "CONFIRMED_OFF") {
		return "off, read back off"
	}
	return proof
}

func (s *show) report(run report.Run) error {
	if s.Report == "" {
		return nil
	}
	r := report.New(string(s.Fault))
	r.Service, r.Fence, r.Profile, r.Hosts = string(s.Lab.Service), "fence_lab", "fast", string(s.lab.Site.Kind())
	r.Runs = append(r.Runs, run)
	return r.WriteJSON(s.Report)
}

// keep leaves the lab to the reader, or says how to get that.
func (s *show) keep(ctx context.Context) error {
	if !s.Keep {
		s.say("Run `KEEP=1 make demo` to look around: arbiterctl status · arbiterctl show %s · arbiterctl explain %s\n", lab.Group, lab.Group)
		return nil
	}
	tools, err := s.lab.WriteTools()
	if err != nil {
		return err
	}
	s.say("\nEverything is left running until you press Ctrl-C. In another terminal, as the same user:\n  export PATH=%s:$PATH\n", tools)
	for _, verb := range []string{"status", "show " + lab.Group, "explain " + lab.Group, "epoch " + lab.Group} {
		s.say("  arbiterctl %s\n", verb)
	}
	s.say("  fence_lab -o status -n %s\nLogs: %s/*/log\n", s.primary.Name(), s.lab.Site.Dir())
	<-ctx.Done()
	s.say("\nCleaning up ...\n")
	return nil
}
