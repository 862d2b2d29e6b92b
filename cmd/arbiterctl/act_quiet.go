package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/arbiter-ha/arbiter/client"
	"github.com/arbiter-ha/arbiter/cmd/arbiterctl/screen"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// Changes that can be taken back, or that only say what is so: no confirmation is asked for.

func (a *app) pauseCommand() *cobra.Command {
	var change changing
	cmd := &cobra.Command{
		Use:   "pause GROUP",
		Short: "Stop touching a group: nothing automatic until it is resumed",
		Args:  exactly("GROUP"), ValidArgsFunction: a.completeGroups,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			answer, err := c.Pause(cmd.Context(), &arbiterv1.PauseRequest{Change: change.change(), Group: args[0]})
			if err != nil {
				return err
			}
			return a.said(answer, "%s: %s", args[0], orElse(answer.Result, "paused; nothing automatic until `arbiterctl resume "+args[0]+"`"))
		},
	}
	change.addFlags(cmd)
	return cmd
}

func (a *app) adoptCommand() *cobra.Command {
	var change changing
	request := &arbiterv1.AdoptRequest{}
	cmd := &cobra.Command{
		Use:   "adopt GROUP",
		Short: "Record who is primary now, so that Arbiter may protect the group",
		Long: "Records the member that is accepting writes as the writer. A quorum of arbiters must see it writable and every other\n" +
			"member in recovery on the same system. For a member that can't be seen you may vouch with --attest: only if you made\n" +
			"sure that it can't accept writes. Fence devices that were seen to be wrong about their member are believed again by it.",
		Args: exactly("GROUP"), ValidArgsFunction: a.completeGroups,
		RunE: func(cmd *cobra.Command, args []string) error {
			request.Group = args[0]
			if len(request.Attest) > 0 {
				if err := change.needReason("an attestation"); err != nil {
					return err
				}
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			if len(request.Attest) > 0 {
				if err := a.confirmWord(cmd.Context(), c, &change, request); err != nil {
					return err
				}
			}
			request.Change = change.change()
			answer, err := c.Adopt(cmd.Context(), request)
			if err != nil {
				return err
			}
			said := fmt.Sprintf("%s is adopted: %s is the writer under epoch %d.", args[0], answer.Member, answer.Epoch)
			return a.said(answer, "%s", strings.Join(append([]string{said}, answer.Notes...), "\n"))
		},
	}
	change.addConfirmation(cmd)
	cmd.Flags().StringVar(&request.Member, "member", "", "the member that is the writer (default: the one that is seen accepting writes)")
	cmd.Flags().StringSliceVar(&request.Attest, "attest", nil, "members that can't be seen and that you vouch for")
	cmd.Flags().Uint64Var(&request.Seen, "seen", 0, "with --attest, the index in the advice of status or explain: refused if the group or these members changed since (default: what is so now)")
	_ = cmd.RegisterFlagCompletionFunc("member", a.completeMembers)
	_ = cmd.RegisterFlagCompletionFunc("attest", a.completeMembers)
	return cmd
}

// confirmWord shows what is seen of the members that somebody vouches for, and has it confirmed. That is what the request is about.
func (a *app) confirmWord(ctx context.Context, c *client.Client, change *changing, request *arbiterv1.AdoptRequest) error {
	g, applied, err := a.groupNow(ctx, c, request.Group)
	if err != nil {
		return err
	}
	request.Seen = cmp.Or(request.Seen, applied)
	return a.confirm(change, request.Group, screen.Seen(a.style(), g, request.Attest...)+fmt.Sprintf("You vouch that %v can't accept writes.", request.Attest))
}

func (a *app) transferCommand() *cobra.Command {
	var change changing
	cmd := &cobra.Command{
		Use:   "transfer-leadership [ARBITER]",
		Short: "Hand the lead over to another arbiter, for maintenance",
		Args:  atMost(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			answer, err := c.TransferLeadership(cmd.Context(), &arbiterv1.TransferLeadershipRequest{Change: change.change(), To: first(args)})
			if err != nil {
				return err
			}
			// The arbiter that gave up the lead may not know yet who took it; the one that leads does.
			now, err := c.ListArbiters(cmd.Context(), &arbiterv1.ListArbitersRequest{})
			if err != nil {
				return fmt.Errorf("look who leads now: %w", err)
			}
			answer.Leader = now.GetFreshness().GetLeader()
			return a.said(answer, "%s leads now.", orElse(answer.Leader, "another arbiter"))
		},
	}
	change.addFlags(cmd)
	return cmd
}
