package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/arbiter-ha/arbiter/client"
	"github.com/arbiter-ha/arbiter/cmd/arbiterctl/screen"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// staleAfter is how long reads wait for a leader before they take a labelled stale answer: longer than an election with
// timing lan, short enough for somebody who is in a hurry.
const staleAfter = 2 * time.Second

// reading is what all reads share.
type reading struct {
	stale bool
}

func (r *reading) addFlag(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&r.stale, "stale", false, "take the answer of any arbiter, which may be old, without waiting for one that leads")
}

func (r *reading) consistency() arbiterv1.Consistency {
	if r.stale {
		return arbiterv1.Consistency_CONSISTENCY_STALE
	}
	return arbiterv1.Consistency_CONSISTENCY_LINEARIZABLE
}

func (r *reading) options() []grpc.CallOption {
	if r.stale {
		return nil
	}
	return []grpc.CallOption{client.StaleFallback(staleAfter)}
}

// unasked is the exit status of a read whose answer is stale though nobody asked for that: no arbiter leads. An answer that lacks what
// its arbiter has on disk is not what anybody asked for, either.
func (r *reading) unasked(freshness *arbiterv1.Freshness) error {
	if freshness.GetLinearizable() || r.stale && freshness.GetLogOnDisk() == 0 {
		return nil
	}
	return statusError(exitUnavailable)
}

func (a *app) statusCommand() *cobra.Command {
	var r reading
	var check bool
	cmd := &cobra.Command{
		Use:   "status [GROUP]",
		Short: "Who is primary, is it safe, what would a failover lose",
		Args:  atMost(1), ValidArgsFunction: a.completeGroups,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			request := &arbiterv1.GetStatusRequest{Consistency: r.consistency(), Group: first(args), AskArbiters: check || a.flags.output != "text"}
			answer, err := c.GetStatus(cmd.Context(), request, r.options()...)
			if err != nil {
				return err
			}
			answer = askedWhoAnswers(cmd.Context(), c, request, answer)
			if len(args) > 0 && len(answer.Groups) == 0 {
				return notFoundError{fmt.Errorf("there is no group %q; see `arbiterctl status`", args[0])}
			}
			draw := screen.Status
			if len(args) > 0 {
				draw = screen.Group
			}
			err = a.show(answer, func() string { return draw(a.style(), answer) })
			return errors.Join(err, r.unasked(answer.Freshness), attention(check, answer))
		},
	}
	r.addFlag(cmd)
	cmd.Flags().BoolVar(&check, "check", false, "exit with status 6 if any group shown needs attention, nothing is heard from an arbiter, too few have a view that counts, or certificates of arbiters end soon")
	return cmd
}

// askedWhoAnswers is a status with what every arbiter says of itself, where nobody leads: then the question is which of them to start. Where
// that can't be had, the answer is as it was.
func askedWhoAnswers(ctx context.Context, c *client.Client, request *arbiterv1.GetStatusRequest, answer *arbiterv1.GetStatusResponse) *arbiterv1.GetStatusResponse {
	if f := answer.GetFreshness(); f.GetLinearizable() || f.GetLeader() != "" || request.AskArbiters {
		return answer
	}
	again := &arbiterv1.GetStatusRequest{Consistency: arbiterv1.Consistency_CONSISTENCY_STALE, Group: request.Group, AskArbiters: true}
	asked, err := c.GetStatus(ctx, again)
	if err != nil {
		return answer
	}
	return asked
}

func attention(check bool, answer *arbiterv1.GetStatusResponse) error {
	if check && len(screen.Troubles(answer)) > 0 {
		return statusError(exitAttention)
	}
	return nil
}

func first(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}

func (a *app) explainCommand() *cobra.Command {
	var r reading
	cmd := &cobra.Command{
		Use:   "explain GROUP",
		Short: "Why Arbiter did or did not act, condition by condition",
		Args:  exactly("GROUP"), ValidArgsFunction: a.completeGroups,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			answer, err := c.Explain(cmd.Context(), &arbiterv1.ExplainRequest{Consistency: r.consistency(), Group: args[0]}, r.options()...)
			if err != nil {
				return err
			}
			err = a.show(answer, func() string { return screen.Explain(a.style(), answer) })
			return errors.Join(err, r.unasked(answer.Freshness))
		},
	}
	r.addFlag(cmd)
	return cmd
}

// newestEpochs are so many as fit one screen with the lease.
const newestEpochs = 5

// everyEpoch is a number of epochs to show that leaves none out.
const everyEpoch = 0

func (a *app) epochCommand() *cobra.Command {
	var r reading
	var all bool
	cmd := &cobra.Command{
		Use:   "epoch GROUP",
		Short: "The lease and the newest epochs of a group, and why each was granted",
		Args:  exactly("GROUP"), ValidArgsFunction: a.completeGroups,
		RunE: func(cmd *cobra.Command, args []string) error {
			if all {
				return a.epochs(cmd.Context(), &r, args[0], everyEpoch)
			}
			return a.epochs(cmd.Context(), &r, args[0], newestEpochs)
		},
	}
	r.addFlag(cmd)
	cmd.Flags().BoolVar(&all, "all", false, "every epoch that is kept, not only the newest: as epoch history")
	cmd.AddCommand(a.epochHistoryCommand())
	return cmd
}

func (a *app) epochHistoryCommand() *cobra.Command {
	var r reading
	cmd := &cobra.Command{
		Use:   "history GROUP",
		Short: "Every epoch of a group that is kept, and why each was granted",
		Args:  exactly("GROUP"), ValidArgsFunction: a.completeGroups,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.epochs(cmd.Context(), &r, args[0], everyEpoch)
		},
	}
	r.addFlag(cmd)
	return cmd
}

// epochs shows the epochs of a group, on a screen at most so many.
func (a *app) epochs(ctx context.Context, r *reading, group string, most int) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	answer, err := c.GetEpochs(ctx, &arbiterv1.GetEpochsRequest{Consistency: r.consistency(), Group: group}, r.options()...)
	if err != nil {
		return err
	}
	err = a.show(answer, func() string { return screen.Epochs(a.style(), answer, most) })
	return errors.Join(err, r.unasked(answer.Freshness))
}

func (a *app) showCommand() *cobra.Command {
	var r reading
	cmd := &cobra.Command{
		Use:   "show GROUP [OPERATION]",
		Short: "An operation's timeline to the millisecond; without an id that of the newest",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return exactly("GROUP")(cmd, args)
			}
			return atMost(2)(cmd, args)
		},
		ValidArgsFunction: a.completeGroups,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			request := &arbiterv1.GetOperationRequest{Consistency: r.consistency(), Group: args[0], Operation: first(args[1:])}
			answer, err := c.GetOperation(cmd.Context(), request, r.options()...)
			if err != nil {
				return err
			}
			if answer.Operation == nil {
				return notFoundError{fmt.Errorf("there was no operation on %s yet", args[0])}
			}
			err = a.show(answer, func() string {
				return screen.Stale(a.style(), answer.Freshness) + screen.Operation(a.style(), answer.Operation, r.nextFor(cmd.Context(), c, answer.Operation)...)
			})
			return errors.Join(err, r.unasked(answer.Freshness))
		},
	}
	r.addFlag(cmd)
	return cmd
}

// nextFor asks what can be done about a held operation: that depends on the group as it is now. Who may not ask, or asks too late, is shown
// the timeline all the same. One that is done may have left a standby behind that has come by itself since, or follows somebody else by now.
func (r *reading) nextFor(ctx context.Context, c *client.Client, op *arbiterv1.Operation) []string {
	if (op.Result == "done" || op.Result == "reinstated") && screen.LeftUndone(op, "configure") {
		return []string{"see whether the standbys that were not pointed follow by now: arbiterctl status " + op.Group}
	}
	if op.Result != "held" {
		return nil
	}
	answer, err := c.GetStatus(ctx, &arbiterv1.GetStatusRequest{Consistency: r.consistency(), Group: op.Group}, r.options()...)
	if err != nil || len(answer.Groups) != 1 || answer.Groups[0].Operation.GetId() != op.Id || answer.Groups[0].Operation.GetTurn() != op.Turn {
		return nil
	}
	return answer.Groups[0].Next
}

func (a *app) historyCommand() *cobra.Command {
	var r reading
	var limit uint32
	cmd := &cobra.Command{
		Use:   "history [GROUP]",
		Short: "Operations, the newest first",
		Args:  atMost(1), ValidArgsFunction: a.completeGroups,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			request := &arbiterv1.ListOperationsRequest{Consistency: r.consistency(), Group: first(args), Limit: limit}
			answer, err := c.ListOperations(cmd.Context(), request, r.options()...)
			if err != nil {
				return err
			}
			err = a.show(answer, func() string { return screen.History(a.style(), answer) })
			return errors.Join(err, r.unasked(answer.Freshness))
		},
	}
	r.addFlag(cmd)
	cmd.Flags().Uint32Var(&limit, "limit", 20, "show at most so many")
	return cmd
}

func (a *app) arbitersCommand() *cobra.Command {
	var r reading
	cmd := &cobra.Command{
		Use:   "arbiters",
		Short: "Whether the arbiters themselves are well",
		Args:  atMost(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			answer, err := c.ListArbiters(cmd.Context(), &arbiterv1.ListArbitersRequest{Consistency: r.consistency()}, r.options()...)
			if err != nil {
				return err
			}
			err = a.show(answer, func() string { return screen.Arbiters(a.style(), answer) })
			return errors.Join(err, r.unasked(answer.Freshness))
		},
	}
	r.addFlag(cmd)
	return cmd
}
