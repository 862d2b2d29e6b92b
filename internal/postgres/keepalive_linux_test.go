package postgres

import (
	"net"
	"syscall"
	"testing"
)

// TestDialedConnectionsAreKeptAlive: sessions that are held open come from here too, and must notice that a machine is gone.
func TestDialedConnectionsAreKeptAlive(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	conn, err := (&dialGate{}).dial(t.Context(), "tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	raw, err := conn.(*boundedConn).Conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	read := func(option int) (value int) {
		if err := raw.Control(func(fd uintptr) { value, err = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, option) }); err != nil {
			t.Fatal(err)
		}
		return value
	}
	seconds := read(syscall.TCP_KEEPIDLE) + read(syscall.TCP_KEEPINTVL)*read(syscall.TCP_KEEPCNT)
	if err != nil || seconds != 20 {
		t.Errorf("a machine that is gone is noticed after %d s, %v; want 20", seconds, err)
	}
}
