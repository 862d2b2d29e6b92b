package arbiter

import (
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/pki"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// Peer is one arbiter of the static list.
type Peer struct {
	Node failover.NodeID
	Zone string
	Raft string // host:port
	GRPC string // host:port
}

// peers keeps one connection to each arbiter, made when it is first needed.
type peers struct {
	self    failover.NodeID
	list    []Peer
	tls     *pki.Reloader // nil: plaintext
	network Network

	mu          sync.Mutex
	connections map[failover.NodeID]*grpc.ClientConn
	handshakes  map[failover.NodeID]error // how the last one ended
}

// keepAlive is how often, and how long, an idle peer is waited for: a stopped process keeps its connections open for ever.
const (
	keepAliveTime    = time.Second
	keepAliveTimeout = time.Second
)

func newPeers(self failover.NodeID, list []Peer, tls *pki.Reloader, network Network) *peers {
	return &peers{
		self: self, list: list, tls: tls, network: network, connections: map[failover.NodeID]*grpc.ClientConn{}, handshakes: map[failover.NodeID]error{},
	}
}

// peer finds an arbiter in the static list.
func (p *peers) peer(node failover.NodeID) (Peer, bool) {
	for _, one := range p.list {
		if one.Node == node {
			return one, true
		}
	}
	return Peer{}, false
}

func (p *peers) client(node failover.NodeID) (arbiterv1.ArbiterPeerServiceClient, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c := p.connections[node]; c != nil {
		return arbiterv1.NewArbiterPeerServiceClient(c), nil
	}
	peer, ok := p.peer(node)
	if !ok {
		return nil, fmt.Errorf("find %s: it is not in the list of arbiters; add it to the arbiter file", node)
	}
	c, err := grpc.NewClient("passthrough:///"+peer.GRPC,
		grpc.WithTransportCredentials(p.credentials(node)),
		grpc.WithContextDialer(p.network.DialContext),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * keepAliveTime, Timeout: keepAliveTimeout, PermitWithoutStream: false}),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: peerBackoff(), MinConnectTimeout: time.Second}),
	)
	if err != nil {
		return nil, fmt.Errorf("connect to %s at %s: %w", node, peer.GRPC, err)
	}
	p.connections[node] = c
	return arbiterv1.NewArbiterPeerServiceClient(c), nil
}

func (p *peers) credentials(node failover.NodeID) credentials.TransportCredentials {
	if p.tls == nil {
		return insecure.NewCredentials()
	}
	secure := credentials.NewTLS(p.tls.Client(pki.Peer{Roles: []pki.Role{pki.RoleArbiter}, Name: string(node)}))
	return notedCredentials{TransportCredentials: secure, made: func(err error) { p.noteHandshake(node, err) }}
}

func (p *peers) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.connections {
		if err := c.Close(); err != nil {
			return fmt.Errorf("close connection to a peer: %w", err)
		}
	}
	p.connections = map[failover.NodeID]*grpc.ClientConn{}
	return nil
}
