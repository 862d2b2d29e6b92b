// Package supervise keeps goroutines on a lead: each has a name and a parent that waits for it, and stopping a process is
// an ordered list of steps with reasons.
//
// Guarantees: a Group's Wait returns only after all of its goroutines have. The first error cancels the others, with that
// error as the cause. A panic becomes an error that names the goroutine and carries its stack. Drain takes its steps one
// after the other, and goes on after a failed or slow one.
//
// Limits: a goroutine that ignores its context can't be ended. WaitFor then names it, so that the log of a hanging exit
// says what hung; a Drain step that ignores its context is left behind when its time is up.
//
// Goroutines: those that the caller starts, one per step of Drain, and one per WaitFor, which ends with the group.
package supervise
