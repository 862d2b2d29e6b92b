package probe

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/internal/postgres/postgrestest"
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
	p := NewPostgres(PostgresOptions{Node: "az-a"})
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
