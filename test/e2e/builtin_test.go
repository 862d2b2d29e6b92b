package e2e

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/internal/lab"
	"github.com/arbiter-ha/arbiter/internal/lab/builtin"
	"github.com/arbiter-ha/arbiter/internal/serviceapi"
)

// TestBuiltinService_PrimaryCrash is scenario 1 without PostgreSQL: the engine is http, the service the laboratory's own. It goes on to bring the old
// primary back as a standby, as a rejoin would, and freezes it: what an arbiter of before sent meanwhile is refused when it wakes (S9).
func TestBuiltinService_PrimaryCrash(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	l := openBuiltin(t, ctx)
	old := l.Builtin[0]
	writer, truth := l.StartWriter(), l.WatchTruth()
	if err := writer.AwaitAcked(ctx, 50); err != nil {
		t.Fatal(err)
	}
	fault, err := l.Inject(ctx, lab.Crash, old)
	if err != nil {
		t.Fatal(err)
	}
	outage, run, err := l.Measure(ctx, writer, truth, fault, old.Name(), 50)
	if err != nil {
		t.Fatal(err)
	}
	op, err := l.Operation(ctx, lab.Group, "")
	if err != nil {
		t.Fatal(err)
	}
	if op.GetResult() != "done" || op.GetTo() != "pg-b" || op.GetEpochAfter() <= op.GetEpochBefore() {
		t.Errorf("the operation is %v", op)
	}
	if run.LostAcked != 0 || outage.First.Member != "pg-b" {
		t.Errorf("%d acknowledged writes are missing on %s", run.LostAcked, outage.First.Member)
	}
	if err := truth.Check(writer); err != nil {
		t.Error(err)
	}
	if old.Host().On() {
		t.Errorf("%s was not powered off", old.Name())
	}
	t.Logf("writes stopped for %v", outage.Length)
	refusesWhatCameLate(t, ctx, l, old, op.GetEpochAfter())
}

func openBuiltin(t *testing.T, ctx context.Context) *lab.Lab {
	t.Helper()
	options := lab.Options{Service: lab.Builtin}
	for _, line := range lab.MakeDo(&options) {
		t.Log(line)
	}
	var err error
	if options.Binaries, err = released(); err != nil {
		t.Fatal(err)
	}
	l, err := lab.Open(ctx, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			logs(t, l)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := l.StartArbiters(ctx); err != nil {
		t.Fatal(err)
	}
	if err := l.Protect(ctx, lab.Spec{}); err != nil {
		t.Fatal(err)
	}
	return l
}

// refusesWhatCameLate brings the old primary back under the epoch that took over, and freezes it while orders of the epoch before arrive.
func refusesWhatCameLate(t *testing.T, ctx context.Context, l *lab.Lab, old *builtin.Server, epoch uint64) {
	t.Helper()
	next := l.Builtin[1]
	if err := errors.Join(old.Host().PowerOn(ctx), old.Rejoin(ctx, next)); err != nil {
		t.Fatal(err)
	}
	rejoin := serviceapi.Order{Epoch: epoch, Primary: &serviceapi.Peer{Name: next.Name(), Address: next.Address()}}
	if _, err := order(t, ctx, old, serviceapi.VerbFollow, rejoin); err != nil {
		t.Fatal(err)
	}
	if err := old.Host().Freeze(ctx); err != nil {
		t.Fatal(err)
	}
	for _, verb := range []serviceapi.Verb{serviceapi.VerbStop, serviceapi.VerbPromote} {
		short, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
		if _, err := order(t, short, old, verb, serviceapi.Order{Epoch: epoch - 1}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s on a frozen service: %v", verb, err)
		}
		cancel()
	}
	if err := old.Host().Thaw(); err != nil {
		t.Fatal(err)
	}
	for _, verb := range []serviceapi.Verb{serviceapi.VerbToken, serviceapi.VerbStop, serviceapi.VerbPromote} {
		if _, err := order(t, ctx, old, verb, serviceapi.Order{Epoch: epoch - 1}); serviceapi.Refused(err) != serviceapi.CodeNewerEpoch {
			t.Errorf("%s under epoch %d on a service of epoch %d: %v", verb, epoch-1, epoch, err)
		}
	}
	if err := old.AwaitStreaming(ctx, next); err != nil {
		t.Error(err)
	}
	if st, err := old.State(ctx); err != nil || st.Role != "standby" || st.Epoch != epoch {
		t.Errorf("the old primary is %+v, %v", st, err)
	}
}

func order(t *testing.T, ctx context.Context, s *builtin.Server, verb serviceapi.Verb, o serviceapi.Order) (serviceapi.State, error) {
	t.Helper()
	c, err := s.Client(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.Do(ctx, verb, o)
}
