package arbiter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"

	"google.golang.org/grpc/credentials"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/pki"
)

// notedCredentials tell what became of handshakes: of the errors of those that it makes gRPC keeps only the text, and of those that it
// accepts nothing.
type notedCredentials struct {
	credentials.TransportCredentials
	made     func(error)           // nil at a server
	accepted func(net.Addr, error) // nil at a client
}

// ClientHandshake implements credentials.TransportCredentials.
func (c notedCredentials) ClientHandshake(ctx context.Context, authority string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	secured, info, err := c.TransportCredentials.ClientHandshake(ctx, authority, conn)
	c.made(err)
	return secured, info, err
}

// ServerHandshake implements credentials.TransportCredentials.
func (c notedCredentials) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	secured, info, err := c.TransportCredentials.ServerHandshake(conn)
	c.accepted(conn.RemoteAddr(), err)
	return secured, info, err
}

// Clone implements credentials.TransportCredentials.
func (c notedCredentials) Clone() credentials.TransportCredentials {
	c.TransportCredentials = c.TransportCredentials.Clone()
	return c
}

// tellRefused logs who was refused at the gRPC port, or refused this arbiter, for a certificate. A caller that only went away is none of those.
func (n *Node) tellRefused(from net.Addr, err error) {
	var timeout net.Error
	switch {
	case err == nil, errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.As(err, &timeout) && timeout.Timeout():
	default:
		n.log.Warn("connection refused at the gRPC port", "from", from.String(), "error", err)
	}
}

// noteHandshake keeps how the last handshake with a peer ended.
func (p *peers) noteHandshake(node failover.NodeID, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.handshakes[node] = err
}

// trust makes an ErrNotTrusted of the error of a call that failed for a certificate.
func (p *peers) trust(node failover.NodeID, err error) error {
	p.mu.Lock()
	handshake := p.handshakes[node]
	p.mu.Unlock()
	words := inWords(err)
	if pki.Refuses(handshake) && strings.Contains(words, handshake.Error()) {
		return fmt.Errorf("%w: %w", ErrNotTrusted, handshake)
	}
	// In TLS 1.3 the other end looks at this one's certificate when the handshake is over here; that it refused it comes as text.
	if strings.Contains(words, "remote error: tls: ") {
		return fmt.Errorf("%w: %s does not accept that of this arbiter: %s", ErrNotTrusted, node, words)
	}
	return err
}
