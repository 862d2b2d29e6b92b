package lab

import (
	"testing"
	"time"

	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// TestFailoverEndsWhenItsLeaderDiesAfterThePromotion kills the leading arbiter as soon as the promotion is on record: its
// successor has a higher epoch than the one under which the new primary was promoted, and must still bring it to an end.
func TestFailoverEndsWhenItsLeaderDiesAfterThePromotion(t *testing.T) {
	l := protected(t, Options{}, Spec{})
	ctx := patient(t)
	leader, err := l.Leader(ctx)
	if err != nil {
		t.Fatal(err)
	}
	c, err := l.Client()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	// Without the proxy, which stands still, the operation can't end before its leader dies.
	proxy := l.Site.Host(ProxyHost)
	if err := proxy.Freeze(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Inject(ctx, Crash, l.Members[0]); err != nil {
		t.Fatal(err)
	}
	for item, err := range c.Watch(ctx, &arbiterv1.WatchEventsRequest{Group: Group}) {
		if err != nil {
			t.Fatal(err)
		}
		if item.Event.GetKind() == "promote-done" {
			break
		}
	}
	if err := leader.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := proxy.Thaw(); err != nil {
		t.Fatal(err)
	}
	killed := time.Now()
	op, err := l.Operation(ctx, Group, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("ended %s %v after its leader, %d epochs", op.GetResult(), time.Since(killed), op.GetEpochAfter()-op.GetEpochBefore())
	if op.GetResult() != "done" || op.GetEpochAfter() < op.GetEpochBefore()+2 {
		t.Errorf("operation %s, epoch %d -> %d: its leader was to die before the end", op.GetResult(), op.GetEpochBefore(), op.GetEpochAfter())
	}
}
