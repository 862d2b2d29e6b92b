package builtin

import (
	"context"
	"fmt"
	"net"

	"github.com/arbiter-ha/arbiter/internal/lab/standin"
	"github.com/arbiter-ha/arbiter/internal/lab/traffic"
)

// Opener returns how a client opens a session with whatever answers at the routed address.
func Opener(address string, dial func(ctx context.Context, network, address string) (net.Conn, error)) func(context.Context) (traffic.Session, error) {
	return func(ctx context.Context) (traffic.Session, error) {
		c := standin.NewClient(address, dial)
		if err := c.Connect(ctx); err != nil {
			c.Drop()
			return nil, fmt.Errorf("connect: %w", err)
		}
		return c, nil
	}
}

// Door opens a connection that no network fault can cut, for the ground truth.
func (s *Server) Door(ctx context.Context) (traffic.Door, error) {
	c := standin.NewClient("socket", s.dialSocket)
	if err := c.Connect(ctx); err != nil {
		c.Drop()
		return nil, fmt.Errorf("connect to %s: %w", s.Name(), err)
	}
	return c, nil
}
