package arbiter

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/hashicorp/raft"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/arbiter-ha/arbiter/fsm"
)

var (
	// ErrOutcomeUnknown says that an entry may or may not be in the log, now or later. Read the state; never send the entry
	// again (S4). Every error of Apply is one.
	ErrOutcomeUnknown = errors.New("outcome unknown")
	// ErrNotProposed says, beside ErrOutcomeUnknown, that Raft refused the entry before it reached the log. It is for
	// messages, and for sending a caller to the leader.
	ErrNotProposed = errors.New("not proposed")
	// ErrStopped says that the node has been shut down.
	ErrStopped = errors.New("raft node is shut down")
	// ErrStorageLocked says that another process uses the data directory.
	ErrStorageLocked = errors.New("data directory is in use by another process")
	// ErrStorageCorrupt says that the log, the votes or the snapshots can't be read back.
	ErrStorageCorrupt = errors.New("data directory is corrupt")
	// ErrStorageUnused says that the first start in this data directory ended before it had made a log to write to: nothing was ever kept in it.
	ErrStorageUnused = errors.New("data directory was never used")
	// ErrDiskFull says that nothing could be written for lack of space.
	ErrDiskFull = errors.New("disk is full")
	// ErrStorageEmpty says that a node was to be started that has never been part of a cluster.
	ErrStorageEmpty = errors.New("data directory holds no cluster")
)

// storageError says what an error of the storage means for an operator.
func storageError(path string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, bolterrors.ErrTimeout):
		return fmt.Errorf("open %s: %w: is another arbiterd running with this data directory?", path, ErrStorageLocked)
	case isDiskFull(err):
		return fmt.Errorf("write to %s: %w: free some space and start again: %w", path, ErrDiskFull, err)
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrChecksum), errors.Is(err, bolterrors.ErrVersionMismatch),
		errors.Is(err, ErrStorageCorrupt):
		return corrupt(path, err)
	}
	return fmt.Errorf("use %s: %w", path, err)
}

// corrupt tells the only safe way out: a node that goes on with less than it had may vote twice.
func corrupt(path string, err error) error {
	if !errors.Is(err, ErrStorageCorrupt) {
		err = fmt.Errorf("%w: %w", ErrStorageCorrupt, err)
	}
	return fmt.Errorf("read %s: %w; don't repair or restore it: %s", path, err, fsm.LostArbiter)
}

func isDiskFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// applyError classifies an error of Raft's Apply or Barrier. What Raft refused before the log it says by these errors, and
// by no others; see runFollower, runCandidate and leaderLoop in raft 1.7.3.
func applyError(what string, err error) error {
	kind := ErrOutcomeUnknown
	switch {
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrEnqueueTimeout), errors.Is(err, raft.ErrLeadershipTransferInProgress),
		errors.Is(err, ErrStopped):
		kind = fmt.Errorf("%w (%w)", ErrOutcomeUnknown, ErrNotProposed)
	case isDiskFull(err):
		kind = fmt.Errorf("%w: %w", ErrOutcomeUnknown, ErrDiskFull)
	}
	return fmt.Errorf("%s: %w: %w", what, kind, err)
}
