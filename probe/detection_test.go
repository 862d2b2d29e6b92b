package probe

import (
	"context"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/postgres/postgrestest"
	"github.com/arbiter-ha/arbiter/internal/secret"
)

// watch runs a scheduler over a group's members and gives what it reports.
func watch(t *testing.T, check failover.Check, members map[failover.MemberName]string) (*Scheduler, <-chan Report) {
	t.Helper()
	reports := make(chan Report, 10000)
	s := NewScheduler(Options{
		Node: "az-a", Report: func(r Report) { reports <- r },
		Checkers: map[failover.CheckKind]Checker{failover.CheckPostgres: NewPostgres(PostgresOptions{Node: "az-a", Secrets: new(secret.Reader)})},
	})
	var all []Target
	for name, address := range members {
		all = append(all, postgresTarget(name, address, check))
	}
	s.SetTargets(all)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	return s, reports
}

// await returns the first report that meets a condition.
func await(t *testing.T, reports <-chan Report, what string, condition func(Report) bool) Report {
	t.Helper()
	timeout := time.After(time.Minute)
	for {
		select {
		case r := <-reports:
			if condition(r) {
				return r
			}
		case <-timeout:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func claims(name failover.MemberName, class failover.EvidenceClass) func(Report) bool {
	return func(r Report) bool {
		return r.Observation.Member == name && failover.ClassOf(r.Observation.Checks[0].Evidence.Reason) == class
	}
}

func awaitHeld(server *postgrestest.Server) {
	server.Eventually("a connection is held", func() bool {
		n, err := server.TryQuery("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'arbiter-hold/az-a' AND state = 'idle'")
		return err == nil && n == "1"
	})
}

// runs is how often the measurements below are repeated: PROBE_RUNS, or a few times.
func runs(t *testing.T) int {
	t.Helper()
	text := os.Getenv("PROBE_RUNS")
	if text == "" {
		return 3
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("PROBE_RUNS: %v", err)
	}
	return n
}

// logTimes logs the distribution. How long a busy machine takes is no fault.
func logTimes(t *testing.T, what string, times []time.Duration) {
	t.Helper()
	if len(times) == 0 {
		return
	}
	slices.Sort(times)
	median, longest := times[len(times)/2], times[len(times)-1]
	t.Logf("%s: n=%d median=%v max=%v", what, len(times), median.Round(100*time.Microsecond), longest.Round(100*time.Microsecond))
}

// normalCheck is a check of profile normal.
func normalCheck() failover.Check {
	c := patientCheck()
	c.Interval, c.Timeout, c.Failures = time.Second, time.Second, 3
	return c
}

func TestPostgresCrashIsKnownInTensOfMilliseconds(t *testing.T) {
	for _, test := range []struct {
		name string
		kill func(*postgrestest.Server)
	}{
		{"all processes", (*postgrestest.Server).Kill},
		{"postmaster alone", func(s *postgrestest.Server) { s.KillMain(); s.Kill() }},
	} {
		t.Run(test.name, func(t *testing.T) { crashIsKnown(t, test.kill) })
	}
}

func crashIsKnown(t *testing.T, kill func(*postgrestest.Server)) {
	server := postgrestest.Start(t)
	check := normalCheck()
	check.Interval = time.Hour // what is known before the next interval is known by the end of the held connection
	var took, killing []time.Duration
	for i := range runs(t) {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			_, reports := watch(t, check, map[failover.MemberName]string{"pg-a": server.Address})
			await(t, reports, "the server is seen", claims("pg-a", failover.EvidenceGood))
			awaitHeld(server)
			for len(reports) > 0 {
				<-reports
			}
			began := time.Now()
			killed := make(chan time.Duration, 1)
			go func() {
				kill(server)
				killed <- time.Since(began)
			}()
			await(t, reports, "the crash is known", claims("pg-a", failover.EvidenceDead))
			took = append(took, time.Since(began))
			killing = append(killing, <-killed)
		})
		server.Start()
		server.WaitReady()
	}
	logTimes(t, "killing and reaping all processes", killing)
	logTimes(t, "crash known", took)
}

func TestPostgresFreezeIsFoundByTimeouts(t *testing.T) {
	server := postgrestest.Start(t)
	check := fastCheck()
	check.Name, check.Kind = "sql", failover.CheckPostgres
	_, reports := watch(t, check, map[failover.MemberName]string{"pg-a": server.Address})
	var took []time.Duration
	for range runs(t) {
		await(t, reports, "the server is seen", claims("pg-a", failover.EvidenceGood))
		awaitHeld(server)
		for len(reports) > 0 {
			<-reports
		}
		began := time.Now()
		server.Freeze()
		await(t, reports, "the freeze is known", claims("pg-a", failover.EvidenceDead))
		took = append(took, time.Since(began))
		server.Thaw()
	}
	logTimes(t, "freeze known, profile fast", took)
}

func TestPostgresPromotionAndFormerPrimary(t *testing.T) {
	primary := postgrestest.Start(t)
	standby := primary.Standby("pg-b")
	check := fastCheck()
	check.Name, check.Kind, check.Timeout = "sql", failover.CheckPostgres, time.Second
	s, reports := watch(t, check, map[failover.MemberName]string{"pg-a": primary.Address, "pg-b": standby.Address})
	await(t, reports, "the standby streams", func(r Report) bool {
		return r.Observation.Member == "pg-b" && r.Observation.Facts.Streaming
	})
	written := await(t, reports, "the primary is seen", claims("pg-a", failover.EvidenceGood)).Observation.Facts.Written

	primary.Kill()
	r := await(t, reports, "the crash is known", claims("pg-a", failover.EvidenceDead))
	if f := r.Observation.Facts; f.Role != failover.RolePrimary || f.AcceptsWrites || f.Written < written {
		t.Fatalf("facts of the dead primary: got %+v", f)
	}
	await(t, reports, "the standby no longer streams", func(r Report) bool {
		return r.Observation.Member == "pg-b" && r.Observation.Facts.Role == failover.RoleStandby && !r.Observation.Facts.Streaming
	})

	standby.Exec("SELECT pg_promote(false)")
	r = await(t, reports, "the promotion is seen", func(r Report) bool {
		s.LookAgain("orders")
		return r.Observation.Member == "pg-b" && r.Observation.Facts.AcceptsWrites
	})
	if f := r.Observation.Facts; f.Role != failover.RolePrimary || f.Timeline != 2 || f.ReceivingGrows {
		t.Fatalf("facts of the new primary: got %+v", f)
	}
}

// TestPostgresStandbyWitnessesWrites cuts this arbiter off from a primary that goes on writing: its standby is a witness.
func TestPostgresStandbyWitnessesWrites(t *testing.T) {
	primary := postgrestest.Start(t)
	standby := primary.Standby("pg-b")
	check := fastCheck()
	check.Name, check.Kind, check.Timeout = "sql", failover.CheckPostgres, time.Second
	check.Failures = 1
	door := newDoor(t, primary.Address)
	_, reports := watch(t, check, map[failover.MemberName]string{"pg-a": door.address, "pg-b": standby.Address})
	await(t, reports, "the primary is seen", claims("pg-a", failover.EvidenceGood))

	primary.Exec("CREATE TABLE busy (n int)")
	door.close()
	ctx, cancel := context.WithCancel(context.Background())
	writer := primary.Dial()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			_, _ = writer.Exec(ctx, "INSERT INTO busy VALUES (1)") // what matters is seen by the probe
		}
	}()
	defer func() {
		cancel()
		<-done
	}()
	await(t, reports, "the standby is a witness", func(r Report) bool {
		return r.Observation.Member == "pg-b" && r.Observation.Facts.ReceivingGrows
	})
}

// TestPostgresRestartIsAnnounced: a server that is shut down in order says so before it refuses, however short the moment is.
func TestPostgresRestartIsAnnounced(t *testing.T) {
	server := postgrestest.Start(t)
	_, reports := watch(t, normalCheck(), map[failover.MemberName]string{"pg-a": server.Address})
	for range runs(t) {
		await(t, reports, "the server is seen", claims("pg-a", failover.EvidenceGood))
		awaitHeld(server)
		server.Stop()
		announced := false
		await(t, reports, "the server refuses", func(r Report) bool {
			reason := r.Observation.Checks[0].Evidence.Reason
			announced = announced || failover.SaysRestarting(reason)
			return reason == failover.ReasonRefused
		})
		if !announced {
			t.Error("it refused without a word")
		}
		server.Start()
	}
}
