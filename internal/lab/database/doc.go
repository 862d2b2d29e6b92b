// Package database runs real PostgreSQL servers on the hosts of a laboratory, and breaks them in the ways that a
// failover system must tell apart.
//
// A Template is made once (initdb, roles, tables, stopped); every server begins as a copy of it, so a primary and its
// standbys share a system identifier and start in a fraction of a second. Durability is never traded for speed: fsync
// is on, and commits wait for the synchronous standby where one is named. Servers run as user postgres under root,
// otherwise as the current user.
//
// Who may log in: arbiter (least privileges, from internal/postgres), app (the client's table), replicator, by
// passwords made anew for each template; and, through the Unix socket in the server's own directory, which no network
// fault can cut, the account that runs the lab, as any role. That door is for setting up, faults and the ground truth.
//
// Limits: all servers share the disk, and its speed, with each other.
//
// Goroutines: none of its own. A Server's methods may be called from any goroutine, but one at a time.
package database

import "errors"

var (
	// ErrNotInstalled says that no PostgreSQL server was found on this machine.
	ErrNotInstalled = errors.New("no PostgreSQL 15 or later found: install the package postgresql")
	// ErrEnded says that the server's process ended while something was awaited of it.
	ErrEnded = errors.New("server ended")
)

// Roles and the database of every server.
const (
	Superuser  = "postgres"
	Arbiter    = "arbiter"
	App        = "app"
	Replicator = "replicator"
	Name       = "postgres"
)
