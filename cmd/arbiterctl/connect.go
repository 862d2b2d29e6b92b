package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/arbiter-ha/arbiter/client"
	"github.com/arbiter-ha/arbiter/config"
)

// client connects to the arbiters that the flags, or else the context, name. It connects once.
func (a *app) client() (*client.Client, error) {
	if a.connection != nil {
		return a.connection, nil
	}
	context, err := a.context()
	if err != nil {
		return nil, err
	}
	options := client.Options{Addresses: context.Addresses, InsecurePlaintext: context.InsecurePlaintext, Timeout: a.flags.timeout}
	if !context.InsecurePlaintext {
		options.TLS, err = client.TLSFromFiles(context.TLS.CA, context.TLS.Cert, context.TLS.Key)
		if err != nil {
			return nil, usageError{err}
		}
		if err := a.warnOfExpiry(context.TLS); err != nil {
			return nil, usageError{err}
		}
	}
	if a.connection, err = client.New(options); err != nil {
		return nil, usageError{err}
	}
	return a.connection, nil
}

// warnOfExpiry says that the own certificate ends soon. Nobody else can: the arbiters see it at handshakes only, and show their own.
func (a *app) warnOfExpiry(files config.TLSFiles) error {
	concern, err := client.ExpiryConcern(files.CA, files.Cert, files.Key, a.now())
	if err != nil {
		return err
	}
	if concern != "" {
		a.hint("arbiterctl: %s", concern)
	}
	return nil
}

// context is the cluster to talk to. Flags win over the context file; --address makes a context of its own.
func (a *app) context() (config.Context, error) {
	context, err := a.namedContext()
	if err != nil {
		return config.Context{}, err
	}
	f := a.flags
	if len(f.addresses) > 0 {
		context.Addresses = f.addresses
	}
	for _, flag := range []struct {
		value string
		into  *string
	}{{f.ca, &context.TLS.CA}, {f.cert, &context.TLS.Cert}, {f.key, &context.TLS.Key}} {
		if flag.value != "" {
			*flag.into = flag.value
		}
	}
	if f.plaintext {
		context.InsecurePlaintext, context.TLS = true, config.TLSFiles{}
	}
	if faults := context.FlagFaults(); len(faults) > 0 {
		return config.Context{}, usageError{faults}
	}
	return context, nil
}

// namedContext is the context of --context, else of ARBITER_CONTEXT, else the current one of the file. With --address and
// no name there need not be one.
func (a *app) namedContext() (config.Context, error) {
	name := a.flags.context
	if name == "" {
		name = a.environment("ARBITER_CONTEXT")
	}
	if name == "" && len(a.flags.addresses) > 0 {
		return config.Context{}, nil
	}
	contexts, err := a.loadContexts()
	if err != nil {
		return config.Context{}, err
	}
	if name == "" {
		name = contexts.Current
	}
	if name == "" && len(contexts.Contexts) == 1 {
		return contexts.Contexts[0], nil
	}
	if name == "" {
		return config.Context{}, usage("no context is chosen; %s", contextAdvice(contexts))
	}
	context, found := contexts.Find(name)
	if !found {
		return config.Context{}, notFoundError{fmt.Errorf("there is no context %q in %s; %s", name, a.contextsFile(), contextAdvice(contexts))}
	}
	return context, nil
}

func contextAdvice(contexts *config.Contexts) string {
	if len(contexts.Contexts) == 0 {
		return "make one: arbiterctl contexts set NAME --address HOST:PORT,... --ca ca.crt --cert me.crt --key me.key"
	}
	return fmt.Sprintf("choose one of %s: arbiterctl contexts use NAME", strings.Join(contexts.Names(), ", "))
}

// contextsFile is where contexts are kept.
func (a *app) contextsFile() string {
	if a.flags.config != "" {
		return a.flags.config
	}
	if file := a.environment("ARBITER_CONFIG"); file != "" {
		return file
	}
	folder := a.environment("XDG_CONFIG_HOME")
	if folder == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			home = "."
		}
		folder = filepath.Join(home, ".config")
	}
	return filepath.Join(folder, "arbiter", "contexts.yaml")
}

// loadContexts reads the contexts, none if there is no file. Paths in it are relative to its own folder.
func (a *app) loadContexts() (*config.Contexts, error) {
	contexts, err := a.readContexts()
	if err != nil {
		return nil, err
	}
	folder := filepath.Dir(a.contextsFile())
	for i := range contexts.Contexts {
		t := &contexts.Contexts[i].TLS
		for _, file := range []*string{&t.CA, &t.Cert, &t.Key} {
			if *file != "" && !filepath.IsAbs(*file) {
				*file = filepath.Join(folder, *file)
			}
		}
	}
	return contexts, nil
}

// readContexts reads the contexts as they are written.
func (a *app) readContexts() (*config.Contexts, error) {
	file := a.contextsFile()
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return &config.Contexts{}, nil
	}
	if err != nil {
		return nil, usageError{fmt.Errorf("read the contexts: %w", err)}
	}
	if len(strings.TrimSpace(string(text))) == 0 {
		return &config.Contexts{}, nil
	}
	contexts, err := config.ParseContexts(file, text)
	if err != nil {
		return nil, usageError{err}
	}
	return contexts, nil
}
