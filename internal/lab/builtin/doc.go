// Package builtin runs the laboratory's own service (package standin) on its hosts, where package database runs
// PostgreSQL: the same kind of handle, for labs without PostgreSQL and for those with hundreds of groups.
//
// Everything that a lab asks for its own purposes goes through the service's socket file, which no network fault can cut.
//
// Goroutines: none of its own. A Server's methods may be called from any goroutine, but one at a time.
package builtin
