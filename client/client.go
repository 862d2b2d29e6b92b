package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/arbiter-ha/arbiter/internal/pki"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// Defaults of Options.
const (
	DefaultTimeout    = 10 * time.Second
	DefaultTryTimeout = 3 * time.Second
)

// Options say which arbiters to talk to, and how.
type Options struct {
	// Addresses are the host:port of the gRPC of all arbiters. One is enough to begin with: the others are found when it
	// doesn't lead. Naming all of them bears the loss of any.
	Addresses []string
	// TLS is the configuration to connect with; see TLSFromFiles. It must be set unless InsecurePlaintext is.
	TLS *tls.Config
	// InsecurePlaintext talks without TLS.
	InsecurePlaintext bool
	// Timeout limits a call whose context has no deadline; 0 is DefaultTimeout.
	Timeout time.Duration
	// TryTimeout limits one try of a call at one arbiter; 0 is DefaultTryTimeout.
	TryTimeout time.Duration
	// Dial replaces the way to open a connection, for tests; nil dials TCP.
	Dial func(ctx context.Context, address string) (net.Conn, error)
}

// Client offers every call of the API as a method. Its methods return errors of this package.
type Client struct {
	arbiterv1.ArbiterServiceClient
	cluster *cluster
}

// New returns a client. It doesn't wait for a connection: an address that nobody answers is found out by the first call.
func New(options Options) (*Client, error) {
	if len(options.Addresses) == 0 {
		return nil, errors.New("make a client: name the address of at least one arbiter")
	}
	if (options.TLS == nil) != options.InsecurePlaintext {
		return nil, errors.New("make a client: give either a TLS configuration or InsecurePlaintext")
	}
	if options.Timeout == 0 {
		options.Timeout = DefaultTimeout
	}
	if options.TryTimeout == 0 {
		options.TryTimeout = DefaultTryTimeout
	}
	if options.Dial == nil {
		options.Dial = func(ctx context.Context, address string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", address)
		}
	}
	c := &cluster{options: options}
	for _, address := range options.Addresses {
		if _, err := c.endpoint(address); err != nil {
			return nil, errors.Join(fmt.Errorf("make a client for %s: %w", address, err), c.close())
		}
	}
	return &Client{ArbiterServiceClient: arbiterv1.NewArbiterServiceClient(c), cluster: c}, nil
}

// Close ends all connections. Calls under way fail.
func (c *Client) Close() error { return c.cluster.close() }

// TLSFromFiles makes the TLS configuration of an operator or a program from its certificate. It talks only to arbiters of
// the cluster that the certificate belongs to.
func TLSFromFiles(ca, certificate, key string) (*tls.Config, error) {
	reloader, err := pki.NewReloader(pki.Files{Authorities: ca, Certificate: certificate, Key: key})
	if err != nil {
		return nil, err
	}
	return reloader.Client(pki.Peer{Roles: []pki.Role{pki.RoleArbiter}}), nil
}

// ExpiryConcern says what of these certificates has ended at a time, or ends within 30 days (of one that lives for less than 90 days: within its
// last third), and what to do; empty if nothing has and nothing will.
func ExpiryConcern(ca, certificate, key string, now time.Time) (string, error) {
	reloader, err := pki.NewReloader(pki.Files{Authorities: ca, Certificate: certificate, Key: key})
	if err != nil {
		return "", err
	}
	return reloader.Expiry(now).Concern, nil
}
