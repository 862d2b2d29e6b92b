// Package hosts makes several machines out of one: the hosts of a laboratory.
//
// A Site is one set of hosts. Under root each host is a network namespace behind a switch (a bridge in a namespace
// of its own), with an IPv4 and an IPv6 address that exist nowhere else, so parallel sites never collide. System V
// shared memory is the host's own too. Without root each host is an address of 127.0.0.0/8, and everything but network
// faults works the same.
//
// Guarantees:
//   - Every process that a host starts, and every descendant of it, orphans included, is found again: through a
//     control group where one can be made, otherwise through the namespace or the working directory. PowerOff returns
//     nil only when none of them is left.
//   - Nothing outlives its site. Processes die with the thread that started them, Close removes namespaces, control
//     groups and files, and Open first removes what a crashed process left behind (see Sweep).
//
// Limits: Linux only. A host shares the kernel, the disk, the clock and the file system with its neighbours.
//
// Goroutines: one per host, locked to the operating system thread that starts the host's processes, and one per
// process that waits for its end; four per slow cable, which carry its packets. Close ends them all. All methods may be called from any goroutine.
package hosts

import "errors"

var (
	// ErrOff is returned when something is asked of a host whose power is off.
	ErrOff = errors.New("host is powered off")
	// ErrFrozen is returned when a process is to be started on a frozen host, where it could never run.
	ErrFrozen = errors.New("host is frozen")
	// ErrNeedsRoot is returned for network faults at a site made of loopback addresses.
	ErrNeedsRoot = errors.New("network faults and IPv6 need hosts in network namespaces: run as root")
	// ErrRemains is returned when a site could not remove all that it made. The next Open or Sweep tries again.
	ErrRemains = errors.New("not everything could be removed")
	// ErrSurvivors is returned when processes are still there after everything was done to end them.
	ErrSurvivors = errors.New("processes survived")
)
