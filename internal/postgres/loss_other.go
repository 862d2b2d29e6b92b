//go:build !linux

package postgres

import (
	"net"
	"time"
)

// limitUnacknowledged does nothing: arbiters run on Linux.
func limitUnacknowledged(*net.TCPConn, time.Duration) {}
