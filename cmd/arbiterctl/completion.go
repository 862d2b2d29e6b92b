package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// completionTimeout limits what a press of the tab key may cost.
const completionTimeout = time.Second

// groups asks for the groups, for completion: quickly, of any arbiter, and without a word if that fails.
func (a *app) groups(ctx context.Context, group string) []*arbiterv1.GroupStatus {
	c, err := a.client()
	if err != nil {
		return nil
	}
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, cancel := context.WithTimeout(ctx, completionTimeout)
	defer cancel()
	answer, err := c.GetStatus(ctx, &arbiterv1.GetStatusRequest{Consistency: arbiterv1.Consistency_CONSISTENCY_STALE, Group: group})
	if err != nil {
		return nil
	}
	return answer.Groups
}

// completeGroups completes the name of a group as the first argument.
func (a *app) completeGroups(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, g := range a.groups(cmd.Context(), "") {
		names = append(names, g.Group+"\t"+g.Stage)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeMembers completes a group first, then one of its members.
func (a *app) completeMembers(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return a.completeGroups(cmd, args, toComplete)
	}
	var names []string
	for _, g := range a.groups(cmd.Context(), args[0]) {
		for _, m := range g.Members {
			names = append(names, m.Member+"\t"+m.Role)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func (a *app) completeContexts(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	contexts, err := a.readContexts()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return contexts.Names(), cobra.ShellCompDirectiveNoFileComp
}
