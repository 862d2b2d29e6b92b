package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/postgres"
	"github.com/arbiter-ha/arbiter/internal/secret"
)

const (
	// routeAge is how long what is read from a group's connection settings is kept: after this, files that were replaced count. A password counts
	// at once when the server turns the one before it away.
	routeAge = 30 * time.Second
	// mostRoutes bounds the cache of routes.
	mostRoutes = 16384
)

// connector opens sessions. It keeps what is the same for each of them: settings that were read, and keys.
type connector struct {
	secrets *secret.Reader
	now     func() time.Duration
	keys    scramKeys

	mu     sync.Mutex
	routes map[routeKey]*route
}

// routeKey is what a route is made of.
type routeKey struct {
	address string
	connect failover.Connect
}

// route is how one member is reached.
type route struct {
	made             time.Duration
	network, address string
	user, database   string
	password         string
	channels         []*tls.Config // to be tried in this order; nil is one without TLS

	mu        sync.Mutex
	byLibrary bool // the server asks for a method that only the library knows
}

// open opens a session to address as the group's settings say.
func (c *connector) open(ctx context.Context, address string, connect failover.Connect, parameters map[string]string) (*session, error) {
	key, began := routeKey{address, connect}, c.now()
	r, err := c.route(ctx, key, began-routeAge)
	if err != nil {
		return nil, err
	}
	s, err := c.openBy(ctx, r, key, parameters)
	const invalidPassword = "28P01"
	if postgres.SQLState(err) != invalidPassword || r.made >= began {
		return s, err
	}
	// Both may have been replaced since it was read: the server's password and this arbiter's.
	again, readErr := c.route(ctx, key, began)
	if readErr != nil {
		return nil, readErr
	}
	if again.password == r.password {
		return nil, err
	}
	return c.openBy(ctx, again, key, parameters)
}

// openBy opens a session over a route.
func (c *connector) openBy(ctx context.Context, r *route, key routeKey, parameters map[string]string) (*session, error) {
	if r.needsLibrary() {
		return c.openByLibrary(ctx, key.address, key.connect, parameters)
	}
	l := login{network: r.network, address: r.address, password: r.password, keys: &c.keys, parameters: map[string]string{}}
	for name, value := range parameters {
		l.parameters[name] = value
	}
	l.parameters["user"], l.parameters["database"] = r.user, r.database
	s, err := openFirst(ctx, l, r.channels)
	if errors.Is(err, errOtherMethod) {
		r.setLibrary()
		return c.openByLibrary(ctx, key.address, key.connect, parameters)
	}
	return s, err
}

// openFirst tries the ways to encrypt in their order, as sslmode says. The next one is tried only where the server refused this
// one, not where it failed.
func openFirst(ctx context.Context, l login, channels []*tls.Config) (*session, error) {
	for i, channel := range channels {
		s, err := openSession(ctx, l, channel)
		refused := errors.Is(err, errNoTLS) || postgres.SQLState(err) == "28000"
		if err == nil || !refused || i == len(channels)-1 {
			return s, err
		}
	}
	return nil, fmt.Errorf("%w: no way to connect", postgres.ErrUnusableSettings)
}

// openByLibrary logs in with the full PostgreSQL library, which knows every method, and takes the connection over from it.
func (c *connector) openByLibrary(ctx context.Context, address string, connect failover.Connect, parameters map[string]string) (*session, error) {
	conn, err := postgres.NewConnector(connect, c.secrets).Dial(ctx, address, postgres.Options{Parameters: parameters})
	if err != nil {
		return nil, err
	}
	taken, err := conn.PgConn().Hijack()
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("take over the connection: %w", err)
	}
	s := &session{conn: taken.Conn, socket: taken.Conn, frontend: taken.Frontend}
	s.frontend.SetMaxBodyLen(largestMessage)
	s.bind(ctx)
	return s, nil
}

func (r *route) needsLibrary() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.byLibrary
}

func (r *route) setLibrary() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.byLibrary = true
}

// route returns a route that was made after a moment, for which settings may have to be read.
func (c *connector) route(ctx context.Context, key routeKey, after time.Duration) (made *route, err error) {
	now := c.now()
	c.mu.Lock()
	known := c.routes[key]
	c.mu.Unlock()
	if known != nil && known.made > after {
		return known, nil
	}
	err = readInTime(ctx, func() (err error) {
		made, err = c.newRoute(ctx, key, now)
		return err
	})
	if err != nil {
		return nil, err
	}
	if known != nil {
		made.byLibrary = known.needsLibrary()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.routes == nil || len(c.routes) >= mostRoutes {
		c.routes = map[routeKey]*route{} // routes of members that are gone go with it
	}
	c.routes[key] = made
	return made, nil
}

// newRoute reads the settings, the TLS files and the password.
func (c *connector) newRoute(ctx context.Context, key routeKey, now time.Duration) (*route, error) {
	config, err := postgres.ReadSettings(ctx, c.secrets, key.address, key.connect)
	if err != nil {
		return nil, err
	}
	password, err := c.secrets.Resolve(ctx, key.connect.Password)
	if err != nil {
		return nil, fmt.Errorf("%w: resolve the password: %w", postgres.ErrUnusableSettings, err)
	}
	r := &route{made: now, password: password, user: config.User, database: config.Database, channels: []*tls.Config{config.TLSConfig}}
	r.network, r.address = pgconn.NetworkAddress(config.Host, config.Port)
	for _, fallback := range config.Fallbacks {
		r.channels = append(r.channels, fallback.TLSConfig)
	}
	return r, nil
}
