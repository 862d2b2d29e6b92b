package arbiter

import (
	"errors"
	"net"
	"slices"

	"github.com/hashicorp/raft"
)

// orderly are messages that Raft logs as errors also where nothing went wrong: those that have a cause among ownDoing, and those where it doesn't matter.
var orderly = map[string]struct{ whatever bool }{
	"failed to accept connection":       {},
	"failed to decode incoming command": {},
	"failed to flush response":          {},
	// Where a peer has ended instead of this arbiter, this is the echo of another message that has the cause.
	"failed to appendEntries to":     {},
	"failed to heartbeat to":         {},
	"failed to make requestVote RPC": {},
	// Of leadership that was handed over: "entering follower state" follows.
	"peer has newer term, stopping replication": {whatever: true},
}

// ownDoing are causes that an arbiter has itself made, by closing a connection or its transport, as it does when it ends.
var ownDoing = []error{net.ErrClosed, raft.ErrTransportShutdown}

// Orderly says whether a message that Raft logs as an error, with the values logged beside it, tells of nothing that went wrong.
func Orderly(message string, pairs ...any) bool {
	said, known := orderly[message]
	return known && (said.whatever || slices.ContainsFunc(pairs, func(value any) bool {
		err, is := value.(error)
		return is && slices.ContainsFunc(ownDoing, func(cause error) bool { return errors.Is(err, cause) })
	}))
}
