// Package route sends the clients of a group to its primary, through routers outside of Arbiter.
//
// Every driver can close members (no new client reaches them, and sessions that are there are ended, since an old
// session must not go on committing), open one member and close all the others, and say what is open, which changes
// nothing. Closing and opening are read back before they count as done, can be repeated safely, and end with their context.
//
// Limits: a route decides nothing about safety. A router that can't be reached may still send clients to a former primary, so
// only a fence proves that it doesn't write. HAProxy doesn't know epochs: a late Open of a former leader is not refused by it
// and can cost an outage, not a write on two members; a command router can refuse it. A HAProxy that was reloaded has forgotten
// what it was told, unless its configuration keeps the servers' state (load-server-state-from-file), and its former process
// keeps sessions that can't be reached any more (hard-stop-after ends them).
//
// The package starts no goroutines that outlive a call. Routers may be used by several goroutines.
package route
