package probe

import (
	"context"
	"fmt"
	"io"
	"net"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/postgres"
)

// TCP checks that the member accepts connections. It says nothing of the service behind the port: the kernel accepts for
// a process that is frozen.
type TCP struct{}

// Look connects and closes the connection again.
func (TCP) Look(ctx context.Context, t Target, c failover.Check) Look {
	conn, err := dialTCP(ctx, t.Address(c))
	if err != nil {
		return Look{Evidence: postgres.Classify(err)}
	}
	_ = conn.Close() // nothing was sent that could be lost
	return Look{Evidence: failover.Evidence{Reason: failover.ReasonAnswered}}
}

// Hold keeps a connection open without sending anything.
func (TCP) Hold(ctx context.Context, t Target, c failover.Check) (bool, error) {
	dialing, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	conn, err := dialTCP(dialing, t.Address(c))
	if err != nil {
		return false, err
	}
	return true, awaitLoss(ctx, conn)
}

// dialTCP connects to host:port.
func dialTCP(ctx context.Context, address string) (net.Conn, error) {
	dialer := net.Dialer{KeepAlive: -1} // see NoticeLoss
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	postgres.NoticeLoss(conn)
	return conn, nil
}

// awaitLoss reads, whatever there is to read, until the connection or ctx ends. It closes the connection.
func awaitLoss(ctx context.Context, conn net.Conn) error {
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	defer func() { _ = conn.Close() }()
	_, err := io.Copy(io.Discard, conn)
	if err == nil {
		err = io.EOF
	}
	return fmt.Errorf("connection lost: %w", err)
}
