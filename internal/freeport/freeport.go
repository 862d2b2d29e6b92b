// Package freeport gives tests TCP ports at which nobody listens until they do, whatever other tests run beside them, in this process or in others.
//
// A port that was found by closing a listener is none of these: the kernel may give it to the next who asks, to another test's server or to a
// connection. HAProxy even shares it with the HAProxy of another test without a word, and PostgreSQL does without the address that is taken, so that
// clients reach somebody else's server. The ports given here lie outside the range that the kernel chooses from, and each is claimed for as long as
// its test runs by a name that only one process can have.
//
// Limits: Linux, whose abstract sockets the claims are. Where the range of the kernel was changed to begin lower, it may choose one of these ports too.
package freeport

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"syscall"
	"testing"
)

// The ports given lie from lowest to below the default of net.ipv4.ip_local_port_range, above those that services are usually at.
const (
	lowest   = 10000
	kernels  = 32768
	attempts = 1000
)

// Address is a free port at 127.0.0.1, as host:port.
func Address(t testing.TB) string {
	t.Helper()
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(Port(t)))
}

// Port is free at every address of this machine, until the test ends: take it before what will listen at it is made, so that it is let go after
// that has ended.
func Port(t testing.TB) int {
	t.Helper()
	for range attempts {
		port := lowest + rand.IntN(kernels-lowest)
		release, err := claim(port)
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		if err != nil {
			t.Fatalf("claim port %d: %v", port, err)
		}
		t.Cleanup(release)
		return port
	}
	t.Fatalf("find a free port: none of %d that were tried is", attempts)
	return 0
}

// claim keeps all other tests from a port, unless one has it or somebody listens at it: then the error is EADDRINUSE.
func claim(port int) (release func(), err error) {
	name, err := net.Listen("unix", nameOf(port))
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", net.JoinHostPort("", strconv.Itoa(port)))
	if err != nil {
		return nil, errors.Join(err, name.Close())
	}
	if err := listener.Close(); err != nil {
		return nil, errors.Join(err, name.Close())
	}
	return func() { _ = name.Close() }, nil
}

func nameOf(port int) string { return fmt.Sprintf("@arbiter-test-port-%d", port) }
