// Package forward is the laboratory's own router, for where no HAProxy can be had: a TCP forwarder that runs in the lab's
// process, on the router's host. Arbiters move it with the released command router, whose program (route_lab) hands their
// requests to the forwarder's control socket.
//
// Like HAProxy in this laboratory it balances and retries nothing: new connections go to the one open member, and closing
// a member ends its connections. It remembers the highest epoch that it served and refuses older ones (S9).
//
// Limits: it lives and dies with the lab's process, and can't be frozen with its host.
//
// Goroutines: one per listener and two per connection; Close ends them.
package forward
