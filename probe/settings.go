package probe

import (
	"context"
	"errors"
	"time"
)

// errHeldUp says that a look had no time left for the member when this arbiter had read its settings. It is this arbiter's own trouble: what
// comes of such a look must not be taken for a member that doesn't answer.
var errHeldUp = errors.New("this arbiter took too long to read the files of the check's settings (passwords, certificates); their file system is slow or hangs")

// readInTime reads settings, of which some may be in files. A file can't be read under a deadline: see Scheduler for what never comes back.
func readInTime(ctx context.Context, read func() error) error {
	began := time.Now()
	if err := read(); err != nil {
		return err
	}
	deadline, limited := ctx.Deadline()
	if took := time.Since(began); limited && took > time.Until(deadline)/3 { // a quarter of all the time
		return errHeldUp
	}
	return nil
}
