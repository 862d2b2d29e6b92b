package route

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// resolver looks up the addresses of a name.
type resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// lookUp asks for the addresses of a name, as this machine sees them. There is at least one.
func lookUp(ctx context.Context, names resolver, host string) ([]netip.Addr, error) {
	start := time.Now()
	ips, err := names.LookupNetIP(ctx, "ip", host)
	if unresolved := nameUnresolved(ctx, err, time.Since(start)); unresolved != nil {
		return nil, unresolved
	}
	if err != nil {
		return nil, err
	}
	if len(ips) == 0 {
		return nil, errors.New("the name has no address")
	}
	for i := range ips {
		ips[i] = ips[i].Unmap()
	}
	return ips, nil
}

// nameUnresolved says of a look-up for which the name servers took all the time that it was about a name, and which: the end of the time alone would
// be taken for a router that is silent. It is nil where an error is about something else.
func nameUnresolved(ctx context.Context, err error, waited time.Duration) error {
	var name *net.DNSError
	if !errors.As(err, &name) || ctx.Err() == nil && !name.IsTimeout {
		return nil
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause // which the look-up may have been told a moment before
	}
	return fmt.Errorf("the name %s could not be resolved within %s: %w", name.Name, waited.Round(100*time.Millisecond), err)
}
