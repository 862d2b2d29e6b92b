package route

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/arbiter-ha/arbiter/internal/permit"
	"github.com/arbiter-ha/arbiter/internal/routesettings"
)

// answerLimit bounds what is read of HAProxy's answers, in bytes: some thousand servers.
const answerLimit = 4 << 20

// endpoint is a stats socket.
type endpoint struct {
	routesettings.Endpoint
	resolver *net.Resolver // nil: that of this machine
}

// local says whether what listens there is surely on this machine.
func (e endpoint) local() bool {
	host, _, _ := net.SplitHostPort(e.Address)
	ip, err := netip.ParseAddr(host)
	return e.Network == "unix" || err == nil && ip.IsLoopback()
}

func parseEndpoint(text string) (endpoint, error) {
	parsed, err := routesettings.ParseEndpoint(text)
	return endpoint{Endpoint: parsed}, err
}

// exchange gives commands in one round trip and returns an answer for each. HAProxy carries all of them out, also after
// one of them has failed. If they change something, the lease is read once HAProxy is reached (S6), which may take long.
func (e endpoint) exchange(ctx context.Context, commands []string, change bool) ([]string, error) {
	start := time.Now()
	text, err := e.roundTrip(ctx, strings.Join(commands, ";")+"\n", change)
	if errors.Is(err, permit.ErrExpired) {
		return nil, err
	}
	if err != nil {
		if name := nameUnresolved(ctx, err, time.Since(start)); name != nil {
			err = name
		} else if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	answers, err := splitAnswers(text)
	if err != nil {
		return nil, err
	}
	if len(answers) != len(commands) {
		return nil, fmt.Errorf("%w: %d answers to %d commands: %s", ErrBadAnswer, len(answers), len(commands), oneLine(text))
	}
	return answers, nil
}

func (e endpoint) roundTrip(ctx context.Context, request string, change bool) (string, error) {
	dialer := net.Dialer{Resolver: e.resolver}
	connection, err := dialer.DialContext(ctx, e.Network, e.Address)
	if err != nil {
		return "", err
	}
	defer connection.Close()
	stop := context.AfterFunc(ctx, func() { connection.Close() })
	defer stop()
	if change {
		if err := permit.Check(ctx); err != nil {
			return "", err
		}
	}
	if _, err := io.WriteString(connection, request); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(io.LimitReader(connection, answerLimit+1)) // HAProxy closes after its last answer
	if err != nil {
		return "", err
	}
	if len(answer) > answerLimit {
		return "", errors.New("the answer is too long")
	}
	return string(answer), nil
}
