package virtual_test

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/internal/clustertest/virtual"
)

// joined is a network with a connection from a to b, each way of which takes 10 ms.
func joined(t *testing.T) (n *virtual.Network, a, b net.Conn) {
	t.Helper()
	n = virtual.NewNetwork(rand.New(rand.NewPCG(1, 1)))
	n.Delay("a", "b", 10*time.Millisecond, 0)
	n.Delay("b", "a", 10*time.Millisecond, 0)
	l, err := n.Host("b").Listen("b:1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	a, err = n.Host("a").DialContext(t.Context(), "b:1")
	if err != nil {
		t.Fatal(err)
	}
	b, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return n, a, b
}

// send writes a word, and says when.
func send(t *testing.T, c net.Conn, word string) time.Time {
	t.Helper()
	if _, err := c.Write([]byte(word)); err != nil {
		t.Fatal(err)
	}
	return time.Now()
}

// receive wants a word so long after it was sent.
func receive(t *testing.T, c net.Conn, word string, sent time.Time, takes time.Duration) {
	t.Helper()
	got := make([]byte, len(word))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != word || time.Since(sent) != takes {
		t.Errorf("read %q, %v after %v; want %q after %v", got, err, time.Since(sent), word, takes)
	}
}

func TestNetwork_KeepsOrderAndDelays(t *testing.T) {
	virtual.Run(t, func(t *testing.T) {
		n, a, b := joined(t)
		sent := send(t, a, "one")
		n.Delay("a", "b", 0, 0)
		send(t, a, "two") // must not overtake
		receive(t, b, "onetwo", sent, 10*time.Millisecond)
		receive(t, a, "back", send(t, b, "back"), 10*time.Millisecond)
	})
}

// What meets a cut comes when that has ended; the other direction is another link.
func TestNetwork_CutIsOneWay(t *testing.T) {
	virtual.Run(t, func(t *testing.T) {
		n, a, b := joined(t)
		n.Cut("a", "b")
		sent := send(t, a, "there")
		receive(t, a, "back", send(t, b, "back"), 10*time.Millisecond)
		if n.Passes("a", "b") || n.Passes("b", "a") {
			t.Error("a question and its answer need both ways")
		}
		ctx, end := context.WithTimeout(t.Context(), time.Second)
		defer end()
		if c, err := n.Host("b").DialContext(ctx, "a:1"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a connection over a cut: %v, %v", c, err)
		}
		time.AfterFunc(time.Second, func() { n.Mend("a", "b") })
		receive(t, b, "there", sent, 2*time.Second+10*time.Millisecond)
	})
}

func TestNetwork_DeadlineEndsARead(t *testing.T) {
	virtual.Run(t, func(t *testing.T) {
		_, a, _ := joined(t)
		began := time.Now()
		if err := a.SetDeadline(began.Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("the read ended after %v with %v", time.Since(began), err)
		}
		if _, err := a.Write([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the write ended with %v", err)
		}
	})
}

// A process that dies is heard of; a machine that goes dark is not, until it runs again and knows nothing of its connections.
func TestNetwork_Kill(t *testing.T) {
	virtual.Run(t, func(t *testing.T) {
		n, a, b := joined(t)
		sent := send(t, b, "last")
		n.Host("b").Kill(false)
		receive(t, a, "last", sent, 10*time.Millisecond)
		if _, err := a.Read(make([]byte, 1)); err == nil {
			t.Error("the connection outlives the process")
		}
		if _, err := n.Host("a").DialContext(t.Context(), "b:1"); err == nil {
			t.Error("a dead process accepts")
		}
		dead := n.Host("a")
		dead.Kill(false)
		if _, err := n.Host("b").Listen("b:1"); err != nil {
			t.Errorf("the next process can't listen: %v", err)
		}
		if _, err := dead.DialContext(t.Context(), "b:1"); err == nil {
			t.Error("a dead process connects")
		}
		if _, err := n.Host("a").DialContext(t.Context(), "b:1"); err != nil {
			t.Errorf("the next process can't connect: %v", err)
		}
	})
	virtual.Run(t, func(t *testing.T) {
		n, a, _ := joined(t)
		n.Host("b").Kill(true)
		_ = a.SetReadDeadline(time.Now().Add(time.Minute)) // it has no way to fail
		if _, err := a.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a dark machine is heard of: %v", err)
		}
		_ = a.SetReadDeadline(time.Time{})
		n.PowerOn("b")
		if _, err := a.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a machine that runs again knows the connection: %v", err)
		}
	})
}

// Who loses a connection may make another one, and be overtaken by what it had sent.
func TestNetwork_ResetLetsOldWordsComeLate(t *testing.T) {
	virtual.Run(t, func(t *testing.T) {
		n, a, b := joined(t)
		n.Stall("a", "b", time.Second)
		sent := send(t, a, "late")
		n.Reset("a", "b")
		if _, err := a.Write([]byte("x")); err == nil {
			t.Error("the dialler does not see the reset")
		}
		receive(t, b, "late", sent, time.Second+10*time.Millisecond)
		if _, err := b.Read(make([]byte, 1)); err == nil {
			t.Error("the other end never sees the reset")
		}
	})
}

// Old answers come one by one, whatever connection they come over; what is sent afterwards comes as ever.
func TestNetwork_SpreadIsOneAtAStep(t *testing.T) {
	virtual.Run(t, func(t *testing.T) {
		n, a, b := joined(t)
		end := n.Spread("a", time.Second, "b:1")
		began := time.Now()
		for i := range 3 {
			send(t, b, "x")
			receive(t, a, "x", began, time.Duration(i)*time.Second+time.Second/2)
		}
		end()
		receive(t, a, "y", send(t, b, "y"), 10*time.Millisecond)
	})
}

// Once all is healed, what is sent takes its usual time also over connections that were slow.
func TestNetwork_HealReachesConnections(t *testing.T) {
	virtual.Run(t, func(t *testing.T) {
		n, a, b := joined(t)
		n.Stall("a", "b", time.Second)
		n.Spread("a", time.Second, "b:1")
		n.Heal()
		n.Delay("a", "b", 10*time.Millisecond, 0)
		n.Delay("b", "a", 10*time.Millisecond, 0)
		receive(t, a, "y", send(t, b, "y"), 10*time.Millisecond)
		receive(t, b, "x", send(t, a, "x"), 10*time.Millisecond)
	})
}

// A reset ends both directions at once, also where the other end's last words are still under way.
func TestNetwork_AResetOfAWriteEndsReadsToo(t *testing.T) {
	virtual.Run(t, func(t *testing.T) {
		n, a, b := joined(t)
		n.Delay("b", "a", time.Hour, 0)
		send(t, b, "late")
		_ = b.Close() // it has no way to fail
		if _, err := a.Write([]byte("x")); err == nil {
			t.Fatal("a write to one that has gone succeeds")
		}
		began := time.Now()
		if _, err := a.Read(make([]byte, 1)); err == nil || time.Since(began) != 0 {
			t.Errorf("the read ended with %v after %v", err, time.Since(began))
		}
	})
}
