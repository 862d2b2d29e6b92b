package probe

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/postgres/postgrestest"
	"github.com/arbiter-ha/arbiter/internal/secret"
)

// processCPU is how much CPU this process has used.
func processCPU(t testing.TB) time.Duration {
	t.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatalf("read the CPU time: %v", err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// BenchmarkPostgresLook gives, as cpu-µs/look, what one look at a primary costs this process: a new session with SCRAM, the
// question, the write.
func BenchmarkPostgresLook(b *testing.B) {
	server := postgrestest.Start(b)
	c := patientCheck()
	p := NewPostgres(PostgresOptions{Node: "az-a", Secrets: new(secret.Reader)})
	defer p.Close()
	target := postgresTarget("pg-a", server.Address, c)
	lookAt(p, target, c) // derives the keys
	began := processCPU(b)
	b.ReportAllocs()
	for b.Loop() {
		if look := p.Look(context.Background(), target, c); !look.Facts.AcceptsWrites {
			b.Fatalf("look: got %+v", look)
		}
	}
	b.ReportMetric(float64((processCPU(b)-began).Microseconds())/float64(b.N), "cpu-µs/look")
}

// BenchmarkTenGroups gives, as cpu-%, the share of one core that watching 10 groups of a primary and two standbys costs, at
// intervals of one second. One operation is one second.
func BenchmarkTenGroups(b *testing.B) {
	primary := postgrestest.Start(b, setting("max_connections", "100"))
	standby := primary.Standby("pg-b")
	check := normalCheck()
	var all []Target
	for i := range 10 {
		for name, address := range map[failover.MemberName]string{
			"a": primary.Address, "b": standby.Address, "c": standby.Address,
		} {
			target := postgresTarget(name, address, check)
			target.Group = failover.GroupName(fmt.Sprintf("group-%d", i))
			all = append(all, target)
		}
	}
	looks := make(chan failover.Reason, 100000)
	s := NewScheduler(Options{
		Node: "az-a", Report: func(r Report) { looks <- r.Look.Evidence.Reason },
		Checkers: map[failover.CheckKind]Checker{failover.CheckPostgres: NewPostgres(PostgresOptions{Node: "az-a", Secrets: new(secret.Reader)})},
	})
	s.SetTargets(all)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	time.Sleep(3 * time.Second) // connections are held, keys are derived
	for len(looks) > 0 {
		<-looks
	}
	began := processCPU(b)
	b.ResetTimer()
	time.Sleep(time.Duration(b.N) * time.Second)
	b.StopTimer()
	used := processCPU(b) - began
	b.ReportMetric(100*used.Seconds()/float64(b.N), "cpu-%")
	b.ReportMetric(float64(len(looks))/float64(b.N), "looks/s")
	cancel()
	if err := <-done; err != nil {
		b.Fatalf("run: %v", err)
	}
}
