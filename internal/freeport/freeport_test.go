package freeport

import (
	"errors"
	"net"
	"syscall"
	"testing"
)

func TestPort_IsNobodyElsesUntilTheTestEnds(t *testing.T) {
	var port int
	t.Run("claimed", func(t *testing.T) {
		port = Port(t)
		if port < lowest || port >= kernels {
			t.Errorf("port %d may be given away by the kernel", port)
		}
		if _, err := claim(port); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("another claim: %v", err)
		}
	})
	release, err := claim(port)
	if err != nil {
		t.Fatalf("after the test: %v", err)
	}
	release()
}

func TestClaim_NotWhereSomebodyListens(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "::1"} {
		listener, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		port := listener.Addr().(*net.TCPAddr).Port
		if _, err := claim(port); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("at %s: %v", host, err)
		}
		name, err := net.Listen("unix", nameOf(port))
		if err != nil {
			t.Fatalf("the failed claim at %s is left: %v", host, err)
		}
		name.Close()
	}
}
