//go:build !linux

package fenceagent

import (
	"context"
	"time"
)

// Describe fails: only Linux runs fence agents.
func Describe(context.Context, string, time.Duration) (Metadata, error) {
	return Metadata{}, ErrMetadata
}
