// Package standin is the built-in service of the laboratory: a small primary/standby log that takes the database's place
// where no PostgreSQL can be had, and where hundreds of targets are needed. It is a real process that can be killed,
// frozen and cut off, and it speaks the contract of docs/http-engine.md itself.
//
// What it does: clients append numbered orders over HTTP. A primary writes each to an append-only file, waits for the disk
// (fsync) and for as many of the named standbys as its rule asks for, and acknowledges. Standbys copy that file, byte by
// byte, and acknowledge what is on their disk. A promotion begins a timeline, which is a record of the log; a former
// primary that holds more than the new one took over is refused as diverged.
//
// Guarantees: what was acknowledged survives kill -9, on the primary and on the standbys that it waited for. The token
// (the highest epoch seen, S9) is on disk before anything is done under it. A service that was told to stop following
// acknowledges nothing any more when it says so.
//
// Limits: it is for laboratories. Everything is kept in memory too, the log is never cut, and whoever reaches its port may do
// anything: there are neither passwords nor TLS.
//
// Goroutines: those of net/http; one per standby that is served and one that follows; Run ends them all.
package standin
