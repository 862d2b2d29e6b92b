// Package devices is what is known of fence agents by their names alone: what their off proves, and by which of their settings
// one tells which machine they act on.
//
// It is one table (agents.go), for those who check specs, who grade proofs, and who keep two fences of one machine apart.
//
// Guarantees: nothing is run and nothing is looked up, so the answers are the same on every machine. Two devices that are
// certainly the same target, in whatever way they are written, have equal Targets.
//
// Limits: an address that is given once by name and once by number, or one machine that is reached by two different devices,
// is not recognised. Of agents that are not in the table nothing is known but what their settings say.
//
// The package starts no goroutine and keeps no state.
package devices
