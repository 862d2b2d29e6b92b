//go:build !linux

package fenceagent

import (
	"context"
	"errors"
	"time"
)

// Describe fails: only Linux runs fence agents.
func Describe(context.Context, string, time.Duration) (Metadata, error) {
	return Metadata{}, errors.New("only Linux runs fence agents")
}
