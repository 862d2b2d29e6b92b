// Package permit carries the right to act through a context: an executor puts a check of its lease into the context, and
// every driver asks it once more right before each effect on the outside world (S6: the lease is read last, and again after every
// blocking call). A context's own end is not enough for this: a process that was frozen wakes up in the middle of a line, before
// anything has cancelled its contexts.
//
// There are no goroutines here.
package permit

import (
	"context"
	"errors"
)

// ErrExpired says that the right to act has ended: nothing more may be done to the outside world.
var ErrExpired = errors.New("the lease has run out")

type key struct{}

// With returns a context whose Check calls check.
func With(ctx context.Context, check func() error) context.Context {
	return context.WithValue(ctx, key{}, check)
}

// Check says whether an effect may begin now. A context without a permit, as in a driver's own tests, allows everything
// until it ends.
func Check(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if check, ok := ctx.Value(key{}).(func() error); ok {
		return check()
	}
	return nil
}
