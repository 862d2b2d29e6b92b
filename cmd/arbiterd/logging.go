package main

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/arbiter-ha/arbiter/arbiter"
)

// repeatAfter is how long a message that comes again and again while something lasts stays away once it was written. While a peer is gone,
// or no majority is there, Raft writes some of them several times a second, which would hide what matters and fill a disk in some weeks.
const repeatAfter = time.Minute

// repeating are those messages, and what each is about: the same message about another peer is written.
var repeating = map[string]func(pairs []any) string{
	"failed to heartbeat to":         field("peer"),
	"failed to appendEntries to":     field("peer"),
	"failed to contact":              field("server-id"),
	"failed to make requestVote RPC": field("target"),

	// Of one that finds no majority.
	"entering candidate state":                               nothing,
	"pre-vote campaign failed, waiting for election timeout": nothing,
	"Election timeout reached, restarting election":          nothing,

	// Of those that it asks, where they have what they need.
	"rejecting vote request since we have a leader":                 field("from"),
	"rejecting vote request since our last term is greater":         field("candidate"),
	"rejecting vote request since our last index is greater":        field("candidate"),
	"rejecting vote request since node is not in configuration":     field("from"),
	"rejecting pre-vote request since we have a leader":             field("from"),
	"rejecting pre-vote request since our last term is greater":     field("candidate"),
	"rejecting pre-vote request since our last index is greater":    field("candidate"),
	"rejecting pre-vote request since node is not in configuration": field("from"),

	// Of one to whom a stranger comes, from another port each time.
	"failed to decode incoming command":   hostOfError,
	"connection refused at the gRPC port": hostOf,
}

func nothing([]any) string { return "" }

func field(key string) func([]any) string {
	return func(pairs []any) string { return fmt.Sprint(valueOf(key, pairs)) }
}

// hostOf is the host in the field "from".
func hostOf(pairs []any) string {
	from := fmt.Sprint(valueOf("from", pairs))
	if host, _, err := net.SplitHostPort(from); err == nil {
		return host
	}
	return from
}

// hostOfError is the host of the connection that the field "error" is about.
func hostOfError(pairs []any) string {
	err, _ := valueOf("error", pairs).(error)
	var failed *net.OpError
	if !errors.As(err, &failed) || failed.Addr == nil {
		return ""
	}
	return hostOf([]any{"from", failed.Addr})
}

// mostSubjects is of how many subjects one message is written in a minute: more than there are arbiters, and an end to what strangers from
// ever other addresses can have written.
const mostSubjects = 64

// repeats keeps messages away that were written lately, and errors that are none.
type repeats struct {
	now func() time.Time

	mu      sync.Mutex
	written map[string]map[string]time.Time // by message, then subject: when
}

func newRepeats(now func() time.Time) *repeats {
	return &repeats{now: now, written: map[string]map[string]time.Time{}}
}

// exclude is for hclog.LoggerOptions.Exclude.
func (r *repeats) exclude(_ hclog.Level, message string, pairs ...any) bool {
	if arbiter.Orderly(message, pairs...) {
		return true
	}
	subject, ok := repeating[message]
	if !ok {
		return false
	}
	about := subject(pairs)
	r.mu.Lock()
	defer r.mu.Unlock()
	now, written := r.now(), r.written[message]
	if written == nil {
		written = map[string]time.Time{}
		r.written[message] = written
	}
	maps.DeleteFunc(written, func(_ string, at time.Time) bool { return now.Sub(at) >= repeatAfter })
	if _, lately := written[about]; lately || len(written) == mostSubjects {
		return true
	}
	written[about] = now
	return false
}

func valueOf(key string, pairs []any) any {
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i] == key {
			return pairs[i+1]
		}
	}
	return ""
}
