package serviceapi

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

var (
	// ErrBusy says that the connection is in use by another request.
	ErrBusy = errors.New("another request is under way on the connection")
	// errLost says that the connection has ended: it is not made again.
	errLost = errors.New("the connection has ended")
)

// single is an http.RoundTripper over one connection, made at the first request. net/http's own hands each request to goroutines that
// write and read, which costs more than all the rest of a look.
//
// One goroutine waits for answers, and for the end of the connection, if somebody wants to hear of that.
type single struct {
	address string
	dial    Dial
	tls     *tls.Config // nil: plain TCP
	lost    func(error) // nil: nobody waits for the end

	using sync.Mutex // held while a request is under way, its answer's body included

	mu              sync.Mutex
	conn            net.Conn // nil before the first request
	closed, dropped bool

	limit  *io.LimitedReader // below reader
	reader *bufio.Reader
	writer *bufio.Writer
	asked  atomic.Bool   // an answer is due
	begins chan struct{} // an answer begins; closed when the connection has ended. Nil if nobody waits for that
	taken  chan struct{} // it was read
	ending chan struct{} // closed when this side ends the connection
}

const (
	writeBuffer = 1 << 10
	readBuffer  = 2 << 10
)

// RoundTrip implements http.RoundTripper.
func (s *single) RoundTrip(request *http.Request) (*http.Response, error) {
	if !s.using.TryLock() {
		return nil, ErrBusy
	}
	response, err := s.exchange(request)
	if err != nil {
		s.drop() // nobody knows what would come next
		s.using.Unlock()
		if ended := request.Context().Err(); ended != nil {
			return nil, ended
		}
		return nil, err
	}
	return response, nil
}

func (s *single) exchange(request *http.Request) (*http.Response, error) {
	ctx := request.Context()
	conn, err := s.connected(ctx)
	if err != nil {
		return nil, err
	}
	unbind := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) }) // reads and writes fail from then on
	response, err := s.ask(request)
	if err != nil {
		unbind()
		return nil, err
	}
	response.Body = &singleBody{ReadCloser: response.Body, single: s, unbind: unbind, last: response.Close}
	return response, nil
}

// connected returns the connection, which it makes if there is none.
func (s *single) connected(ctx context.Context) (net.Conn, error) {
	s.mu.Lock()
	conn := s.conn
	s.mu.Unlock()
	if conn != nil {
		return conn, nil
	}
	dial := s.dial
	if s.tls != nil {
		dial = encrypted(dial, s.tls)
	}
	conn, err := dial(ctx, "tcp", s.address)
	if err != nil {
		return nil, err
	}
	return conn, s.use(conn)
}

// encrypted dials and makes the connection one of TLS.
func encrypted(dial Dial, config *tls.Config) Dial {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		plain, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		named := config.Clone()
		named.ServerName = host
		conn := tls.Client(plain, named)
		if err := conn.HandshakeContext(ctx); err != nil {
			return nil, errors.Join(err, plain.Close())
		}
		return conn, nil
	}
}

// use begins to use a new connection, unless this client was closed while it was made.
func (s *single) use(conn net.Conn) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errors.Join(errLost, conn.Close())
	}
	s.conn = conn
	s.limit = &io.LimitedReader{R: conn, N: largestHeader + largestAnswer}
	s.reader, s.writer = bufio.NewReaderSize(s.limit, readBuffer), bufio.NewWriterSize(conn, writeBuffer)
	if s.lost != nil {
		s.begins, s.taken, s.ending = make(chan struct{}), make(chan struct{}), make(chan struct{})
		go s.watch()
	}
	return nil
}

// watch waits for answers, which whoever asked reads, and for the end of the connection.
func (s *single) watch() {
	defer close(s.begins)
	for {
		_, err := s.reader.Peek(1)
		if err == nil && !s.asked.Load() {
			err = fmt.Errorf("%w: it answers what nobody asked", ErrNotTheContract)
		}
		if err != nil {
			_ = s.conn.Close() // it has ended already
			s.lost(err)
			return
		}
		if !s.handOver() {
			s.lost(errLost)
			return
		}
	}
}

// handOver lets whoever asked read an answer. It returns false if this side has ended the connection meanwhile.
func (s *single) handOver() bool {
	select {
	case s.begins <- struct{}{}:
	case <-s.ending:
		return false
	}
	select {
	case <-s.taken:
		return true
	case <-s.ending:
		return false
	}
}

// drop ends the connection. Another request makes a new one, unless somebody waits for the end of the first.
func (s *single) drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == nil {
		return
	}
	_ = s.conn.Close() // that it ends is all that is wanted
	switch {
	case s.begins == nil:
		s.conn = nil
	case !s.dropped:
		s.dropped = true
		close(s.ending)
	}
}

// CloseIdleConnections implements what http.Client asks for when it is closed: the connection ends, whatever is under way.
func (s *single) CloseIdleConnections() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.drop()
}

// ask sends a request and reads its answer up to the body.
func (s *single) ask(request *http.Request) (*http.Response, error) {
	s.asked.Store(true)
	if err := request.Write(s.writer); err != nil {
		return nil, fmt.Errorf("send: %w", err)
	}
	if err := s.writer.Flush(); err != nil {
		return nil, fmt.Errorf("send: %w", err)
	}
	if s.begins != nil {
		if _, more := <-s.begins; !more {
			return nil, io.ErrUnexpectedEOF
		}
	}
	return http.ReadResponse(s.reader, request)
}

// singleBody is the body of an answer. Closed after it was read to its end, it leaves the connection to the next request.
type singleBody struct {
	io.ReadCloser
	single *single
	unbind func() bool // from the request's context
	last   bool        // the server wants no other request
	whole  bool        // it was read to its end
}

func (b *singleBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.whole = b.whole || errors.Is(err, io.EOF)
	return n, err
}

// Close implements io.Closer; it is called once.
func (b *singleBody) Close() error {
	s := b.single
	if intime := b.unbind(); !intime || b.last || !b.whole {
		s.drop()
	} else {
		s.limit.N = largestHeader + largestAnswer
		s.asked.Store(false)
		if s.taken != nil {
			select {
			case s.taken <- struct{}{}:
			case <-s.ending: // nobody waits for it any more
			}
		}
	}
	s.using.Unlock()
	return nil
}
