package serviceapi

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/secret"
)

// largestAnswer and largestHeader bound what is read of an answer, in bytes.
const (
	largestAnswer = 1 << 20
	largestHeader = 64 << 10
)

var (
	// ErrUnusableSettings says that the group's connect settings can't be used on this arbiter.
	ErrUnusableSettings = errors.New("unusable connection settings")
	// ErrNotTheContract says that what answers doesn't speak the contract.
	ErrNotTheContract = errors.New("the answer is not one of the contract in docs/http-engine.md")
)

// Dial connects like net.Dialer's DialContext.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// Plain is how a service is reached that wants neither TLS nor a password.
func Plain() failover.Connect { return failover.Connect{SSLMode: "disable"} }

// Client talks to one address. Close it.
type Client struct {
	base           string
	user, password string
	http           *http.Client
}

// NewClient returns a client for the service at address; what the settings refer to is read within ctx. It uses one connection,
// which it keeps open between requests; dial replaces how
// connections are made, if it isn't nil.
func NewClient(ctx context.Context, address string, connect failover.Connect, secrets *secret.Reader, dial Dial) (*Client, error) {
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	return newClient(ctx, address, connect, secrets, func(config *tls.Config) http.RoundTripper {
		t := &http.Transport{DisableCompression: true, MaxConnsPerHost: 1, MaxResponseHeaderBytes: largestHeader, DialContext: gated(dial)}
		if config != nil {
			t.DialTLSContext = gated(encrypted(dial, config))
		}
		return t
	})
}

// NewSingle returns a client that has one connection in its life, for those who look at many services often: it costs less than
// NewClient's. Requests are made one at a time; another one fails with ErrBusy.
//
// lost, if it isn't nil, gets the error by which the connection has ended between two requests.
func NewSingle(ctx context.Context, address string, connect failover.Connect, secrets *secret.Reader, dial Dial, lost func(error)) (*Client, error) {
	return newClient(ctx, address, connect, secrets, func(config *tls.Config) http.RoundTripper {
		return &single{address: address, dial: dial, tls: config, lost: lost}
	})
}

func newClient(
	ctx context.Context, address string, connect failover.Connect, secrets *secret.Reader, over func(*tls.Config) http.RoundTripper,
) (*Client, error) {
	c := &Client{base: "http://" + address + Prefix}
	var config *tls.Config // nil: plain TCP
	if connect.SSLMode != "disable" {
		var err error
		if config, err = tlsConfig(ctx, connect, secrets); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUnusableSettings, err)
		}
		c.base = "https://" + address + Prefix
	}
	if p := connect.Password; p.Value != "" || p.File != "" || p.Env != "" {
		password, err := secrets.Resolve(ctx, p)
		if err != nil {
			return nil, fmt.Errorf("%w: resolve the password: %w", ErrUnusableSettings, err)
		}
		c.user, c.password = connect.User, password
	}
	c.http = &http.Client{
		Transport:     over(config),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, nil
}

func tlsConfig(ctx context.Context, connect failover.Connect, secrets *secret.Reader) (*tls.Config, error) {
	if connect.SSLMode != "verify-full" {
		return nil, fmt.Errorf("sslmode %q can't be used with engine http; use disable or verify-full", connect.SSLMode)
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if connect.SSLRoot != "" {
		var err error
		if config.RootCAs, err = secrets.Authorities(ctx, connect.SSLRoot); err != nil {
			return nil, fmt.Errorf("sslrootcert: %w", err)
		}
	}
	if connect.SSLCert != "" {
		certificate, err := secrets.KeyPair(ctx, connect.SSLCert, connect.SSLKey)
		if err != nil {
			return nil, fmt.Errorf("sslcert and sslkey: %w", err)
		}
		config.Certificates = []tls.Certificate{certificate}
	}
	return config, nil
}

// Close ends the connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// State asks the service what it is.
func (c *Client) State(ctx context.Context) (State, error) {
	var s State
	if err := c.ask(ctx, http.MethodGet, string(VerbState), nil, &s); err != nil {
		return State{}, err
	}
	if fault := s.fault(); fault != "" {
		return State{}, fmt.Errorf("%w: %s", ErrNotTheContract, fault)
	}
	return s, nil
}

// Do gives an order. A client of NewClient reads the lease when its connection stands, as the last thing before the order goes out (S6).
func (c *Client) Do(ctx context.Context, verb Verb, order Order) (State, error) {
	body, err := json.Marshal(order)
	if err != nil {
		return State{}, fmt.Errorf("encode the order: %w", err)
	}
	var s State
	return s, c.ask(ctx, http.MethodPost, string(verb), body, &s)
}

// Proof reads what was last written as proof of a route.
func (c *Client) Proof(ctx context.Context, route string) (Proof, error) {
	var p Proof
	return p, c.ask(ctx, http.MethodGet, string(VerbProof)+"?route="+url.QueryEscape(route), nil, &p)
}

func (c *Client) ask(ctx context.Context, method, path string, body []byte, into any) error {
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnusableSettings, err)
	}
	request.GetBody = nil // a request that may have arrived is never sent again behind the caller's back
	request.Header.Set("User-Agent", "arbiter")
	if body != nil {
		request = request.WithContext(permitAtWrite(ctx))
		request.Header.Set("Content-Type", "application/json")
	}
	if c.password != "" {
		request.SetBasicAuth(c.user, c.password)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return withoutURL(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(response.Body, largestAnswer))
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return refusalOf(response, text)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%w: %w", ErrNotTheContract, err)
	}
	return nil
}

// refusalOf reads the body of a refusal. A status that fits no contract is one without a code.
func refusalOf(response *http.Response, text []byte) error {
	r := &Refusal{}
	if json.Unmarshal(text, r) != nil {
		r = &Refusal{}
	}
	r.Status = response.StatusCode
	if r.Code == "" && r.Status != http.StatusUnauthorized && r.Status != http.StatusForbidden {
		return fmt.Errorf("%w: status %s", ErrNotTheContract, strings.TrimSpace(response.Status))
	}
	return r
}

// withoutURL drops what net/http puts before an error: callers name the member themselves.
func withoutURL(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}

// MayHaveActed says whether a service that ended an order with this error may have carried it out.
func MayHaveActed(err error) bool {
	var (
		refusal   *Refusal
		heldBack  *heldBackError
		operation *net.OpError
	)
	switch {
	case errors.As(err, &refusal):
		return refusal.Status >= http.StatusInternalServerError
	case errors.Is(err, ErrUnusableSettings), errors.As(err, &heldBack), errors.As(err, &operation) && operation.Op == "dial":
		return false
	}
	return true
}

// Refused returns the code with which the service refused, empty if the error is no refusal.
func Refused(err error) Code {
	var r *Refusal
	if errors.As(err, &r) {
		return r.Code
	}
	return ""
}
