package serviceapi

import (
	"context"
	"net"
	"net/http/httptrace"
	"sync/atomic"

	"github.com/arbiter-ha/arbiter/internal/permit"
)

// gate is a connection whose next write may need a permit. An arbiter may have frozen while it connected, so the lease is read after that (S6).
type gate struct {
	net.Conn
	needs atomic.Pointer[context.Context] // nil: nothing
}

func gated(dial Dial) Dial {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &gate{Conn: conn}, nil
	}
}

// permitAtWrite returns a context for one request over a gate: of that nothing is written without a permit. net/http tells which connection it takes
// before it writes, in one piece for a request of this contract.
func permitAtWrite(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		if g, ok := info.Conn.(*gate); ok {
			g.needs.Store(&ctx)
		}
	}})
}

// Write implements net.Conn.
func (g *gate) Write(p []byte) (int, error) {
	if ctx := g.needs.Swap(nil); ctx != nil {
		if err := permit.Check(*ctx); err != nil {
			return 0, &heldBackError{err}
		}
	}
	return g.Conn.Write(p)
}

// heldBackError is why an order was not sent.
type heldBackError struct{ why error }

func (e *heldBackError) Error() string { return "the order was held back: " + e.why.Error() }
func (e *heldBackError) Unwrap() error { return e.why }
