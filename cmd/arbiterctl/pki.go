package main

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/arbiter-ha/arbiter/internal/pki"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

func (a *app) pkiCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "pki",
		Short: "Make the certificates that arbiters and operators know each other by",
		Args:  onlyCommands,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.pkiInitCommand(), a.pkiIssueCommand())
	return cmd
}

func (a *app) pkiInitCommand() *cobra.Command {
	var folder string
	var force bool
	cmd := &cobra.Command{
		Use:   "init CLUSTER",
		Short: "Make the authority of a cluster",
		Long: "Writes ca.crt and ca.key into a folder. The key signs everything: keep the folder off the arbiters, and back it up.\n" +
			"CLUSTER names the cluster; certificates of another one are refused.",
		Args: exactly("CLUSTER"),
		RunE: func(_ *cobra.Command, args []string) error {
			if _, err := pki.Init(folder, args[0], force); err != nil {
				return pkiError(err)
			}
			return a.showOwn(map[string]string{"cluster": args[0], "dir": folder}, fmt.Sprintf("The authority of %s is in %s. Next, for each arbiter, and then for each operator:\n"+
				"  arbiterctl pki issue NAME --role arbiter --host HOST --dir %s --out DIR\n"+
				"  arbiterctl pki issue NAME --role operator --dir %s --out DIR\n", args[0], folder, folder, folder))
		},
	}
	cmd.Flags().StringVar(&folder, "dir", "pki", "folder of the authority")
	cmd.Flags().BoolVar(&force, "force", false, "replace an existing authority: everybody with a certificate of it is cut off")
	return cmd
}

func (a *app) pkiIssueCommand() *cobra.Command {
	var (
		folder, out, role string
		days              int
		force             bool
		request           pki.Request
	)
	cmd := &cobra.Command{
		Use:   "issue NAME",
		Short: "Make a certificate and its key",
		Long: "Writes NAME.crt, NAME.key and ca.crt. NAME is the arbiter's id as in its file, or the operator's name, which is\n" +
			"recorded with everything that the operator does. What each role may do: operator looks and acts, viewer looks, arbiter\n" +
			"is for arbiterd, agent for a member's own guard.",
		Example: "  arbiterctl pki issue az-a --role arbiter --host az-a.internal --out tls\n" +
			"  arbiterctl pki issue dana --role operator --out tls\n" +
			"  arbiterctl pki issue team-orders --role operator --group orders-db --verb getstatus,explain,failover --out tls",
		Args: exactly("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkIssue(cmd, role, days, request.Verbs); err != nil {
				return err
			}
			authority, err := pki.LoadAuthority(folder)
			if errors.Is(err, fs.ErrNotExist) {
				return usage("%v; name the authority's folder with --dir, or make one: arbiterctl pki init CLUSTER --dir %s", err, folder)
			}
			if err != nil {
				return pkiError(err)
			}
			request.Name, request.Role = args[0], pki.Role(role)
			request.ValidFor = time.Duration(days) * 24 * time.Hour
			files, err := authority.IssueTo(out, request, force)
			if err != nil {
				return pkiError(err)
			}
			answer := map[string]string{
				"cluster": authority.Cluster, "role": role, "name": request.Name, "ca": files.Authorities, "cert": files.Certificate, "key": files.Key,
			}
			return a.showOwn(answer, fmt.Sprintf("%s %s of %s:\n  ca:   %s\n  cert: %s\n  key:  %s\n",
				role, request.Name, authority.Cluster, files.Authorities, files.Certificate, files.Key))
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&folder, "dir", "pki", "folder of the authority")
	flags.StringVar(&out, "out", ".", "folder to write to")
	flags.StringVar(&role, "role", "", "arbiter, operator, viewer or agent")
	flags.StringSliceVar(&request.Groups, "group", nil, "limit it to these groups")
	flags.StringSliceVar(&request.Verbs, "verb", nil, "limit it to these verbs")
	flags.StringSliceVar(&request.Hosts, "host", nil, "names and addresses to add, for programs that check them")
	flags.IntVar(&days, "days", 0, "days of validity, 3650 at most (default 825)")
	flags.BoolVar(&force, "force", false, "replace existing files")
	_ = cmd.RegisterFlagCompletionFunc("role", cobra.FixedCompletions([]string{"arbiter", "operator", "viewer", "agent"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// longestDays is more than any certificate should last; an authority's own end may come before.
const longestDays = 3650

// checkIssue refuses what would make a certificate that nobody wants: one whose role was not chosen, that lasts for no time or for ever, or that is
// limited to a verb which isn't there.
func checkIssue(cmd *cobra.Command, role string, days int, verbs []string) error {
	if role == "" {
		return usage("say what the certificate may do: --role arbiter, operator, viewer or agent")
	}
	if !slices.Contains(pki.Roles(), pki.Role(role)) {
		return usage("--role %s: there is no such role; it can be arbiter, operator, viewer or agent", role)
	}
	if cmd.Flags().Changed("days") && (days < 1 || days > longestDays) {
		return usage("--days %d: from 1 to %d", days, longestDays)
	}
	known := verbNames()
	for _, verb := range verbs {
		if !slices.Contains(known, strings.ToLower(verb)) {
			return usage("--verb %s: there is no such verb; they are %s", verb, strings.Join(known, ", "))
		}
	}
	return nil
}

// verbNames are the calls of the API, by which a certificate can be limited.
func verbNames() []string {
	var names []string
	for _, m := range arbiterv1.ArbiterService_ServiceDesc.Methods {
		names = append(names, strings.ToLower(m.MethodName))
	}
	for _, s := range arbiterv1.ArbiterService_ServiceDesc.Streams {
		names = append(names, strings.ToLower(s.StreamName))
	}
	slices.Sort(names)
	return names
}

// pkiError marks what the caller can put right.
func pkiError(err error) error {
	if errors.Is(err, pki.ErrBadIdentity) || errors.Is(err, pki.ErrExists) || errors.Is(err, pki.ErrBadFiles) {
		return usageError{err}
	}
	return err
}
