package arbiter

import (
	"errors"
	"fmt"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/fsm"
)

// errNotUnderstood marks a proposal that would stop an arbiter, because it does not understand it; nothing was proposed.
var errNotUnderstood = errors.New("not every arbiter understands this")

// encode makes the bytes to propose, of what every voter is known to understand. Nothing else in this package makes any.
func encode(state *failover.State, body failover.Body, wall failover.WallTime, node failover.NodeID) ([]byte, error) {
	return encodeNeeding(fsm.VersionOf(body), state, body, wall, node)
}

// encodeNeeding is encode for a body that needs this version of the log language.
func encodeNeeding(needs failover.EntryVersion, state *failover.State, body failover.Body, wall failover.WallTime, node failover.NodeID) ([]byte, error) {
	if voters := state.VotersUnderstand(); needs > voters {
		return nil, fmt.Errorf("%w: %T takes version %d of the log language, and not every arbiter has said that it understands more than %d; "+
			"`arbiterctl arbiters` shows which: start it, or upgrade it", errNotUnderstood, body, needs, voters)
	}
	return fsm.Encode(body, wall, node)
}
