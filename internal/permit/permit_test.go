package permit_test

import (
	"context"
	"errors"
	"testing"

	"github.com/arbiter-ha/arbiter/internal/permit"
)

func TestS6_CheckIsAskedEachTime(t *testing.T) {
	expired := false
	ctx := permit.With(context.Background(), func() error {
		if expired {
			return permit.ErrExpired
		}
		return nil
	})
	if err := permit.Check(ctx); err != nil {
		t.Fatalf("a valid lease was refused: %v", err)
	}
	expired = true
	if err := permit.Check(ctx); !errors.Is(err, permit.ErrExpired) {
		t.Fatalf("an expired lease allowed an effect: %v", err)
	}
}

func TestCheck_EndedContextAllowsNothing(t *testing.T) {
	cause := errors.New("leadership was lost")
	ctx, cancel := context.WithCancelCause(context.Background())
	if err := permit.Check(ctx); err != nil {
		t.Fatalf("an open context without a permit was refused: %v", err)
	}
	cancel(cause)
	if err := permit.Check(ctx); !errors.Is(err, cause) {
		t.Fatalf("got %v, want the context's cause", err)
	}
}
