// Package fake is what both kinds of cluster in one process, on loopback and in virtual time, put around their arbiters: a prober that looks at
// members which exist in memory, and the spec of the group that they are. What the members do, and what a look at one shows, is for each kind
// of cluster to say.
//
// A Prober has one goroutine, which its arbiter starts and waits for.
package fake
