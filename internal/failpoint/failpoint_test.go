package failpoint_test

import (
	"context"
	"testing"

	"github.com/arbiter-ha/arbiter/internal/failpoint"
)

func TestPass_OnlyThePlaceThatWasHitIsDeafToTheEnd(t *testing.T) {
	var places []string
	ctx, end := context.WithCancel(context.Background())
	ctx = failpoint.With(ctx, func(where string) bool {
		places = append(places, where)
		return where == "here"
	})
	elsewhere, here := failpoint.Pass(ctx, "elsewhere"), failpoint.Pass(ctx, "here")
	end()
	if elsewhere.Err() == nil || here.Err() != nil {
		t.Errorf("after the end: elsewhere %v, here %v; want an end elsewhere alone", elsewhere.Err(), here.Err())
	}
	if len(places) != 2 || places[0] != "elsewhere" || places[1] != "here" {
		t.Errorf("came by %q", places)
	}
}

// In a release there is no function.
func TestPass_WithoutAFunctionNothingHappens(t *testing.T) {
	ctx := context.Background()
	if got := failpoint.Pass(failpoint.With(ctx, nil), "here"); got != ctx {
		t.Errorf("got another context: %v", got)
	}
}
