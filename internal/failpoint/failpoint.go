// Package failpoint carries to the drivers what a build for tests does at chosen places of the program: end the process there, or
// stop it. A release hands no such function in, so that in it nothing happens at any place.
//
// There are no goroutines here.
package failpoint

import "context"

// Func is called at a place, and says whether something was done there.
type Func func(where string) bool

type key struct{}

// With returns a context whose Pass calls f; nil changes nothing.
func With(ctx context.Context, f Func) context.Context {
	if f == nil {
		return ctx
	}
	return context.WithValue(ctx, key{}, f)
}

// Pass is a place. What follows it goes on with the context that it returns: if a process was stopped here and woken, that one is deaf to
// the end of the action, so that what comes late is refused by its target or not at all.
func Pass(ctx context.Context, where string) context.Context {
	if f, ok := ctx.Value(key{}).(Func); ok && f(where) {
		return context.WithoutCancel(ctx)
	}
	return ctx
}
