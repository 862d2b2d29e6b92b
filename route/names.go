package route

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"
)

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
