package probe

import (
	"io"
	"net"
	"sync"
	"testing"
)

// door passes connections on to another address until it is closed; then it resets them all and refuses new ones.
type door struct {
	address  string
	listener net.Listener

	mu    sync.Mutex
	conns []net.Conn
	work  sync.WaitGroup
}

func newDoor(t *testing.T, to string) *door {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	d := &door{address: listener.Addr().String(), listener: listener}
	d.work.Go(func() {
		for {
			outside, err := listener.Accept()
			if err != nil {
				return
			}
			inside, err := net.Dial("tcp", to)
			if err != nil {
				_ = outside.Close()
				continue
			}
			d.pass(outside, inside)
		}
	})
	t.Cleanup(d.close)
	return d
}

func (d *door) pass(outside, inside net.Conn) {
	d.mu.Lock()
	d.conns = append(d.conns, outside, inside)
	d.mu.Unlock()
	for _, pair := range [][2]net.Conn{{outside, inside}, {inside, outside}} {
		d.work.Go(func() {
			_, _ = io.Copy(pair[0], pair[1])
			_ = pair[0].Close()
		})
	}
}

func (d *door) close() {
	_ = d.listener.Close()
	d.mu.Lock()
	for _, conn := range d.conns {
		_ = conn.Close()
	}
	d.mu.Unlock()
	d.work.Wait()
}
