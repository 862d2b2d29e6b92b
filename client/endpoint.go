package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// endpoint is the connection to one arbiter.
type endpoint struct {
	address string
	conn    *grpc.ClientConn

	mutex   sync.Mutex
	trouble error // why the last attempt to connect failed
}

func newEndpoint(address string, options Options) (*endpoint, error) {
	e := &endpoint{address: address}
	secure := insecure.NewCredentials()
	if options.TLS != nil {
		secure = credentials.NewTLS(options.TLS)
	}
	conn, err := grpc.NewClient("passthrough:///"+address,
		grpc.WithTransportCredentials(&watchedCredentials{secure, e}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(arbiterv1.MaxMessageBytes)),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			conn, err := options.Dial(ctx, address)
			e.note(err)
			return conn, err
		}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second},
			MinConnectTimeout: time.Second,
		}),
		// Finds out that a streaming arbiter is gone without a word.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 3 * time.Second}),
		// Trying again is decided here, call by call, never by a configuration that a name server could send.
		grpc.WithDisableServiceConfig(),
		grpc.WithDisableRetry(),
	)
	if err != nil {
		return nil, err
	}
	e.conn = conn
	return e, nil
}

// ready waits until the connection can carry a call, or says why it can't. It gives up at once when the last attempt to
// connect failed: gRPC goes on trying by itself, and the next round finds out.
func (e *endpoint) ready(ctx context.Context) error {
	for {
		state := e.conn.GetState()
		switch state {
		case connectivity.Ready:
			return nil
		case connectivity.Idle:
			e.conn.Connect()
		case connectivity.TransientFailure:
			return e.unreachable(nil)
		case connectivity.Shutdown:
			return e.unreachable(errors.New("the client is closed"))
		}
		if !e.conn.WaitForStateChange(ctx, state) {
			return e.unreachable(errors.New("no connection in time"))
		}
	}
}

// unreachable says why the arbiter can't be reached: what went wrong last, or otherwise the given reason.
func (e *endpoint) unreachable(otherwise error) error {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	if e.trouble != nil {
		return fmt.Errorf("%s: %w", e.address, bare(e.trouble))
	}
	if otherwise != nil {
		return fmt.Errorf("%s: %w", e.address, otherwise)
	}
	return fmt.Errorf("%s: the connection broke as soon as it was made; its log says why (a refused certificate, for one)", e.address)
}

// bare drops who passed an error on, where the system's own words say it all: "connection refused".
func bare(err error) error {
	var number syscall.Errno
	if errors.As(err, &number) && !errors.Is(err, ErrTLSThere) {
		return number
	}
	return err
}

// said names the arbiter in an error that it, or the way to it, gave.
func (e *endpoint) said(err error) error {
	var notSent *notSentError
	if errors.As(err, &notSent) {
		return notSent.error // names it already
	}
	return fmt.Errorf("%s: %w", e.address, translate(err))
}

// note keeps how the last attempt to connect ended; nil if it succeeded.
func (e *endpoint) note(trouble error) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	e.trouble = trouble
}

// noteFirst keeps what went wrong first on a connection: what follows is only its echo.
func (e *endpoint) noteFirst(trouble error) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	if e.trouble == nil {
		e.trouble = trouble
	}
}

// watchedCredentials keeps why a handshake failed: gRPC has it only as text.
type watchedCredentials struct {
	credentials.TransportCredentials
	endpoint *endpoint
}

// ClientHandshake shakes hands and notes what went wrong.
func (w *watchedCredentials) ClientHandshake(ctx context.Context, authority string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	secured, info, err := w.TransportCredentials.ClientHandshake(ctx, authority, conn)
	w.endpoint.note(mixUp(err))
	if err != nil {
		return nil, nil, err
	}
	return &watchedConn{Conn: secured, endpoint: w.endpoint, plain: w.Info().SecurityProtocol == "insecure"}, info, nil
}

// watchedConn keeps why a connection broke. In TLS 1.3 an arbiter that refuses our certificate says so only after the
// handshake; without TLS there is none, and an arbiter that wants one breaks the connection. One goroutine reads.
type watchedConn struct {
	net.Conn
	endpoint *endpoint
	plain    bool
	heard    bool // anything at all
}

// Read reads, and notes what went wrong.
func (c *watchedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.heard = c.heard || n > 0
	switch {
	case err == nil, errors.Is(err, net.ErrClosed), errors.Is(err, io.ErrClosedPipe): // closed by ourselves
	case c.plain && !c.heard:
		c.endpoint.noteFirst(fmt.Errorf("%w: %w", ErrTLSThere, bare(err)))
	case !errors.Is(err, io.EOF):
		c.endpoint.noteFirst(err)
	}
	return n, err
}

// Clone copies the credentials; gRPC demands it.
func (w *watchedCredentials) Clone() credentials.TransportCredentials {
	return &watchedCredentials{w.TransportCredentials.Clone(), w.endpoint}
}
