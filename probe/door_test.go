package probe

import (
	"io"
	"net"
	"sync"
	"testing"

	"github.com/arbiter-ha/arbiter/internal/freeport"
)

// door passes connections on to another address until it is closed; then it resets them all and refuses new ones. Its connections can be made to
// swallow what clients send, as a firewall does that has forgotten them.
type door struct {
	address  string
	listener net.Listener

	mu       sync.Mutex
	conns    []net.Conn
	swallows func(sent []byte) bool // whether a connection passes nothing on from here, nil: never
	work     sync.WaitGroup
}

func newDoor(t *testing.T, to string) *door {
	t.Helper()
	listener, err := net.Listen("tcp", freeport.Address(t)) // nobody else listens there when it is closed
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
	d.work.Go(func() {
		_, _ = io.Copy(outside, inside)
		_ = outside.Close()
	})
	d.work.Go(func() {
		_, _ = io.Copy(&throat{door: d, to: inside}, outside)
		_ = inside.Close()
	})
}

// swallow makes the connections that send something of which condition says so pass on nothing from there on.
func (d *door) swallow(condition func(sent []byte) bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.swallows = condition
}

// throat is where one connection's bytes go.
type throat struct {
	door   *door
	to     io.Writer
	closed bool
}

func (h *throat) Write(sent []byte) (int, error) {
	h.door.mu.Lock()
	h.closed = h.closed || h.door.swallows != nil && h.door.swallows(sent)
	h.door.mu.Unlock()
	if h.closed {
		return len(sent), nil
	}
	return h.to.Write(sent)
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
