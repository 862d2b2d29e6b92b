package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/arbiter-ha/arbiter/internal/release"
)

const rootHelp = `arbiterctl is how operators talk to Arbiter. Its arbiters watch groups of servers, each a primary with its standbys; when
a primary fails they make sure that it can't write any more, and promote a standby. Looking changes nothing; what can't be
undone asks back; all that you do is recorded with your name.

The first time:
  which arbiters, and with which certificate         arbiterctl contexts set NAME --address HOST:PORT,... --ca FILE --cert FILE --key FILE

At 3 a.m.:
  who is primary, is it safe, what would be lost     arbiterctl status
  why did it not fail over                           arbiterctl explain GROUP
  why did it fail over, what is it doing             arbiterctl show GROUP
  what can I do about it                             the "next" lines of status and explain
  stop touching this group                           arbiterctl pause GROUP --reason "..."
  move it now                                        arbiterctl failover GROUP --reason "..."  (--dry-run first)
  is the fence path alive                            arbiterctl status GROUP
  would a failover work right now                    arbiterctl check GROUP
  is the arbiter cluster itself well                 arbiterctl arbiters
`

const (
	lookGroup   = "look"
	changeGroup = "change"
	specGroup   = "spec"
	otherGroup  = "other"
)

// newRoot puts all commands together.
func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:                        "arbiterctl",
		Short:                      "Ask the arbiters, and ask them to act",
		Long:                       rootHelp,
		Version:                    release.Name(),
		SilenceErrors:              true,
		SilenceUsage:               true,
		DisableFlagsInUseLine:      true,
		SuggestionsMinimumDistance: 2,
		Args:                       cobra.ArbitraryArgs,
		RunE:                       func(cmd *cobra.Command, args []string) error { return noVerb(cmd, args) },
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.checkFlags(); err != nil {
				return err
			}
			return a.checkFormat(cmd)
		},
	}
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.SetVersionTemplate(versionLine())
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage("%w; see `%s --help`", err, cmd.CommandPath())
	})
	a.addGlobalFlags(root)
	root.AddGroup(
		&cobra.Group{ID: lookGroup, Title: "Look:"},
		&cobra.Group{ID: changeGroup, Title: "Act:"},
		&cobra.Group{ID: specGroup, Title: "Groups and their specs:"},
		&cobra.Group{ID: otherGroup, Title: "Set up:"},
	)
	root.SetHelpCommandGroupID(otherGroup)
	root.SetCompletionCommandGroupID(otherGroup)
	addTo(root, lookGroup, a.statusCommand(), a.explainCommand(), a.showCommand(), a.historyCommand(), a.epochCommand(), a.attestationsCommand(), a.eventsCommand(), a.checkCommand(), a.arbitersCommand())
	addTo(root, changeGroup, a.failoverCommand(), a.abortCommand(), a.reinstateCommand(), a.releaseCommand(), a.attestCommand(), a.pauseCommand(), a.resumeCommand(), a.adoptCommand(), a.transferCommand())
	addTo(root, specGroup, a.applyCommand(), a.diffCommand(), a.getCommand(), a.deleteCommand(), without(arbiterFlags, a.validateCommand()))
	addTo(root, otherGroup, a.contextsCommand(), without(screenFlags, a.pkiCommand()), without(allFlags, prints("SQL", a.schemaCommand())), a.versionCommand())
	root.AddCommand(&cobra.Command{Use: "exit-statuses", Short: "What the exit statuses mean", Long: exitStatusHelp})
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		switch c.Name() {
		case "help":
			c.Args = aCommand
		case "completion":
			c.Args, c.RunE = onlyCommands, func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
			for _, shell := range c.Commands() {
				prints("a program for "+shell.Name(), shell)
			}
		}
	}
	return root
}

// arbiterFlags are the global flags that say which arbiters are asked, and how; screenFlags those and what is for drawn answers; allFlags are all.
var (
	arbiterFlags = []string{"context", "config", "address", "ca", "cert", "key", "insecure-plaintext", "timeout"}
	screenFlags  = append([]string{"colour"}, arbiterFlags...)
	allFlags     = append([]string{"output"}, screenFlags...)
)

// without leaves global flags out of the help of a command, and of those below it, that has no use for them.
func without(flags []string, cmd *cobra.Command) *cobra.Command {
	cmd.SetHelpFunc(func(c *cobra.Command, args []string) {
		for _, name := range flags {
			if flag := c.InheritedFlags().Lookup(name); flag != nil { // the root's own: this process shows no other help
				flag.Hidden = true
			}
		}
		c.Root().HelpFunc()(c, args)
	})
	return cmd
}

func addTo(root *cobra.Command, group string, commands ...*cobra.Command) {
	for _, c := range commands {
		c.GroupID = group
		root.AddCommand(c)
	}
}

// noVerb is what happens without a verb, or with one that doesn't exist.
func noVerb(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cmd.Help()
	}
	return onlyCommands(cmd, args)
}

// onlyCommands is the rule of a command that has commands below it: what follows it must be one of them.
func onlyCommands(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	words := fmt.Sprintf("there is no command %q", strings.TrimPrefix(cmd.CommandPath()+" "+args[0], cmd.Root().Name()+" "))
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		return usage("%s; did you mean %s?", words, strings.Join(near, " or "))
	}
	if !cmd.HasParent() {
		return usage("%s; see `arbiterctl --help`", words)
	}
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	return usage("%s; there are %s", words, strings.Join(names, ", "))
}

// aCommand is the rule of help: what follows it must be the name of a command.
func aCommand(cmd *cobra.Command, args []string) error {
	found, rest, err := cmd.Root().Find(args)
	if err != nil {
		return usageError{err}
	}
	return onlyCommands(found, rest)
}

func (a *app) addGlobalFlags(root *cobra.Command) {
	f := root.PersistentFlags()
	f.StringVar(&a.flags.context, "context", "", "name of the context to use (default: $ARBITER_CONTEXT, else the current one)")
	f.StringVar(&a.flags.config, "config", "", "file of contexts (default: $ARBITER_CONFIG, else ~/.config/arbiter/contexts.yaml)")
	f.StringSliceVar(&a.flags.addresses, "address", nil, "host:port of an arbiter's gRPC; repeat or separate with commas (default: the context's; the current context isn't used with it, one that is named is)")
	f.StringVar(&a.flags.ca, "ca", "", "certificate of the cluster's authority (default: the context's)")
	f.StringVar(&a.flags.cert, "cert", "", "own certificate (default: the context's)")
	f.StringVar(&a.flags.key, "key", "", "own private key (default: the context's)")
	f.BoolVar(&a.flags.plaintext, "insecure-plaintext", false, "talk without TLS to arbiters that run without it")
	f.DurationVar(&a.flags.timeout, "timeout", 10*time.Second, "longest time for one call, finding the leader included")
	f.StringVarP(&a.flags.output, "output", "o", "text", "text, json or yaml")
	f.StringVar(&a.flags.colour, "colour", "auto", "auto, always or never (NO_COLOR is respected)")
	_ = root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"text", "json", "yaml"}, cobra.ShellCompDirectiveNoFileComp))
	_ = root.RegisterFlagCompletionFunc("colour", cobra.FixedCompletions([]string{"auto", "always", "never"}, cobra.ShellCompDirectiveNoFileComp))
	_ = root.RegisterFlagCompletionFunc("context", a.completeContexts)
}

func (a *app) checkFlags() error {
	if !slices.Contains([]string{"text", "json", "yaml"}, a.flags.output) {
		return usage("--output can be text, json or yaml, not %q", a.flags.output)
	}
	if !slices.Contains([]string{"auto", "always", "never"}, a.flags.colour) {
		return usage("--colour can be auto, always or never, not %q", a.flags.colour)
	}
	if a.flags.plaintext && a.flags.ca+a.flags.cert+a.flags.key != "" {
		return usage("--insecure-plaintext is without certificates: leave --ca, --cert and --key out, or it")
	}
	if a.flags.timeout <= 0 {
		return usage("--timeout must be longer than nothing")
	}
	return nil
}

// exactly demands so many arguments, and names them when they aren't there.
func exactly(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == len(names) {
			return nil
		}
		return usage("%s needs %s; usage: %s", cmd.CommandPath(), strings.Join(names, " and "), cmd.UseLine())
	}
}

// atMost allows so many arguments.
func atMost(most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) <= most {
			return nil
		}
		return usage("%s: %q is one argument too many; usage: %s", cmd.CommandPath(), args[most], cmd.UseLine())
	}
}
