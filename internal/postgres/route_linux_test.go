package postgres

import (
	"context"
	"net"
	"os"
	"runtime"
	"syscall"
	"testing"

	"github.com/arbiter-ha/arbiter/failover"
)

// A machine without a network knows nothing of the others: its arbiter must not take them for dead.
func TestClassifyWithoutARoute(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: a machine without a route is made by a network namespace of the test's own")
	}
	reasons := make(chan failover.Reason)
	go func() {
		defer close(reasons)
		runtime.LockOSThread() // and never unlock: the thread, which is in the namespace, ends with the goroutine
		if err := syscall.Unshare(syscall.CLONE_NEWNET); err != nil {
			t.Errorf("make a network namespace: %v", err)
			return
		}
		_, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", "192.0.2.1:5432")
		reasons <- Classify(err).Reason
	}()
	if got := <-reasons; got != failover.ReasonArbiterTrouble {
		t.Errorf("a connection without a route is classified as %q, want %s", got, failover.ReasonArbiterTrouble)
	}
}

// A router that has lost its way to a member says as much by ICMP; of this machine's own routes nothing is wrong then.
func TestClassifyUnreachableForARouter(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.ENETUNREACH, syscall.EHOSTUNREACH} {
		err := &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}, Err: os.NewSyscallError("connect", errno)}
		if got := Classify(err).Reason; got != failover.ReasonNoRoute {
			t.Errorf("%v from a router is classified as %s, want %s", errno, got, failover.ReasonNoRoute)
		}
	}
}
