package probe

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/arbiter-ha/arbiter/internal/secret"
)

// errHeldUp says that a look had no time left for the member when this arbiter had read its settings. It is this arbiter's own trouble: what
// comes of such a look must not be taken for a member that doesn't answer.
var errHeldUp = errors.New("this arbiter took too long to read the files of the check's settings (passwords, certificates); their file system is slow or hangs")

// readInTime reads settings, of which some may be in files.
func readInTime(ctx context.Context, read func() error) error {
	began := time.Now()
	err := read()
	switch {
	case errors.Is(err, secret.ErrNotInTime):
		return fmt.Errorf("%w: %v", errHeldUp, err) // without its meaning: to those who read settings it is a fault of theirs
	case err != nil:
		return err
	}
	deadline, limited := ctx.Deadline()
	if took := time.Since(began); limited && took > time.Until(deadline)/3 { // a quarter of all the time
		return errHeldUp
	}
	return nil
}
