package clustertest

import (
	"context"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

const stale = arbiterv1.Consistency_CONSISTENCY_STALE

// After a cold start of which only one arbiter came back: it has the group on its disk and can't know whether that was committed. It must
// not say that there is none.
func TestRestartedAlone_SaysThatItWaits(t *testing.T) {
	c := startProtecting(t)
	for _, p := range c.peers {
		c.kill(p.Node)
	}
	c.start("az-a")
	api := c.api("az-a")
	var answer *arbiterv1.GetStatusResponse
	c.eventually("az-a answers", func(ctx context.Context) (ok bool) {
		var err error
		answer, err = api.GetStatus(ctx, &arbiterv1.GetStatusRequest{Consistency: stale})
		return err == nil
	})
	f := answer.GetFreshness()
	if f.GetLogOnDisk() == 0 || f.GetLogOnDisk() <= f.GetAppliedIndex() || answer.GetClusterId() == "" {
		t.Errorf("it says nothing of its restart: %v", answer)
	}
	for _, a := range answer.GetArbiters() {
		if !a.GetVoter() {
			t.Errorf("%s is no voter", a.GetNode())
		}
	}
	reads := map[string]func() error{
		"status": func() error {
			_, err := api.GetStatus(t.Context(), &arbiterv1.GetStatusRequest{Consistency: stale, Group: "pay"})
			return err
		},
		"explain": func() error {
			_, err := api.Explain(t.Context(), &arbiterv1.ExplainRequest{Consistency: stale, Group: "pay"})
			return err
		},
		"history": func() error {
			_, err := api.ListOperations(t.Context(), &arbiterv1.ListOperationsRequest{Consistency: stale, Group: "pay"})
			return err
		},
		"events": func() error {
			stream, err := api.WatchEvents(t.Context(), &arbiterv1.WatchEventsRequest{Consistency: stale})
			if err == nil {
				_, err = stream.Recv()
			}
			return err
		},
	}
	for name, read := range reads {
		err := read()
		if status.Code(err) != codes.FailedPrecondition || !strings.Contains(err.Error(), "start the other arbiters") {
			t.Errorf("%s of a group that it can't know: %v", name, err)
			continue
		}
		if got := detail[*arbiterv1.NotLeader](t, err).GetLogOnDisk(); got != f.GetLogOnDisk() {
			t.Errorf("%s: log on disk up to %d, want %d", name, got, f.GetLogOnDisk())
		}
	}

	c.start("az-b")
	c.leader()
	c.eventually("a majority is there, and az-a knows all again", func(ctx context.Context) bool {
		answer, err := api.GetStatus(ctx, &arbiterv1.GetStatusRequest{Consistency: stale})
		return err == nil && answer.GetFreshness().GetLogOnDisk() == 0 && len(answer.GetGroups()) == 1
	})
	for name, read := range reads {
		if err := read(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
