package arbiter

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/raft"
)

// ErrBadTiming says that the times of Raft don't fit together. The error around it names every value in the relation.
var ErrBadTiming = errors.New("bad Raft timing")

// Timing is how long the arbiters wait for each other. All must use the same one. None of these times is a safety rule
// (S10): bad ones cost elections, not correctness.
type Timing struct {
	// Heartbeat is how long a follower stays quiet without hearing from a leader: between once and twice this time it
	// starts an election. A leader sends between five and ten heartbeats in it.
	Heartbeat time.Duration
	// Election is how long a candidate waits for votes before it tries again.
	Election time.Duration
	// Lease is how long a leader goes on without hearing from a majority. It must end before others elect a new leader.
	Lease time.Duration
	// Commit is the pause after which a leader tells its followers what is committed when nothing else is sent. They
	// learn of a commit at most twice this time later.
	Commit time.Duration
	// Idle is how long a leader that has nothing new to tell holds back what it would tell every Commit. Zero: not at all.
	// The first entry after a rest may then wait for one round trip, most of it while the leader's own disk is at work.
	Idle time.Duration
}

// The named profiles. `lan` is for round trips below about 10 ms, `wan` for those below about 100 ms. TestElections
// measures how long each is without a leader after the loss of one.
const (
	TimingLAN = "lan"
	TimingWAN = "wan"
)

func timingProfiles() map[string]Timing {
	return map[string]Timing{
		TimingLAN: {Heartbeat: 200 * time.Millisecond, Election: 200 * time.Millisecond, Lease: 100 * time.Millisecond, Commit: 12 * time.Millisecond, Idle: 200 * time.Millisecond},
		TimingWAN: {Heartbeat: 1000 * time.Millisecond, Election: 1000 * time.Millisecond, Lease: 500 * time.Millisecond, Commit: 50 * time.Millisecond},
	}
}

// TimingProfile returns a named profile.
func TimingProfile(name string) (Timing, error) {
	profiles := timingProfiles()
	timing, ok := profiles[name]
	if !ok {
		names := slices.Sorted(maps.Keys(profiles))
		return Timing{}, fmt.Errorf("%w: unknown profile %q; choose one of %s", ErrBadTiming, name, strings.Join(names, ", "))
	}
	return timing, nil
}

// Bounds of sense: below, a busy scheduler looks like a dead leader.
const (
	shortestHeartbeat = 20 * time.Millisecond
	shortestCommit    = 5 * time.Millisecond
)

// Validate checks the relations between the times and names each one that is broken.
func (t Timing) Validate() error {
	// A leader sends its heartbeats at most a fifth of Heartbeat apart; see raft.Raft.heartbeat.
	gap := t.Heartbeat / 5
	relations := []struct {
		holds bool
		fault string
	}{
		{t.Heartbeat >= shortestHeartbeat, fmt.Sprintf("heartbeat %v must be at least %v", t.Heartbeat, shortestHeartbeat)},
		{t.Election >= t.Heartbeat, fmt.Sprintf("election %v must be at least heartbeat %v, or candidates give up before they can win", t.Election, t.Heartbeat)},
		{t.Lease < t.Heartbeat, fmt.Sprintf("lease %v must be shorter than heartbeat %v, or a leader that was cut off goes on beside the next one", t.Lease, t.Heartbeat)},
		{t.Lease >= 2*gap, fmt.Sprintf("lease %v must be at least 2/5 of heartbeat %v, or one lost heartbeat deposes a leader", t.Lease, t.Heartbeat)},
		{t.Commit >= shortestCommit, fmt.Sprintf("commit %v must be at least %v, or idle arbiters keep their processors busy", t.Commit, shortestCommit)},
		{t.Idle >= 0 && t.Idle <= t.Heartbeat, fmt.Sprintf("idle %v must be at most heartbeat %v, or a peer that missed a commit learns of it late", t.Idle, t.Heartbeat)},
		{t.Commit <= t.Heartbeat/4, fmt.Sprintf("commit %v must be at most a quarter of heartbeat %v, or followers lag behind", t.Commit, t.Heartbeat)},
	}
	var faults []error
	for _, relation := range relations {
		if !relation.holds {
			faults = append(faults, fmt.Errorf("%w: %s", ErrBadTiming, relation.fault))
		}
	}
	return errors.Join(faults...)
}

// RPC is how long one request to another arbiter may take, connecting included. It is longer than an election, so that a
// follower with a slow disk is not cut off, and short enough that a connection that a partition has swallowed is soon replaced.
func (t Timing) RPC() time.Duration { return 5 * t.Heartbeat }

// confirmRetry is the pause between two nudges of Confirm: the rate at which a leader sends heartbeats anyway.
func (t Timing) confirmRetry() time.Duration { return t.Heartbeat / 10 }

func (t Timing) apply(config *raft.Config) {
	config.HeartbeatTimeout = t.Heartbeat
	config.ElectionTimeout = t.Election
	config.LeaderLeaseTimeout = t.Lease
	config.CommitTimeout = t.Commit
}
