package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/arbiter-ha/arbiter/cmd/arbiterctl/screen"
	"github.com/arbiter-ha/arbiter/config"
	"github.com/arbiter-ha/arbiter/internal/keys"
	"github.com/arbiter-ha/arbiter/internal/pki"
)

func (a *app) contextsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "contexts",
		Aliases: []string{"context"},
		Short:   "The clusters of arbiters that you work with",
		Args:    onlyCommands,
		RunE: func(*cobra.Command, []string) error {
			contexts, err := a.readContexts()
			if err != nil {
				return err
			}
			return a.showContexts(contexts, screen.Contexts(a.style(), contexts, a.contextsFile()))
		},
	}
	cmd.AddCommand(a.contextSetCommand(), a.contextUseCommand(), a.contextDeleteCommand())
	return cmd
}

// contextsAnswer is what the commands about contexts answer to a script: the contexts as they are now.
type contextsAnswer struct {
	File     string          `json:"file"`
	Current  string          `json:"current"`
	Contexts []contextAnswer `json:"contexts"`
}

type contextAnswer struct {
	Name              string   `json:"name"`
	Addresses         []string `json:"addresses"`
	CA                string   `json:"ca"`
	Cert              string   `json:"cert"`
	Key               string   `json:"key"`
	InsecurePlaintext bool     `json:"insecure_plaintext"`
}

// showContexts says to people what was done, and to scripts how the contexts are now.
func (a *app) showContexts(contexts *config.Contexts, text string) error {
	answer := contextsAnswer{File: a.contextsFile(), Current: contexts.Current, Contexts: []contextAnswer{}}
	for _, c := range contexts.Contexts {
		answer.Contexts = append(answer.Contexts, contextAnswer{c.Name, c.Addresses, c.TLS.CA, c.TLS.Cert, c.TLS.Key, c.InsecurePlaintext})
	}
	return a.showOwn(answer, text)
}

func (a *app) contextSetCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "set NAME",
		Short: "Add a context or change it: takes --address, --ca, --cert and --key, or --insecure-plaintext",
		Long: "A context is a cluster of arbiters: where they are reached, all of them, and the certificate that says who you are\n" +
			"(`arbiterctl pki issue` makes it). What isn't given stays as it is; paths are kept as absolute ones.",
		Example: "  arbiterctl contexts set production --address az-a.internal:7401,az-b.internal:7401,az-c.internal:7401 \\\n" +
			"      --ca tls/ca.crt --cert tls/dana.crt --key tls/dana.key",
		Args: exactly("NAME"), ValidArgsFunction: a.completeContexts,
		RunE: func(_ *cobra.Command, args []string) error {
			contexts, err := a.readContexts()
			if err != nil {
				return err
			}
			if why := keys.NameFault(args[0]); why != "" {
				return usage("NAME: %s", why)
			}
			context, _ := contexts.Find(args[0])
			context.Name = args[0]
			if err := a.changeContext(&context); err != nil {
				return err
			}
			contexts.Set(context)
			if contexts.Current == "" {
				contexts.Current = context.Name
			}
			if err := a.saveContexts(contexts); err != nil {
				return err
			}
			return a.showContexts(contexts, fmt.Sprintf("context %s is set; current is %s.\n", context.Name, contexts.Current))
		},
	}
}

// changeContext puts the flags into a context. Paths become absolute, because the shell's folder means nothing later.
func (a *app) changeContext(context *config.Context) error {
	f := a.flags
	if len(f.addresses) > 0 {
		context.Addresses = f.addresses
	}
	if f.plaintext {
		context.InsecurePlaintext, context.TLS = true, config.TLSFiles{}
	}
	for _, file := range []struct {
		flag string
		into *string
	}{{f.ca, &context.TLS.CA}, {f.cert, &context.TLS.Cert}, {f.key, &context.TLS.Key}} {
		if file.flag == "" {
			continue
		}
		absolute, err := filepath.Abs(file.flag)
		if err != nil {
			return fmt.Errorf("resolve %s: %w", file.flag, err)
		}
		*file.into, context.InsecurePlaintext = absolute, false
	}
	if faults := context.FlagFaults(); len(faults) > 0 {
		return usageError{faults}
	}
	return nil
}

// saveContexts replaces the file as a whole.
func (a *app) saveContexts(contexts *config.Contexts) error {
	file := a.contextsFile()
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("make the folder of the contexts: %w", err)
	}
	if err := pki.WriteFile(file, config.FormatContexts(contexts), 0o600, true); err != nil {
		return fmt.Errorf("write the contexts: %w", err)
	}
	return nil
}

func (a *app) contextUseCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "use NAME",
		Short: "Choose the context that is used when none is named",
		Args:  exactly("NAME"), ValidArgsFunction: a.completeContexts,
		RunE: func(_ *cobra.Command, args []string) error {
			contexts, err := a.readContexts()
			if err != nil {
				return err
			}
			if _, found := contexts.Find(args[0]); !found {
				return notFoundError{fmt.Errorf("there is no context %q; %s", args[0], contextAdvice(contexts))}
			}
			contexts.Current = args[0]
			if err := a.saveContexts(contexts); err != nil {
				return err
			}
			return a.showContexts(contexts, fmt.Sprintf("current context is %s.\n", args[0]))
		},
	}
}

func (a *app) contextDeleteCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "delete NAME",
		Short: "Forget a context; its certificates stay where they are",
		Args:  exactly("NAME"), ValidArgsFunction: a.completeContexts,
		RunE: func(_ *cobra.Command, args []string) error {
			contexts, err := a.readContexts()
			if err != nil {
				return err
			}
			if !contexts.Remove(args[0]) {
				return notFoundError{fmt.Errorf("there is no context %q", args[0])}
			}
			if contexts.Current == args[0] {
				contexts.Current = ""
			}
			if len(contexts.Contexts) == 0 {
				if err := os.Remove(a.contextsFile()); err != nil && !errors.Is(err, fs.ErrNotExist) {
					return fmt.Errorf("remove the contexts: %w", err)
				}
			} else if err := a.saveContexts(contexts); err != nil {
				return err
			}
			return a.showContexts(contexts, fmt.Sprintf("context %s is deleted.\n", args[0]))
		},
	}
}
