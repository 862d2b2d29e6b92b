// Package engine does to protected services what a failover needs done: stop following, promote, follow, end sessions. One
// type per kind of service: Postgres, and HTTP for whatever offers the contract of docs/http-engine.md.
//
// Guarantees (S9): every change on a member is made under the epoch that the action carries, and a member that has seen a newer
// epoch refuses it. For PostgreSQL the token is a parameter of each server, arbiter.epoch, kept by ALTER SYSTEM: on disk, not replicated. Looking
// at the token and acting on it happen under an advisory lock of that server, so that an arbiter which froze between the two finds, when it
// wakes, that its session is gone and the token is newer. Actions may be repeated at any point: each looks at what is already
// so. A result is "failed" only where it is certain that nothing was done to what clients see.
//
// For HTTP the service itself keeps the token, and looks and acts in one step; what it keeps of the contract can't be checked from here.
//
// Limits: the lock belongs to the database that the group's spec names, so all arbiters must use the same one. An administrator who
// promotes a server by hand, or who writes arbiter.epoch, is not stopped. Cascading standbys are not re-pointed. PostgreSQL logs
// primary_conninfo whenever it changes, with its password if there is one: a passfile or a certificate is better.
//
// Goroutines: none; methods may be called at the same time.
package engine
