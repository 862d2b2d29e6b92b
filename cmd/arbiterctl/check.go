package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/arbiter-ha/arbiter/client"
	"github.com/arbiter-ha/arbiter/cmd/arbiterctl/screen"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// checkFor is how long what asks fence devices may take unless --timeout says otherwise: they are slow.
const checkFor = 30 * time.Second

func (a *app) slowLimit(cmd *cobra.Command) time.Duration {
	if cmd.Flags().Changed("timeout") {
		return a.flags.timeout
	}
	return checkFor
}

func (a *app) checkCommand() *cobra.Command {
	var r reading
	var files []string
	cmd := &cobra.Command{
		Use:   "check GROUP | -f FILE",
		Short: "Would a failover work, on these machines, right now",
		Long: "Has every arbiter look, from its own machine and with its own secrets, for what would keep a failover from working:\n" +
			"the members' privileges and settings, every fence device (its agent, its settings, its status), and the routers. It\n" +
			"changes nothing and switches nothing. With -f it looks at specs that need not be applied. What blocks a failover, a\n" +
			"primary that is down already, or an arbiter that did not answer makes the exit status 6.",
		Args: atMost(1), ValidArgsFunction: a.completeGroups,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args)+len(files) == 0 {
				return usage("%s needs GROUP, or -f FILE; usage: %s", cmd.CommandPath(), cmd.UseLine())
			}
			if len(args) > 0 && len(files) > 0 {
				return usage("%s: give GROUP or -f FILE, not both", cmd.CommandPath())
			}
			limit := a.slowLimit(cmd)
			ctx, cancel := context.WithTimeout(cmd.Context(), limit)
			defer cancel()
			options := append(r.options(), client.TryFor(limit))
			if len(files) > 0 {
				return a.checkFiles(ctx, r, files, options)
			}
			return a.checkGroup(ctx, r, args[0], options)
		},
	}
	r.addFlag(cmd)
	addFilesFlag(cmd, &files)
	return cmd
}

func (a *app) checkGroup(ctx context.Context, r reading, group string, options []grpc.CallOption) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	answer, err := c.CheckGroup(ctx, &arbiterv1.CheckGroupRequest{Consistency: r.consistency(), Group: group}, options...)
	if err != nil {
		return err
	}
	return a.checked(r, answer, answer)
}

// checkFiles checks specs one after the other; all of them are shown.
func (a *app) checkFiles(ctx context.Context, r reading, files []string, options []grpc.CallOption) error {
	specs, c, err := a.loadSpecs(files)
	if err != nil {
		return err
	}
	var worst error
	for _, spec := range specs {
		answer, err := c.CheckSpec(ctx, &arbiterv1.CheckSpecRequest{Consistency: r.consistency(), Spec: spec.GroupSpec}, options...)
		if err != nil {
			return a.refused(spec, err)
		}
		if err := a.checked(r, answer, answer); err != nil {
			worst = err
		}
	}
	return worst
}

func (a *app) checked(r reading, answer proto.Message, checked screen.Checked) error {
	err := a.show(answer, func() string { return screen.Check(a.style(), checked) })
	var needed error
	if screen.CheckFails(checked) {
		needed = statusError(exitAttention)
	}
	return errors.Join(err, r.unasked(checked.GetFreshness()), needed)
}
