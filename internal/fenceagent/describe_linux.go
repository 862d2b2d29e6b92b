package fenceagent

import (
	"context"
	"fmt"
	"time"

	"github.com/arbiter-ha/arbiter/internal/command"
)

// descriptionLimit bounds what is read of an agent's description, in bytes. The largest known has 40 KiB.
const descriptionLimit = 512 << 10

// Describe asks an agent, by the path of its executable, to describe itself.
func Describe(ctx context.Context, path string, limit time.Duration) (Metadata, error) {
	return DescribeBy(ctx, new(command.Runner), path, limit)
}

// DescribeBy is Describe by a Runner that is kept: an agent that hangs inside the kernel isn't started again.
func DescribeBy(ctx context.Context, programs *command.Runner, path string, limit time.Duration) (Metadata, error) {
	result, err := programs.Run(ctx, command.Command{Path: path, Input: "action=metadata\n", Limit: limit, MaxOutput: descriptionLimit})
	if err != nil {
		return Metadata{}, fmt.Errorf("ask for metadata: %w", err)
	}
	if result.Exit != 0 {
		return Metadata{}, &FailedError{Exit: result.Exit, Stdout: result.Stdout.Text, Stderr: result.Stderr.Text}
	}
	return Parse(result.Stdout.Text)
}
