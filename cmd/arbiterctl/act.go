package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	"github.com/arbiter-ha/arbiter/client"
	"github.com/arbiter-ha/arbiter/cmd/arbiterctl/screen"
	"github.com/arbiter-ha/arbiter/config"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// said prints what an arbiter answered to a change.
func (a *app) said(answer proto.Message, format string, args ...any) error {
	return a.show(answer, func() string { return fmt.Sprintf(format, args...) + "\n" })
}

func (a *app) failoverCommand() *cobra.Command {
	var (
		change    changing
		candidate string
		epoch     uint64
		dryRun    bool
		ignore    struct{ routers, unarmed, findings bool }
	)
	cmd := &cobra.Command{
		Use:   "failover GROUP",
		Short: "Fence the primary and promote a standby, now",
		Long: "Asks for a failover also while the primary is well: its machine is switched off, or whatever else its fence does, for\n" +
			"real; the best standby is promoted, and the clients are sent there. It needs --reason, shows what it would do, and has\n" +
			"the group's name typed. It ends once the failover has begun: `arbiterctl show GROUP` says how it goes.\n\n" +
			"While the primary serves, all that the failover needs must answer: the primary's fence, without whose proof nobody is\n" +
			"promoted and nobody writes (--ignore-unarmed tries it all the same); every router, without which clients don't get to\n" +
			"the new primary (--ignore-routers); and nothing that `arbiterctl check` says blocks may be wrong with who may be\n" +
			"promoted (--ignore-findings), least of all what keeps it from being promoted, which nothing sets aside. While the\n" +
			"primary is down nothing is asked, and nothing waits.\n\n" +
			"--dry-run looks at the members as the failover does before it does anything, asks all that too, and ends with 8 if the\n" +
			"failover would be refused, or held.",
		Example: "  arbiterctl failover orders-db --dry-run\n" +
			"  arbiterctl failover orders-db --to pg-b --reason \"the rack is being moved\"",
		Args: exactly("GROUP"), ValidArgsFunction: a.completeGroups,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			if !dryRun {
				if err := change.needReason("a failover"); err != nil {
					return err
				}
			}
			rehearsal := &arbiterv1.FailoverRequest{
				Change: (&changing{reason: change.reason}).change(), Group: args[0], Candidate: candidate, Epoch: epoch, DryRun: true,
				IgnoreRouters: ignore.routers, IgnoreUnarmed: ignore.unarmed, IgnoreFindings: ignore.findings,
			}
			patience := a.patience(cmd.Context(), c, args[0], a.slowLimit(cmd))
			if dryRun {
				return a.rehearseFailover(cmd.Context(), c, rehearsal, patience)
			}
			return a.failover(cmd.Context(), c, &change, rehearsal, patience)
		},
	}
	change.addConfirmation(cmd)
	cmd.Flags().StringVar(&candidate, "to", "", "the member to promote (default: the best one)")
	cmd.Flags().Uint64Var(&epoch, "epoch", 0, "the group's epoch as status showed it: refused if somebody else has acted since (default: what the plan to confirm was made under)")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only say what would be done, by a fresh look")
	cmd.Flags().BoolVar(&ignore.routers, "ignore-routers", false, "also if a router does not answer: clients get to the new primary once it does")
	cmd.Flags().BoolVar(&ignore.unarmed, "ignore-unarmed", false, "also if the fence of the primary does not answer: it is tried, and nobody writes until it gives a proof, or you vouch for the primary")
	cmd.Flags().BoolVar(&ignore.findings, "ignore-findings", false, "also if check finds something wrong with who may be promoted that does not keep it from being promoted")
	_ = cmd.RegisterFlagCompletionFunc("to", a.completeMembers)
	return cmd
}

// askStatus is how long a failover waits to know whether its primary serves, while leadership may be moving.
const askStatus = time.Second

// patience is how long a call for a failover may take: longer than others while the primary serves, since its fence is asked then. One of a primary that is
// down is asked nothing, and waits for no arbiter that doesn't answer.
func (a *app) patience(ctx context.Context, c *client.Client, group string, slow time.Duration) time.Duration {
	ctx, cancel := context.WithTimeout(ctx, askStatus)
	defer cancel()
	answer, err := c.GetStatus(ctx, &arbiterv1.GetStatusRequest{Consistency: arbiterv1.Consistency_CONSISTENCY_LINEARIZABLE, Group: group})
	if err != nil || len(answer.Groups) != 1 || answer.Groups[0].PrimaryStatus == "down" {
		return 0 // what is wrong is told by the call itself
	}
	return slow
}

// askFailover asks for a failover, or its plan, for as long as patience says; 0 is as long as any call.
func askFailover(ctx context.Context, c *client.Client, request *arbiterv1.FailoverRequest, patience time.Duration) (*arbiterv1.FailoverResponse, error) {
	if patience == 0 {
		return c.Failover(ctx, request)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return c.Failover(ctx, request, client.TryFor(patience))
}

// rehearseFailover shows the plan.
func (a *app) rehearseFailover(ctx context.Context, c *client.Client, request *arbiterv1.FailoverRequest, patience time.Duration) error {
	answer, err := askFailover(ctx, c, request, patience)
	if err != nil {
		return err
	}
	if err := a.show(answer, func() string { return screen.Plan(a.style(), answer, true) }); err != nil || answer.Possible {
		return err
	}
	return statusError(exitNotPossible)
}

// failover shows the plan, has it confirmed, and asks for it.
func (a *app) failover(ctx context.Context, c *client.Client, change *changing, request *arbiterv1.FailoverRequest, patience time.Duration) error {
	if !change.yes {
		plan, err := askFailover(ctx, c, request, patience)
		if err != nil {
			return err
		}
		if plan.Refused != "" { // nobody is asked to confirm what would not even begin
			fmt.Fprint(a.stderr, screen.Plan(a.style(), plan, false))
			return &client.RejectedError{Why: plan.Refused, Next: strings.Join(plan.Next, "; ")}
		}
		if err := a.confirm(change, request.Group, screen.Plan(a.style(), plan, false)); err != nil {
			return err
		}
		request.Epoch = plan.GetEpoch()
	}
	request.DryRun, request.Change = false, change.change()
	answer, err := askFailover(ctx, c, request, patience)
	if err != nil {
		return err
	}
	if err := a.show(answer, func() string { return screen.Started(a.style(), request.Group, answer) }); err != nil {
		return err
	}
	a.hint("watch it: arbiterctl show %s, or arbiterctl events %s --follow", request.Group, request.Group)
	return nil
}

// about is what a request is about: an operation, and the turn of it that the operator saw. Naming them keeps a request that
// comes late from hitting another operation, or another hold of the same one.
type about struct {
	operation string
	seen      uint64
}

func (o *about) addFlags(cmd *cobra.Command) {
	addOperationFlag(cmd, &o.operation)
	cmd.Flags().Uint64Var(&o.seen, "seen", 0, "the index in the advice of status or explain: refused if the operation is held for something newer (default: what it stands at now)")
}

// find fills in what the operator left out: the operation that is in progress, and where it stands now.
func (o *about) find(ctx context.Context, a *app, c *client.Client, group string) (*arbiterv1.GroupStatus, error) {
	g, applied, err := a.groupNow(ctx, c, group)
	if err != nil {
		return nil, err
	}
	o.seen = cmp.Or(o.seen, g.Operation.GetTurn(), applied)
	o.operation, err = operationOf(g, o.operation)
	return g, err
}

// heldFor is a line about what an operation is held for, for whoever is asked to confirm.
func heldFor(g *arbiterv1.GroupStatus) string {
	if g.Stage != "held" {
		return ""
	}
	return fmt.Sprintf("%s is held (%s): %s\n", g.Group, g.Operation.GetHeldReason(), screen.InUnits(g.Operation.GetHeldDetail()))
}

// groupNow is a group as the operator is shown it, and the index of the log up to which that is known.
func (a *app) groupNow(ctx context.Context, c *client.Client, group string) (g *arbiterv1.GroupStatus, applied uint64, err error) {
	answer, err := c.GetStatus(ctx, &arbiterv1.GetStatusRequest{Consistency: arbiterv1.Consistency_CONSISTENCY_LINEARIZABLE, Group: group})
	if err != nil {
		return nil, 0, err
	}
	if len(answer.Groups) == 0 {
		return nil, 0, notFoundError{fmt.Errorf("there is no group %q; see `arbiterctl status`", group)}
	}
	return answer.Groups[0], answer.GetFreshness().GetAppliedIndex(), nil
}

// operationOf names the operation that a request is about: the one that the operator gave, else the one that runs now.
func operationOf(g *arbiterv1.GroupStatus, given string) (string, error) {
	if given == "" && g.Operation.GetId() == "" {
		return "", &client.RejectedError{Why: "no operation is in progress on " + g.Group, Next: "look with `arbiterctl show " + g.Group + "`"}
	}
	return cmp.Or(given, g.Operation.GetId()), nil
}

func (a *app) abortCommand() *cobra.Command {
	var change changing
	var operation string
	cmd := &cobra.Command{
		Use:   "abort GROUP",
		Short: "Stop an operation before it promotes anything",
		Long: "Stops the operation in progress. Before the old primary is isolated that changes nothing. After that the group is\n" +
			"held without a writer: go on with `arbiterctl release`, or give it back with `arbiterctl reinstate`.",
		Args: exactly("GROUP"), ValidArgsFunction: a.completeGroups,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			g, _, err := a.groupNow(cmd.Context(), c, args[0])
			if err != nil {
				return err
			}
			id, err := operationOf(g, operation)
			if err != nil {
				return err
			}
			answer, err := c.Abort(cmd.Context(), &arbiterv1.AbortRequest{Change: change.change(), Group: args[0], Operation: id})
			if err != nil {
				return err
			}
			return a.said(answer, "%s: %s", args[0], orElse(answer.Result, "aborted"))
		},
	}
	change.addFlags(cmd)
	addOperationFlag(cmd, &operation)
	return cmd
}

func addOperationFlag(cmd *cobra.Command, operation *string) {
	cmd.Flags().StringVar(operation, "operation", "", "id of the operation that is meant (default: the one in progress)")
}

func orElse(words, otherwise string) string {
	if words == "" {
		return otherwise
	}
	return words
}

func (a *app) reinstateCommand() *cobra.Command {
	var change changing
	var what about
	cmd := &cobra.Command{
		Use:   "reinstate GROUP",
		Short: "Give a group back to the primary that it had before the operation",
		Args:  exactly("GROUP"), ValidArgsFunction: a.completeGroups,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := change.needReason("reinstating"); err != nil {
				return err
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			g, err := what.find(cmd.Context(), a, c, args[0])
			if err != nil {
				return err
			}
			consequence := heldFor(g) + fmt.Sprintf("This makes %s the primary of %s again, under a new epoch.", orElse(g.Operation.GetFrom(), "the former primary"), args[0])
			if err := a.confirm(&change, args[0], consequence); err != nil {
				return err
			}
			answer, err := c.Reinstate(cmd.Context(), &arbiterv1.ReinstateRequest{
				Change: change.change(), Group: args[0], Operation: what.operation, Seen: what.seen,
			})
			if err != nil {
				return err
			}
			return a.said(answer, "%s: %s", args[0], orElse(answer.Result, "being reinstated"))
		},
	}
	change.addConfirmation(cmd)
	what.addFlags(cmd)
	return cmd
}

func (a *app) releaseCommand() *cobra.Command {
	var change changing
	var what about
	var acceptLoss string
	request := &arbiterv1.ReleaseRequest{}
	cmd := &cobra.Command{
		Use:   "release GROUP",
		Short: "Let a held operation go on",
		Long: "Lets a held operation try again; if that lets somebody be fenced, it says whom and asks back. With --accept-loss it may\n" +
			"also lose acknowledged data, once, up to the amount given, by promoting the member that `arbiterctl explain` names: take\n" +
			"the amount from there. \"unknown\" accepts a loss of which nobody knows how large it is, by the promotion of the\n" +
			"--member that is named.",
		Args: exactly("GROUP"), ValidArgsFunction: a.completeGroups,
		RunE: func(cmd *cobra.Command, args []string) error {
			request.Group = args[0]
			if acceptLoss != "" {
				if err := acceptedLoss(request, acceptLoss); err != nil {
					return err
				}
				if request.AcceptUnknownLoss && request.Member == "" {
					return usage("--accept-loss unknown: name the member whose promotion loses it: --member")
				}
				if err := change.needReason("losing data"); err != nil {
					return err
				}
			}
			return a.release(cmd.Context(), &change, what, request)
		},
	}
	change.addConfirmation(cmd)
	what.addFlags(cmd)
	cmd.Flags().StringVar(&request.Member, "member", "", "accept the loss only if it is by the promotion of this member; needed with unknown")
	cmd.Flags().StringVar(&acceptLoss, "accept-loss", "", "lose up to so much acknowledged data, once: for example 71MB, or \"unknown\"")
	return cmd
}

// release shows what is held, has confirmed whom that fences and what it may lose, and asks for it.
func (a *app) release(ctx context.Context, change *changing, what about, request *arbiterv1.ReleaseRequest) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	g, err := what.find(ctx, a, c, request.Group)
	if err != nil {
		return err
	}
	consequence := wouldFence(g)
	if request.AcceptLoss {
		consequence += fmt.Sprintf("This lets the %s of %s lose %s, for good.", orElse(g.Operation.GetKind(), "operation"), request.Group, amountOf(request))
		if g.LossGrade == "estimate" && !request.AcceptUnknownLoss {
			consequence += " What would be lost is an estimate: what the primary wrote after it was last seen comes on top."
		}
	}
	if consequence == "" { // whoever could still write is proven unable to: what follows only ends an outage
		fmt.Fprint(a.stderr, heldFor(g))
	} else if err := a.confirm(change, request.Group, heldFor(g)+consequence); err != nil {
		return err
	}
	request.Change, request.Operation, request.Seen = change.change(), what.operation, what.seen
	answer, err := c.Release(ctx, request)
	if err != nil {
		return err
	}
	return a.said(answer, "%s: %s", request.Group, orElse(answer.Result, "released"))
}

// wouldFence says whom a release of a group's operation lets be fenced; empty if nobody is left to be.
func wouldFence(g *arbiterv1.GroupStatus) string {
	op := g.Operation
	down := slices.ContainsFunc(g.Members, func(m *arbiterv1.MemberStatus) bool { return m.Member == op.GetTo() && m.Status == "down" })
	if op.GetHeldReason() == "promote" || down {
		return fmt.Sprintf("If %s fails again, this lets it be fenced, and another member promoted.\n", orElse(op.GetTo(), "the candidate"))
	}
	var names []string
	for _, m := range g.Members {
		if op.GetHeldReason() == "reinstate" && m.Member == op.GetFrom() {
			continue // it is brought back
		}
		if m.Authority == "REVOKED" || m.Authority == "WRITER" && op.GetKind() == "failover" && m.Member == op.GetFrom() {
			names = append(names, m.Member)
		}
	}
	switch {
	case len(names) == 0:
		return ""
	case op.GetKind() == "failover":
		return fmt.Sprintf("This lets %s be fenced, and a standby promoted.\n", strings.Join(names, " and "))
	}
	return fmt.Sprintf("This lets %s be fenced.\n", strings.Join(names, " and "))
}

func amountOf(request *arbiterv1.ReleaseRequest) string {
	if request.AcceptUnknownLoss {
		return "acknowledged data, nobody knows how much"
	}
	return "up to " + config.FormatBytes(request.AcceptLossBytes) + " of acknowledged data"
}

// acceptedLoss reads an amount of data, or "unknown". Unlike in a spec a bare number is one of bytes: it comes from the arbiters' own
// advice.
func acceptedLoss(request *arbiterv1.ReleaseRequest, text string) (err error) {
	request.AcceptLoss = true
	if text == "unknown" {
		request.AcceptUnknownLoss = true
		return nil
	}
	if request.AcceptLossBytes, err = strconv.ParseUint(text, 10, 64); err != nil {
		request.AcceptLossBytes, err = config.ParseBytes(text)
	}
	switch {
	case err != nil:
		return usage("--accept-loss: %w, or unknown", err)
	case request.AcceptLossBytes == 0:
		return usage("--accept-loss %s accepts no loss: give the amount that `arbiterctl explain %s` says, or unknown with the --member that it names", text, request.Group)
	}
	return nil
}

// isMember refuses a name that no member of a group has.
func isMember(g *arbiterv1.GroupStatus, name string) error {
	names := make([]string, len(g.Members))
	for i, m := range g.Members {
		if names[i] = m.Member; m.Member == name {
			return nil
		}
	}
	return notFoundError{fmt.Errorf("%s has no member %q; there are %s", g.Group, name, strings.Join(names, ", "))}
}

func (a *app) attestCommand() *cobra.Command {
	var change changing
	var what about
	cmd := &cobra.Command{
		Use:   "attest GROUP MEMBER",
		Short: "Vouch, by your name, that a member can't write",
		Long: "Says that you made sure yourself that a member can't accept writes: it is switched off, unplugged, or cut off, and\n" +
			"stays so. Arbiter relies on it as on a fence's proof, keeps it for ever, and refuses it while any arbiter sees the\n" +
			"member answer. If it isn't true, two members may accept writes.",
		Args: exactly("GROUP", "MEMBER"), ValidArgsFunction: a.completeMembers,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := change.needReason("an attestation"); err != nil {
				return err
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			g, err := what.find(cmd.Context(), a, c, args[0])
			if err != nil {
				return err
			}
			if err := isMember(g, args[1]); err != nil {
				return err
			}
			consequence := heldFor(g) + screen.Seen(a.style(), g, args[1]) + fmt.Sprintf("You vouch that %s of %s can't accept writes and won't come back by itself. If that is wrong, two members may write.", args[1], args[0])
			if err := a.confirm(&change, args[0], consequence); err != nil {
				return err
			}
			answer, err := c.Attest(cmd.Context(), &arbiterv1.AttestRequest{
				Change: change.change(), Group: args[0], Operation: what.operation, Seen: what.seen, Member: args[1],
			})
			if err != nil {
				return err
			}
			return a.said(answer, "%s: %s", args[0], orElse(answer.Result, args[1]+" is attested"))
		},
	}
	change.addConfirmation(cmd)
	what.addFlags(cmd)
	return cmd
}
