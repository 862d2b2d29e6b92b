package main

import (
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
)

// repeatAfter is how long a message of Raft's about one peer stays away once it was written. While a peer is gone Raft writes some
// of them several times a second, which would hide what matters and fill a disk in some weeks.
const repeatAfter = time.Minute

// peerMessages are those messages, and the key under which each names its peer.
var peerMessages = map[string]string{
	"failed to heartbeat to":         "peer",
	"failed to appendEntries to":     "peer",
	"failed to contact":              "server-id",
	"failed to make requestVote RPC": "target",
}

// mostRemembered bounds the memory of repeats; there are as many keys as messages and peers.
const mostRemembered = 1024

// repeats keeps messages away that were written lately.
type repeats struct {
	now func() time.Time

	mu      sync.Mutex
	written map[string]time.Time
}

func newRepeats(now func() time.Time) *repeats {
	return &repeats{now: now, written: map[string]time.Time{}}
}

// exclude is for hclog.LoggerOptions.Exclude.
func (r *repeats) exclude(_ hclog.Level, message string, pairs ...any) bool {
	key, ok := peerMessages[message]
	if !ok {
		return false
	}
	about := message + " " + valueOf(key, pairs)
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	if last, ok := r.written[about]; ok && now.Sub(last) < repeatAfter {
		return true
	}
	if len(r.written) >= mostRemembered {
		clear(r.written)
	}
	r.written[about] = now
	return false
}

func valueOf(key string, pairs []any) string {
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i] == key {
			return fmt.Sprint(pairs[i+1])
		}
	}
	return ""
}
