// Package power is the power switch of a laboratory: the device that a fence agent talks to.
//
// A Switch has one outlet per host. Off cuts the power for real and is answered only when no process is left; status
// says what is so. Faults make an outlet slow, lying, deaf or broken, as real management controllers are at times.
// Each request is kept, so a test can prove that a healthy machine was never touched.
//
// The protocol is one line of text each way on a fresh connection, over a Unix socket or TCP:
//
//	off pg-a        -> done            the machine is off
//	on pg-a         -> done            the machine is on
//	status pg-a     -> on | off        or "error TEXT"
//	list            -> pg-a pg-b ...
//	monitor         -> done
//	fault pg-a lie=true delay=2s -> done   sets the outlet's fault; "fault pg-a" clears it
//
// Goroutines: one per listener and one per connection; Close ends them all.
package power
