package arbiter

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"github.com/arbiter-ha/arbiter/internal/pki"
)

// ErrOtherRaftCluster says that the other end of a Raft connection belongs to another cluster, or to an older one of the
// same name.
var ErrOtherRaftCluster = errors.New("peer is of another cluster")

// pooledConnections is how many idle connections to each peer are kept: one for heartbeats, one for entries, one spare.
const pooledConnections = 3

// NetworkOptions says how arbiters reach each other for Raft.
type NetworkOptions struct {
	Listen    string // host:port to listen on; IPv6 as [::]:7400
	Advertise string // host:port that the others dial; resolved by them at each dial. Empty: what is listened on
	// ClusterID keeps apart two clusters that share a name and an authority: both ends of a connection must have the same.
	ClusterID string
	TLS       *pki.Reloader
	Insecure  bool    // plain TCP, for tests and experiments; must be said, a missing TLS alone is an error
	Network   Network // nil: TCP
	Timing    Timing
	Log       hclog.Logger
}

// NewNetworkTransport listens, and returns a transport for a StampingTransport to stand on, which closes it. The peer of
// each connection is checked by its certificate: an arbiter of this cluster, with the id that Raft meant to reach. A wrong
// record in DNS therefore can't make one arbiter's answers count as two.
func NewNetworkTransport(options NetworkOptions) (innerTransport, error) {
	layer, err := listenStreams(options)
	if err != nil {
		return nil, err
	}
	return newPinnedTransport(layer), nil
}

// pinnedTransport tells the stream layer, through the address, which arbiter a request is meant for.
type pinnedTransport struct {
	*raft.NetworkTransport
}

func newPinnedTransport(layer *streamLayer) *pinnedTransport {
	return &pinnedTransport{
		NetworkTransport: raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
			Stream:          layer,
			MaxPool:         pooledConnections,
			MaxRPCsInFlight: 1, // no pipelining
			Timeout:         layer.options.Timing.RPC(),
			Logger:          layer.options.Log.Named("raft-net"),
		}),
	}
}

func pin(id raft.ServerID, target raft.ServerAddress) raft.ServerAddress {
	return raft.ServerAddress(id) + "@" + target
}

// unpin splits at the last @: an id may hold one, host:port never does.
func unpin(pinned raft.ServerAddress) (id, address string) {
	at := strings.LastIndexByte(string(pinned), '@')
	if at < 0 {
		return "", string(pinned)
	}
	return string(pinned[:at]), string(pinned[at+1:])
}

func (t *pinnedTransport) AppendEntries(id raft.ServerID, target raft.ServerAddress, request *raft.AppendEntriesRequest, response *raft.AppendEntriesResponse) error {
	return t.NetworkTransport.AppendEntries(id, pin(id, target), request, response)
}

func (t *pinnedTransport) RequestVote(id raft.ServerID, target raft.ServerAddress, request *raft.RequestVoteRequest, response *raft.RequestVoteResponse) error {
	return t.NetworkTransport.RequestVote(id, pin(id, target), request, response)
}

func (t *pinnedTransport) RequestPreVote(id raft.ServerID, target raft.ServerAddress, request *raft.RequestPreVoteRequest, response *raft.RequestPreVoteResponse) error {
	return t.NetworkTransport.RequestPreVote(id, pin(id, target), request, response)
}

func (t *pinnedTransport) InstallSnapshot(id raft.ServerID, target raft.ServerAddress, request *raft.InstallSnapshotRequest, response *raft.InstallSnapshotResponse, data io.Reader) error {
	return t.NetworkTransport.InstallSnapshot(id, pin(id, target), request, response, data)
}

func (t *pinnedTransport) TimeoutNow(id raft.ServerID, target raft.ServerAddress, request *raft.TimeoutNowRequest, response *raft.TimeoutNowResponse) error {
	return t.NetworkTransport.TimeoutNow(id, pin(id, target), request, response)
}

// streamLayer makes and accepts the connections. It implements raft.StreamLayer.
//
// Close ends the connections too, accepted and dialled: Raft's own transport leaves them open, and an arbiter that has
// stopped must not look alive to its peers.
type streamLayer struct {
	listener  net.Listener
	advertise net.Addr
	options   NetworkOptions

	mu     sync.Mutex
	closed bool
	open   map[net.Conn]struct{}
}

func listenStreams(options NetworkOptions) (*streamLayer, error) {
	if options.TLS == nil && !options.Insecure {
		return nil, errors.New("listen for Raft: no certificates given; configure tls, or allow plain TCP explicitly")
	}
	if options.TLS != nil && options.TLS.Identity().Role != pki.RoleArbiter {
		return nil, fmt.Errorf("listen for Raft: the certificate is of %s; one with the role arbiter is needed", options.TLS.Identity())
	}
	if options.Network == nil {
		options.Network = tcp{}
	}
	listener, err := options.Network.Listen(options.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen for Raft: %w", err)
	}
	layer := &streamLayer{listener: listener, advertise: listener.Addr(), options: options, open: map[net.Conn]struct{}{}}
	if options.Advertise != "" {
		if _, _, err := net.SplitHostPort(options.Advertise); err != nil {
			return nil, errors.Join(fmt.Errorf("advertise the Raft address: %w", err), listener.Close())
		}
		layer.advertise = advertisedAddress(options.Advertise)
	}
	return layer, nil
}

// advertisedAddress is a host:port that is resolved by whoever dials it.
type advertisedAddress string

func (advertisedAddress) Network() string  { return "tcp" }
func (a advertisedAddress) String() string { return string(a) }

// Addr implements net.Listener with the address that the other arbiters dial.
func (l *streamLayer) Addr() net.Addr { return l.advertise }

// protocols names the Raft conversation of one cluster. TLS ends the handshake if the two ends name different ones.
func (l *streamLayer) protocols() []string { return []string{"arbiter-raft/1/" + l.options.ClusterID} }

// Dial implements raft.StreamLayer for an address with or without an id in front.
func (l *streamLayer) Dial(pinned raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	id, address := unpin(pinned)
	plain, err := l.options.Network.DialContext(ctx, address)
	if err != nil {
		return nil, fmt.Errorf("connect to arbiter %q: %w", id, err)
	}
	if l.options.TLS == nil {
		return l.track(plain, plain)
	}
	config := l.options.TLS.Client(pki.Peer{Roles: []pki.Role{pki.RoleArbiter}, Name: id})
	config.NextProtos = l.protocols()
	secure := tls.Client(plain, config)
	if err := l.shake(ctx, secure); err != nil {
		return nil, errors.Join(fmt.Errorf("connect to arbiter %q at %s: %w", id, address, err), plain.Close())
	}
	return l.track(secure, plain)
}

// shake finishes a handshake and checks that both ends named the same cluster: a peer that names none gets this far.
func (l *streamLayer) shake(ctx context.Context, conn *tls.Conn) error {
	if err := conn.HandshakeContext(ctx); err != nil {
		if strings.Contains(err.Error(), "application protocol") { // crypto/tls has no type for it
			return fmt.Errorf("%w: this one has the id %s: %w", ErrOtherRaftCluster, l.options.ClusterID, err)
		}
		return err
	}
	if got := conn.ConnectionState().NegotiatedProtocol; got != l.protocols()[0] {
		return fmt.Errorf("%w: it speaks %q and not %q", ErrOtherRaftCluster, got, l.protocols()[0])
	}
	return nil
}

// Accept implements net.Listener. The handshake is left to the first Read, in the connection's own goroutine: a slow
// caller must not keep the others waiting.
func (l *streamLayer) Accept() (net.Conn, error) {
	plain, err := l.listener.Accept()
	if err != nil {
		return nil, err
	}
	if l.options.TLS == nil {
		return l.track(plain, plain)
	}
	config := l.options.TLS.Server(pki.Peer{Roles: []pki.Role{pki.RoleArbiter}})
	config.NextProtos = l.protocols()
	return l.track(&servedConn{Conn: tls.Server(plain, config), layer: l}, plain)
}

// servedConn is an accepted connection whose first Read finishes the handshake within a limit.
type servedConn struct {
	*tls.Conn
	layer *streamLayer
	once  sync.Once
	err   error
}

func (c *servedConn) Read(p []byte) (int, error) {
	c.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), c.layer.options.Timing.RPC())
		defer cancel()
		if err := c.layer.shake(ctx, c.Conn); err != nil {
			// Raft's transport logs it, with who was refused.
			c.err = &net.OpError{Op: "accept Raft connection", Net: "tcp", Addr: c.RemoteAddr(), Err: err}
		}
	})
	if c.err != nil {
		return 0, c.err
	}
	return c.Conn.Read(p)
}

// Close implements net.Listener.
func (l *streamLayer) Close() error {
	l.mu.Lock()
	l.closed = true
	conns := l.open
	l.open = map[net.Conn]struct{}{}
	l.mu.Unlock()
	err := l.listener.Close()
	for conn := range conns {
		_ = conn.Close() // its peer may have closed it already
	}
	return err
}

// track remembers the plain connection below another until that is closed. The layer's Close ends the plain one, since
// TLS would first try to say goodbye to a peer that may be gone.
func (l *streamLayer) track(conn, plain net.Conn) (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, errors.Join(raft.ErrTransportShutdown, plain.Close())
	}
	l.open[plain] = struct{}{}
	return &trackedConn{Conn: conn, plain: plain, layer: l}, nil
}

type trackedConn struct {
	net.Conn
	plain net.Conn
	layer *streamLayer
}

func (c *trackedConn) Close() error {
	c.layer.mu.Lock()
	delete(c.layer.open, c.plain)
	c.layer.mu.Unlock()
	return c.Conn.Close()
}

var _ raft.StreamLayer = (*streamLayer)(nil)
