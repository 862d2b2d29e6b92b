package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/arbiter-ha/arbiter/client"
	"github.com/arbiter-ha/arbiter/cmd/arbiterctl/screen"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

func (a *app) resumeCommand() *cobra.Command {
	var change changing
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "resume GROUP",
		Short: "Let Arbiter act on a paused group again",
		Long: "Lets Arbiter act on a paused group again, and says what that begins with. If a rogue is fenced or a failover begun by it,\n" +
			"which can't be undone, it has the group's name typed.",
		Args: exactly("GROUP"), ValidArgsFunction: a.completeGroups,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			rehearsal := &arbiterv1.ResumeRequest{Change: change.change(), Group: args[0], DryRun: true}
			if dryRun {
				answer, err := c.Resume(cmd.Context(), rehearsal)
				if err != nil {
					return err
				}
				return a.said(answer, "%s\nNothing was done.", screen.InUnits(answer.GetPlan()))
			}
			return a.resume(cmd.Context(), c, &change, rehearsal)
		},
	}
	change.addConfirmation(cmd)
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only say what it would begin with")
	return cmd
}

// resume says what the automation begins with, has it confirmed if that can't be undone, and asks for it.
func (a *app) resume(ctx context.Context, c *client.Client, change *changing, request *arbiterv1.ResumeRequest) error {
	if !change.yes {
		plan, err := c.Resume(ctx, request)
		if err != nil {
			return err
		}
		words := screen.InUnits(plan.GetPlan())
		if !plan.GetActs() {
			fmt.Fprintln(a.stderr, words)
		} else if err := a.confirm(change, request.Group, words); err != nil {
			return err
		}
	}
	request.DryRun = false
	answer, err := c.Resume(ctx, request)
	if err != nil {
		return err
	}
	return a.said(answer, "%s: %s", request.Group, orElse(answer.Result, "resumed"))
}
