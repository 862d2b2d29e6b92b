package fsm

import (
	"errors"
	"fmt"

	"github.com/arbiter-ha/arbiter/failover"
)

// Errors that callers branch on.
var (
	// ErrCannotApply marks an entry that this build does not understand completely. The arbiter must stop.
	ErrCannotApply = errors.New("entry cannot be applied")
	// ErrCannotRestore marks a snapshot that is damaged, or newer than this build.
	ErrCannotRestore = errors.New("snapshot cannot be restored")
	// ErrCannotEncode marks a proposal that must not enter the log; nothing was proposed.
	ErrCannotEncode = errors.New("entry cannot be encoded")
)

// LostArbiter is what an operator does about an arbiter that can't go on with what it has on its disk. There is no command for it.
const LostArbiter = "leave this arbiter stopped: it must not come back under its name, and this release can't put another one in its place. " +
	"The others protect the groups as before as long as a majority of all is there; " +
	"what to do then is in docs/operations.md, \"An arbiter's machine is lost for good\""

const upgrade = "upgrade this arbiter to the version of the others and start it again, its data is kept"

// Causes of ErrCannotApply, each with its own advice.
var (
	errNewer     = errors.New("it is written in a newer version of the log language")
	errUnknown   = errors.New("it holds something that this version does not know")
	errMalformed = errors.New("it is malformed")
	errFailed    = errors.New("applying it failed")
	errOrder     = errors.New("it is not after what is applied already")
)

func tooNew(cause error) bool { return errors.Is(cause, errNewer) || errors.Is(cause, errUnknown) }

// CannotApplyError says which entry can't be applied, why, and what to do. It matches ErrCannotApply.
type CannotApplyError struct {
	Index     failover.Index        // 0 where only the bytes are known
	Version   failover.EntryVersion // 0 if it can't be read
	Ignorable bool                  // its proposer allows a node that does not understand it to go on without it
	Cause     error
}

// Error names the entry, the versions and the next step.
func (e *CannotApplyError) Error() string {
	return fmt.Sprintf("apply log entry %d (log language %d, this arbiter understands up to %d): %v; %s",
		e.Index, e.Version, failover.CurrentVersion, e.Cause, e.advice())
}

func (e *CannotApplyError) advice() string {
	switch {
	case tooNew(e.Cause):
		return "nothing was changed: " + upgrade
	case errors.Is(e.Cause, errFailed):
		return "nothing was changed: report this as a fault, with the log around it; a version that mends it goes on from here"
	}
	return "nothing was changed: if the other arbiters go on, the log of this one is damaged: " + LostArbiter
}

// Is makes the error match ErrCannotApply.
func (e *CannotApplyError) Is(target error) bool { return target == ErrCannotApply }

// Unwrap returns the cause.
func (e *CannotApplyError) Unwrap() error { return e.Cause }
