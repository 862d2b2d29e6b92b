package hosts

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

// pair opens a site of two hosts with a network of their own and an open connection from a to b.
func pair(t *testing.T) (s *Site, a, b *Host, open net.Conn) {
	t.Helper()
	return pairOn(t, false)
}

func pairOn(t *testing.T, slowCables bool) (s *Site, a, b *Host, open net.Conn) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("network faults are tested as root only: run the tests with sudo, or leave this package's out")
	}
	s = openSite(t, Options{Kind: Namespaces, Names: []string{"a", "b"}, SlowCables: slowCables})
	a, b = s.Host("a"), s.Host("b")
	echo(t, b, 7000)
	echo(t, a, 7000)
	open, err := dial(t, a, b.Addr(), 7000, time.Second)
	if err == nil {
		err = ask(open, time.Second)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s, a, b, open
}

const short = 150 * time.Millisecond

// silent asserts that a new connection from one host to the other gets no answer at all.
func silent(t *testing.T, from, to *Host) {
	t.Helper()
	for _, addr := range []string{to.Addr().String(), to.Addr6().String()} {
		conn, err := from.Dial(withTimeout(t, short), "tcp", net.JoinHostPort(addr, "7000"))
		if err == nil {
			conn.Close()
			t.Errorf("%s answers", addr)
			continue
		}
		if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%s refuses: %v", addr, err)
		}
	}
}

// reachable waits until a new connection works over both families.
func reachable(t *testing.T, from, to *Host) {
	t.Helper()
	for _, addr := range []string{to.Addr().String(), to.Addr6().String()} {
		eventually(t, from.Name()+" reaches "+addr, func() bool {
			conn, err := from.Dial(withTimeout(t, short), "tcp", net.JoinHostPort(addr, "7000"))
			if err != nil {
				return false
			}
			defer conn.Close()
			return ask(conn, time.Second) == nil
		})
	}
}

func TestUnplugAndPlug(t *testing.T) {
	_, a, b, open := pair(t)
	if err := b.Unplug(t.Context()); err != nil {
		t.Fatal(err)
	}
	silent(t, a, b)
	if err := ask(open, short); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("ask through an unplugged cable: %v", err)
	}
	if err := b.PowerOff(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := b.PowerOn(t.Context()); err != nil {
		t.Fatal(err)
	}
	silent(t, a, b)
	if err := b.Plug(t.Context()); err != nil {
		t.Fatal(err)
	}
	reachable(t, a, b)
}

func TestDropOneWay(t *testing.T) {
	s, a, b, open := pair(t)
	if err := s.Drop(t.Context(), a, b); err != nil {
		t.Fatal(err)
	}
	silent(t, a, b)
	if err := ask(open, short); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("ask through a cut: %v", err)
	}
	if err := s.Join(t.Context(), a, b); err != nil {
		t.Fatal(err)
	}
	reachable(t, a, b)
	if err := ask(open, 5*time.Second); err == nil {
		t.Log("the open connection outlived the cut")
	}
}

func TestSeparateAndHeal(t *testing.T) {
	s, a, b, _ := pair(t)
	if err := s.Separate(t.Context(), []*Host{a}, []*Host{b}); err != nil {
		t.Fatal(err)
	}
	silent(t, a, b)
	silent(t, b, a)
	if err := s.Heal(t.Context()); err != nil {
		t.Fatal(err)
	}
	reachable(t, a, b)
	reachable(t, b, a)
}

func TestRefuseAnswersWithReset(t *testing.T) {
	s, a, b, open := pair(t)
	if err := s.Refuse(t.Context(), a, b); err != nil {
		t.Fatal(err)
	}
	for _, addr := range []string{b.Addr().String(), b.Addr6().String()} {
		conn, err := a.Dial(withTimeout(t, time.Minute), "tcp", net.JoinHostPort(addr, "7000"))
		if err == nil {
			conn.Close()
		}
		if !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("dial %s: %v", addr, err)
		}
	}
	if err := ask(open, time.Minute); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("ask through an open connection: %v", err)
	}
	if err := s.Join(t.Context(), a, b); err != nil {
		t.Fatal(err)
	}
	reachable(t, a, b)
}

func TestCloseOff(t *testing.T) {
	s, a, b, open := pair(t)
	if err := errors.Join(s.CloseOff(t.Context(), a), s.Refuse(t.Context(), b, a)); err != nil {
		t.Fatal(err)
	}
	silent(t, a, b)
	if err := s.Join(t.Context(), a, b); err != nil { // the other fault of this host ends alone
		t.Fatal(err)
	}
	silent(t, a, b)
	if err := ask(open, time.Minute); err != nil {
		t.Errorf("ask through an open connection: %v", err)
	}
	reachable(t, b, a)
	if err := s.Heal(t.Context()); err != nil {
		t.Fatal(err)
	}
	reachable(t, a, b)
}

func TestLoseSomeAndAll(t *testing.T) {
	s, a, b, open := pair(t)
	if err := s.Lose(t.Context(), 10000, b); err != nil {
		t.Fatal(err)
	}
	silent(t, a, b)
	if err := s.Lose(t.Context(), 1000, a, b); err != nil {
		t.Fatal(err)
	}
	if err := ask(open, 10*time.Second); err != nil {
		t.Errorf("TCP did not survive a loss of some packets: %v", err)
	}
	if err := s.Lose(t.Context(), 0, a, b); err != nil {
		t.Fatal(err)
	}
	if len(s.network.lossy) != 0 {
		t.Errorf("losses left: %v", s.network.lossy)
	}
	reachable(t, a, b)
}

func TestPowerOffIsSilent(t *testing.T) {
	_, a, b, open := pair(t)
	begin := time.Now()
	if err := b.PowerOff(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Logf("power off took %v", time.Since(begin))
	if err := ask(open, short); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("ask a machine without power: %v", err)
	}
	silent(t, a, b)
	if err := b.PowerOn(t.Context()); err != nil {
		t.Fatal(err)
	}
	reachable(t, a, b)
}

func withTimeout(t *testing.T, patience time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func TestDropOnlyTakesThePlaceOfOtherDrops(t *testing.T) {
	s, a, b, _ := pair(t)
	if err := errors.Join(s.Separate(t.Context(), []*Host{a}, []*Host{b}), s.DropOnly(t.Context(), []Direction{{From: b, To: a}})); err != nil {
		t.Fatal(err)
	}
	silent(t, a, b)
	if dropped := s.network.dropped; len(dropped) != 1 || !dropped[path{b.port, a.port}] {
		t.Errorf("dropped: %v", dropped)
	}
	if err := s.DropOnly(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	reachable(t, a, b)
}

// Through a narrow cable 60 kB take their time, in one direction; through a wide one they don't.
func TestNarrow(t *testing.T) {
	_, a, _, open := pair(t)
	const rate, size = 60_000, 60_000
	send := func() time.Duration {
		t.Helper()
		began := time.Now()
		sent := make(chan error, 1)
		go func() {
			_, err := open.Write(make([]byte, size))
			sent <- err
		}()
		_ = open.SetDeadline(began.Add(time.Minute))
		_, err := io.ReadFull(open, make([]byte, size))
		if err := errors.Join(err, <-sent); err != nil {
			t.Fatal(err)
		}
		return time.Since(began)
	}
	if err := a.Narrow(t.Context(), rate); err != nil {
		t.Fatal(err)
	}
	narrow := send()
	if narrow < 800*time.Millisecond { // the queue's burst goes at once
		t.Errorf("%d bytes took %v through a cable of %d bytes per second", size, narrow, rate)
	}
	if err := errors.Join(a.Narrow(t.Context(), 0), a.Narrow(t.Context(), 0)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "through a wide cable it takes less time than through a narrow one", func() bool { return send() < narrow })
}

// Packets take as long as they are told to, both ways, and Heal ends it.
func TestDelay(t *testing.T) {
	s, a, _, open := pairOn(t, true)
	const least, jitter = 40 * time.Millisecond, 20 * time.Millisecond
	asked := func() time.Duration {
		t.Helper()
		began := time.Now()
		if err := ask(open, time.Minute); err != nil {
			t.Fatal(err)
		}
		return time.Since(began)
	}
	if err := s.Delay(least, jitter, a); err != nil {
		t.Fatal(err)
	}
	shortest, longest := time.Hour, time.Duration(0)
	for range 20 {
		took := asked()
		shortest, longest = min(shortest, took), max(longest, took)
	}
	if shortest < 2*least || longest-shortest < jitter/4 {
		t.Errorf("a question and its answer took %v to %v", shortest, longest)
	}
	if err := s.Heal(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "an answer comes at once again", func() bool { return asked() < least })
}

// The other faults are the same with slow cables.
func TestSlowCablesCanBeCut(t *testing.T) {
	s, a, b, open := pairOn(t, true)
	if err := b.Unplug(t.Context()); err != nil {
		t.Fatal(err)
	}
	silent(t, a, b)
	if err := b.Plug(t.Context()); err != nil {
		t.Fatal(err)
	}
	reachable(t, a, b)
	if err := s.Refuse(t.Context(), a, b); err != nil {
		t.Fatal(err)
	}
	if err := ask(open, time.Minute); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("ask a host that refuses: %v", err)
	}
	if err := s.Heal(t.Context()); err != nil {
		t.Fatal(err)
	}
	reachable(t, a, b)
}

func TestOnlySlowCablesDelay(t *testing.T) {
	s, a, _, _ := pair(t)
	if err := s.Delay(time.Second, 0, a); !errors.Is(err, ErrFastCables) {
		t.Errorf("a cable that can't be slow: %v", err)
	}
}
