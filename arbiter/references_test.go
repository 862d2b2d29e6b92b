package arbiter

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/clock"
	"github.com/arbiter-ha/arbiter/internal/freeport"
)

var errSilent = errors.New("no answer")

// runReferences runs looks at az-b and az-c in virtual time and returns when looks at az-b began, in milliseconds.
func runReferences(t *testing.T, reach func(ctx context.Context, address string) error, troubled func() bool) (r *references, began func() []int64) {
	t.Helper()
	c := clock.Monotonic()
	var mu sync.Mutex
	var list []int64
	r = newReferences([]referencePoint{{"az-b", "b:1"}, {"az-c", "c:1"}}, func(ctx context.Context, address string) error {
		if address == "b:1" {
			mu.Lock()
			list = append(list, c.Boot().Milliseconds())
			mu.Unlock()
		}
		return reach(ctx, address)
	}, c, hclog.NewNullLogger())
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.run(ctx, troubled, func() {}) }()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return r, func() []int64 {
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(list)
	}
}

func TestReferences_HowOftenTheyAreLookedAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var troubled atomic.Bool
		r, began := runReferences(t, func(context.Context, string) error { return nil }, troubled.Load)
		time.Sleep(35 * time.Second)
		if got := began(); !slices.Equal(got, []int64{0, 30000}) {
			t.Errorf("while all is well at %v", got)
		}
		troubled.Store(true)
		r.ask()
		time.Sleep(10 * time.Millisecond)
		r.ask()
		time.Sleep(1200 * time.Millisecond)
		troubled.Store(false)
		time.Sleep(10 * time.Second)
		if got := began()[2:]; !slices.Equal(got, []int64{35000, 35020, 36020, 37020}) {
			t.Errorf("asked at 35000 and 35010, and troubled until 36210: %v", got)
		}
	})
}

func TestReferences_WhoAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := runReferences(t, func(ctx context.Context, address string) error {
			if address == "b:1" {
				return nil
			}
			<-ctx.Done() // nothing comes back
			return ctx.Err()
		}, func() bool { return false })
		time.Sleep(500 * time.Millisecond)
		synctest.Wait()
		if sights := r.seen().Sights; !sights[0].Answered || sights[1].Answered {
			t.Errorf("%+v", sights)
		}
		time.Sleep(600 * time.Millisecond)
		r.ask()
		synctest.Wait()
		sights, newest := r.seen().Sights, r.seen().Newest
		if want := (failover.PointSight{Began: 1100 * time.Millisecond, Answered: true}); sights[0] != want || newest != want.Began {
			t.Errorf("az-b %+v, newest look began at %v, want %+v", sights[0], newest, want)
		}
		if sights[1].Answered || sights[1].Began != 0 {
			t.Errorf("az-c %+v before its second look has ended", sights[1])
		}
		time.Sleep(1100 * time.Millisecond)
		synctest.Wait()
		if sights := r.seen().Sights; sights[1].Answered || sights[1].Began != 1100*time.Millisecond {
			t.Errorf("az-c %+v after its second look has timed out", sights[1])
		}
	})
}

// A look that was under way for long says less than one that began after it.
func TestReferences_LookOvertaken(t *testing.T) {
	r := newReferences([]referencePoint{{"az-b", "b:1"}}, connectOver(tcp{}), clock.System(), hclog.NewNullLogger())
	r.note(0, 20, errSilent)
	r.note(0, 10, nil)
	if sights := r.seen().Sights; sights[0] != (failover.PointSight{Began: 20}) {
		t.Errorf("%+v", sights[0])
	}
}

func TestReferencePoints_OthersAndConfigured(t *testing.T) {
	got := referencePoints(Options{
		Node: "az-a", ReferencePoints: []string{"ns:53"},
		Peers: []Peer{{Node: "az-a", GRPC: "a:1", Raft: "a:2"}, {Node: "az-b", GRPC: "b:1", Raft: "b:2"}},
	})
	if want := []referencePoint{{"az-b", "b:1"}, {"ns:53", "ns:53"}}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestConnectOver(t *testing.T) {
	l, err := net.Listen("tcp", freeport.Address(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := connectOver(tcp{})(t.Context(), l.Addr().String()); err != nil {
		t.Errorf("with a listener: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := connectOver(tcp{})(t.Context(), fmt.Sprint(l.Addr())); err == nil {
		t.Error("without a listener it answers")
	}
}
