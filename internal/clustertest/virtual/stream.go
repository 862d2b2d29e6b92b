package virtual

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// stream is one direction of a connection.
type stream struct {
	network  *Network
	from, to string

	mu      sync.Mutex
	parts   []part
	last    time.Time // when the latest part arrives
	late    time.Duration
	behind  *queue    // nil: what is sent arrives by itself
	silent  bool      // its sender went dark: nothing more comes, not even an end
	broken  error     // what its reader gets at once
	unread  bool      // its reader has closed it
	limit   time.Time // of its reader
	changed chan struct{}
}

// part is some bytes, or the end of the stream.
type part struct {
	at   time.Time
	data []byte
	end  error
}

func newStream(n *Network, from, to string) *stream {
	return &stream{network: n, from: from, to: to, changed: make(chan struct{})}
}

// announce wakes the reader. The caller holds the lock.
func (s *stream) announce() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// send puts bytes, or the end, on the way.
func (s *stream) send(data []byte, end error) {
	takes := s.network.travel(s.from, s.to)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.silent || s.ended() {
		return
	}
	s.last = later(s.last, time.Now().Add(takes+s.late))
	if s.behind != nil {
		s.last = later(s.last, s.behind.take())
	}
	s.parts = append(s.parts, part{at: s.last, data: data, end: end})
	s.announce()
}

// ended says whether the end is on its way. The caller holds the lock.
func (s *stream) ended() bool { return len(s.parts) > 0 && s.parts[len(s.parts)-1].end != nil }

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// stall makes what is sent from now on arrive later.
func (s *stream) stall(by time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.late = by
}

// enqueue makes what is sent from now on arrive when it is its turn.
func (s *stream) enqueue(q *queue) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.behind = q
}

// queue gives those who send a place one after the other, each a step after the one before.
type queue struct {
	mu   sync.Mutex
	next time.Time
	step time.Duration
}

func (q *queue) take() time.Time {
	q.mu.Lock()
	defer q.mu.Unlock()
	at := q.next
	q.next = at.Add(q.step)
	return at
}

func (s *stream) breakOff(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken = err
	s.announce()
}

// mute lets nothing more be sent, and not say so.
func (s *stream) mute() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.silent = true
}

func (s *stream) abandoned() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.unread
}

// leave is the reader's end.
func (s *stream) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unread, s.broken, s.parts = true, net.ErrClosed, nil
	s.announce()
}

// read waits until something has arrived.
func (s *stream) read(p []byte) (int, error) {
	for {
		_, mended := s.network.look(s.from, s.to) // first: a change in between is seen
		n, wait, changed, err := s.take(p)
		if n > 0 || err != nil {
			return n, err
		}
		var due <-chan time.Time
		stop := func() bool { return true }
		if wait > 0 {
			timer := time.NewTimer(wait)
			due, stop = timer.C, timer.Stop
		}
		select {
		case <-changed:
		case <-mended:
		case <-due:
		}
		stop()
	}
}

// take reads what has arrived; if that is nothing, it says how long to wait at most (0: for ever), and what tells of a change.
func (s *stream) take(p []byte) (n int, wait time.Duration, changed <-chan struct{}, err error) {
	l, _ := s.network.look(s.from, s.to)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if s.broken != nil {
		return 0, 0, nil, s.broken
	}
	if !s.limit.IsZero() {
		if !now.Before(s.limit) {
			return 0, 0, nil, os.ErrDeadlineExceeded
		}
		wait = s.limit.Sub(now)
	}
	if len(s.parts) == 0 || l.cut {
		return 0, wait, s.changed, nil
	}
	first := &s.parts[0]
	if rest := first.at.Sub(now); rest > 0 {
		if wait == 0 || rest < wait {
			wait = rest
		}
		return 0, wait, s.changed, nil
	}
	if first.end != nil {
		return 0, 0, nil, first.end
	}
	n = copy(p, first.data)
	if first.data = first.data[n:]; len(first.data) == 0 {
		s.parts = s.parts[1:]
	}
	return n, 0, nil, nil
}

// end is one end of a connection. It implements net.Conn.
type end struct {
	network       *Network
	here, there   string
	dialled       bool
	in, out       *stream
	local, remote address

	mu     sync.Mutex
	closed bool
	writes time.Time // until when they are allowed; zero: for ever
}

// Read implements net.Conn.
func (e *end) Read(p []byte) (int, error) { return e.in.read(p) }

// Write implements net.Conn. It never waits: the kernel's buffers are large.
func (e *end) Write(p []byte) (int, error) {
	e.mu.Lock()
	closed, limit := e.closed, e.writes
	e.mu.Unlock()
	switch {
	case closed:
		return 0, net.ErrClosed
	case !limit.IsZero() && !time.Now().Before(limit):
		return 0, os.ErrDeadlineExceeded
	case e.out.abandoned() && e.network.Passes(e.here, e.there) && !e.network.isDark(e.there):
		e.in.breakOff(errReset) // as TCP does; gRPC, whose write has failed, waits under a lock until its read fails too
		return 0, errReset
	}
	e.out.send(append([]byte(nil), p...), nil)
	return len(p), nil
}

// Close implements net.Conn.
func (e *end) Close() error {
	if e.forget() {
		e.out.send(nil, io.EOF)
		e.in.leave()
	}
	return nil
}

// abort ends a connection as the end of a process does, or of a machine.
func (e *end) abort(dark bool) {
	if !e.forget() {
		return
	}
	if dark {
		e.out.mute()
	} else {
		e.out.send(nil, errReset)
	}
	e.in.leave()
}

// forget says whether the end was open until now.
func (e *end) forget() bool {
	e.mu.Lock()
	was := !e.closed
	e.closed = true
	e.mu.Unlock()
	e.network.mu.Lock()
	delete(e.network.ends, e)
	e.network.mu.Unlock()
	return was
}

// LocalAddr implements net.Conn.
func (e *end) LocalAddr() net.Addr { return e.local }

// RemoteAddr implements net.Conn.
func (e *end) RemoteAddr() net.Addr { return e.remote }

// SetDeadline implements net.Conn.
func (e *end) SetDeadline(t time.Time) error {
	_ = e.SetReadDeadline(t) // neither has a way to fail
	return e.SetWriteDeadline(t)
}

// SetReadDeadline implements net.Conn.
func (e *end) SetReadDeadline(t time.Time) error {
	e.in.mu.Lock()
	defer e.in.mu.Unlock()
	e.in.limit = t
	e.in.announce()
	return nil
}

// SetWriteDeadline implements net.Conn.
func (e *end) SetWriteDeadline(t time.Time) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.writes = t
	return nil
}
