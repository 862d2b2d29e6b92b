package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/arbiter-ha/arbiter/cmd/arbiterctl/screen"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

func (a *app) attestationsCommand() *cobra.Command {
	var r reading
	request := &arbiterv1.ListAttestationsRequest{}
	cmd := &cobra.Command{
		Use:   "attestations [GROUP]",
		Short: "Who vouched for which member, when and why, and what the arbiters saw then",
		Long: "Lists the words of people that a member could not write (`attest`, `adopt --attest`), the newest first. All of them are\n" +
			"kept, also those on groups that were deleted since.",
		Args: atMost(1), ValidArgsFunction: a.completeGroups,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			request.Consistency, request.Group = r.consistency(), first(args)
			answer, err := c.ListAttestations(cmd.Context(), request, r.options()...)
			if err != nil {
				return err
			}
			err = a.show(answer, func() string { return screen.Attestations(a.style(), answer) })
			return errors.Join(err, r.unasked(answer.Freshness))
		},
	}
	r.addFlag(cmd)
	cmd.Flags().Uint32Var(&request.Limit, "limit", 20, "show at most so many")
	cmd.Flags().Uint64Var(&request.Before, "before", 0, "only those from before this index of the log")
	return cmd
}
