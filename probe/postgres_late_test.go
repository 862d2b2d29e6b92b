package probe

import (
	"bytes"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/postgres/postgrestest"
)

// lateNetwork passes on what it gets, but for the first write of a check and what follows it: that comes late.
type lateNetwork struct {
	t      *testing.T
	server string

	held   atomic.Bool   // there was a first write
	arrive chan struct{} // closed when it may arrive
}

func (n *lateNetwork) serve(client *net.TCPConn) {
	defer client.Close()
	server, err := net.Dial("tcp", n.server)
	if err != nil {
		n.t.Error(err)
		return
	}
	defer server.Close()
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		_, _ = client.ReadFrom(server)
	}()
	buffer := make([]byte, 1<<16)
	for {
		read, err := client.Read(buffer)
		if bytes.Contains(buffer[:read], []byte("INSERT INTO arbiter.probe")) {
			n.wait()
		}
		if _, failed := server.Write(buffer[:read]); err != nil || failed != nil {
			break
		}
	}
	_ = server.(*net.TCPConn).CloseWrite()
	<-answered
}

func (n *lateNetwork) wait() {
	if n.held.CompareAndSwap(false, true) {
		select {
		case <-n.arrive:
		case <-n.t.Context().Done():
		}
	}
}

// A write that was dropped, since the server had none, may have been on its way for long. It is one more beat of this arbiter's own row then, which
// holds no look up.
func TestPostgresWriteThatComesAfterItWasDropped(t *testing.T) {
	server := postgrestest.Start(t)
	network := &lateNetwork{t: t, server: server.Address, arrive: make(chan struct{})}
	var connections sync.WaitGroup
	t.Cleanup(connections.Wait)
	address := listen(t, func(client *net.TCPConn) { connections.Go(func() { network.serve(client) }) })
	p, c := newPostgres(t), patientCheck()
	target := postgresTarget("pg-a", address, c)
	beats := func() int {
		n, err := strconv.Atoi(server.Query("SELECT sum(beat)::text FROM arbiter.probe"))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	stalls := c
	stalls.Timeout = 300 * ms
	wantStall(t, p, target, stalls)
	wantLook(t, p, target, c, failover.ReasonAnswered) // the server says that it has no write: the first is dropped
	before := beats()
	close(network.arrive)
	server.Eventually("the write arrives", func() bool { return beats() == before+1 })
	wantLook(t, p, target, c, failover.ReasonAnswered)
	if got := beats(); got != before+2 {
		t.Errorf("%d beats, want %d", got, before+2)
	}
}
