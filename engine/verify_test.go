package engine

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
)

// A connection that was let in and hangs takes one try, and not the time of the route.
func TestVerifyTriesAgainAfterATryThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		o := startRecorder().verified(ctx, "lb:5432", failover.Action{Member: "b", Epoch: 5}, func(ctx context.Context, number int) error {
			if number > 1 {
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		})
		if o.Result != failover.ResultDone || o.Took != verifyTry+verifyEvery {
			t.Errorf("%+v", o)
		}
	})
}

// A route that never leads there is told by what the tries came to, not by how the last of them was cut short.
func TestVerifyTellsWhatTheTriesCameTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Millisecond)
		defer cancel()
		o := startRecorder().verified(ctx, "lb:5432", failover.Action{Member: "b", Epoch: 5}, func(ctx context.Context, number int) error {
			if number == 1 {
				return ErrRouteElsewhere
			}
			<-ctx.Done()
			return errors.New("cut short")
		})
		if o.Result != failover.ResultFailed || !strings.Contains(o.Detail, ErrRouteElsewhere.Error()) || !strings.Contains(o.Detail, "2 tries") {
			t.Errorf("%+v", o)
		}
	})
}

// lateContext is one whose own timer has not fired yet, though its deadline has passed: the network's timers may have, by then.
type lateContext struct{ context.Context }

func (lateContext) Deadline() (time.Time, bool) { return time.Now(), true }

// What the last full try came to is told, and not that the next one was cut short, also where that was noticed a moment before the context's end.
func TestVerifyTellsWhatTheLastFullTryCameTo(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o := startRecorder().verified(lateContext{ctx}, "lb:5432", failover.Action{Member: "b", Epoch: 5}, func(ctx context.Context, number int) error {
		switch number {
		case 1:
			return ErrRouteElsewhere
		case 2:
			return os.ErrDeadlineExceeded // as a dial says
		}
		cancel()
		return ctx.Err()
	})
	if o.Result != failover.ResultFailed || !strings.Contains(o.Detail, ErrRouteElsewhere.Error()) {
		t.Errorf("%+v", o)
	}
}
