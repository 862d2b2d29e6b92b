package arbiter

import (
	"time"

	"google.golang.org/grpc/backoff"
)

// peerBackoff reconnects quickly: between arbiters a slow reconnect is a slow failover.
func peerBackoff() backoff.Config {
	return backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.5, Jitter: 0.2, MaxDelay: time.Second}
}
