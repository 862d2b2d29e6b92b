// Package fenceagent finds fence agents of the ClusterLabs API on this machine, asks them to describe themselves, and says
// which settings they don't know.
//
// Guarantees: only the action metadata is asked for, which touches no machine, and no setting is passed, so no secret is.
//
// Limits: agents are programs; only Linux runs them (Describe). What an agent takes but doesn't name in its description
// counts as unknown, except the names that the API gives every agent.
//
// The package starts no goroutine and keeps no state; what it starts has ended when it returns.
package fenceagent
