package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/arbiter-ha/arbiter/client"
	"github.com/arbiter-ha/arbiter/cmd/arbiterctl/screen"
	"github.com/arbiter-ha/arbiter/config"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// specFile is one file that a command was given.
type specFile struct {
	name string // as shown in messages
	text []byte
	err  error // why it can't be read
}

// loadedSpec is a spec and the file that it was read from.
type loadedSpec struct {
	*arbiterv1.GroupSpec
	file specFile
}

// refused shows what the arbiters found wrong with a spec by the lines of its file. Where others were changed before it, the exit status is none that
// promises that nothing was changed.
func (a *app) refused(spec loadedSpec, err error, changed ...loadedSpec) error {
	outcome, status := "nothing was changed", exitUsage
	if len(changed) > 0 {
		names := make([]string, len(changed))
		for i, before := range changed {
			names[i] = before.Group
		}
		outcome, status = fmt.Sprintf("%s was changed, and %s was not", strings.Join(names, ", "), spec.Group), exitError
	}
	var invalid *client.InvalidError
	switch field := errors.As(err, &invalid) && len(invalid.Fields) > 0; {
	case !field && len(changed) > 0:
		return fmt.Errorf("%s: %v", outcome, err)
	case !field:
		return err
	}
	faults := make([]config.Fault, len(invalid.Fields))
	for i, f := range invalid.Fields {
		faults[i] = config.Fault{Path: strings.TrimPrefix(f.Field, "spec."), Message: f.Message}
	}
	_, source, _ := config.ParseGroup(spec.file.name, spec.file.text) // it was read before, without a fault
	a.hint("%s; %s.", count(a.list(source.Locate(faults)), "fault"), outcome)
	return statusError(status)
}

// readFiles reads the files of -f; "-" is standard input. One that can't be read hides nothing of the others.
func (a *app) readFiles(names []string) ([]specFile, error) {
	if len(names) == 0 {
		return nil, usage("name a file: -f group.yaml (or -f - for standard input)")
	}
	files := make([]specFile, len(names))
	for i, name := range names {
		files[i].name = name
		if name == "-" {
			files[i].name = "stdin"
			files[i].text, files[i].err = io.ReadAll(a.stdin)
		} else {
			files[i].text, files[i].err = os.ReadFile(name)
		}
	}
	return files, nil
}

// loadSpecs reads and checks group specs, and has the client to send them with. All faults of all files are shown together; then
// nothing is changed.
func (a *app) loadSpecs(names []string) ([]loadedSpec, *client.Client, error) {
	files, err := a.readFiles(names)
	if err != nil {
		return nil, nil, err
	}
	specs := make([]loadedSpec, 0, len(files))
	faults := 0
	for _, file := range files {
		spec, warnings, err := file.load()
		a.warn(warnings)
		if err != nil {
			faults += a.list(err)
			continue
		}
		specs = append(specs, loadedSpec{spec, file})
	}
	if faults > 0 {
		a.hint("%s; nothing was changed.", count(faults, "fault"))
		return nil, nil, statusError(exitUsage)
	}
	c, err := a.client()
	return specs, c, err
}

func (f specFile) load() (*arbiterv1.GroupSpec, config.Faults, error) {
	if f.err != nil {
		return nil, nil, f.err
	}
	return config.LoadGroup(f.name, f.text)
}

func (a *app) warn(warnings config.Faults) {
	for _, w := range warnings {
		w.Message = "warning: " + w.Message
		a.hint("%s", w)
	}
}

// list prints faults as they are, one a line, and counts them.
func (a *app) list(err error) int {
	a.hint("%s", err)
	var faults config.Faults
	if errors.As(err, &faults) {
		return len(faults)
	}
	return 1
}

func count(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

func (a *app) applyCommand() *cobra.Command {
	var (
		change  changing
		files   []string
		dryRun  bool
		version uint64
	)
	cmd := &cobra.Command{
		Use:   "apply -f FILE",
		Short: "Create or change groups from their specs",
		Long: "Faults are said by the lines of the files, all of them, and then nothing is changed. A new group is watched at once, and\n" +
			"nothing automatic happens to it before `arbiterctl adopt`; nor to one whose members' addresses or fences were changed.",
		Example: "  arbiterctl validate orders-db.yaml && arbiterctl check -f orders-db.yaml\n" +
			"  arbiterctl apply -f orders-db.yaml --dry-run\n" +
			"  arbiterctl apply -f orders-db.yaml --reason \"protect orders\"",
		Args: atMost(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if change.requestID != "" && len(files) > 1 {
				return usage("--request-id is the id of one change; apply one file at a time")
			}
			specs, c, err := a.loadSpecs(files)
			if err != nil {
				return err
			}
			request := func(spec loadedSpec, dryRun bool) *arbiterv1.ApplyGroupRequest {
				r := &arbiterv1.ApplyGroupRequest{Spec: spec.GroupSpec, DryRun: dryRun}
				if cmd.Flags().Changed("expect-version") {
					r.ExpectedVersion = &version
				}
				return r
			}
			if len(specs) > 1 && !dryRun { // what is wrong with the last must be known before the first is changed
				for _, spec := range specs {
					if err := a.rehearse(cmd.Context(), c, change, request(spec, true)); err != nil {
						return a.refused(spec, err)
					}
				}
			}
			for i, spec := range specs {
				if err := a.apply(cmd.Context(), c, change, request(spec, dryRun)); err != nil {
					return a.refused(spec, err, before(specs[:i], dryRun)...)
				}
			}
			return nil
		},
	}
	change.addFlags(cmd)
	addFilesFlag(cmd, &files)
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only say what would change")
	cmd.Flags().Uint64Var(&version, "expect-version", 0, "refuse if the group's spec isn't of this version any more (0: if the group exists)")
	return cmd
}

func addFilesFlag(cmd *cobra.Command, files *[]string) {
	cmd.Flags().StringArrayVarP(files, "filename", "f", nil, "file of a group spec, - for standard input; repeat for more")
	_ = cmd.MarkFlagFilename("filename", "yaml", "yml")
}

// applyTry is longer than other calls have: the arbiter starts fence agents, to ask which settings they know.
const applyTry = 6 * time.Second

// apply applies one spec. Each group is a change of its own, with an id of its own.
func (a *app) apply(ctx context.Context, c *client.Client, change changing, request *arbiterv1.ApplyGroupRequest) error {
	request.Change = change.change()
	group := request.Spec.Group
	if request.DryRun {
		if err := a.printDiff(ctx, c, request.Spec); err != nil {
			return err
		}
	}
	answer, err := c.ApplyGroup(ctx, request, client.TryFor(applyTry))
	if err != nil {
		return fmt.Errorf("apply %s: %w", group, err)
	}
	return a.show(answer, func() string { return screen.Applied(group, answer, request.DryRun) })
}

// rehearse asks whether a spec would be taken, and shows nothing.
func (a *app) rehearse(ctx context.Context, c *client.Client, change changing, request *arbiterv1.ApplyGroupRequest) error {
	request.Change = change.change()
	if _, err := c.ApplyGroup(ctx, request, client.TryFor(applyTry)); err != nil {
		return fmt.Errorf("apply %s: %w", request.Spec.Group, err)
	}
	return nil
}

// before are the specs that were applied before one was refused; a dry run applies none.
func before(applied []loadedSpec, dryRun bool) []loadedSpec {
	if dryRun {
		return nil
	}
	return applied
}

// printDiff says what applying would change. A group that doesn't exist yet (version 0) has nothing to differ from.
func (a *app) printDiff(ctx context.Context, c *client.Client, spec *arbiterv1.GroupSpec) error {
	if a.flags.output != "text" {
		return nil
	}
	answer, err := c.DiffGroup(ctx, &arbiterv1.DiffGroupRequest{Spec: spec})
	if err != nil {
		return fmt.Errorf("compare %s: %w", spec.Group, err)
	}
	if answer.Version == 0 {
		return nil
	}
	return a.print(screen.Differences(a.style(), spec.Group, answer.Differences))
}

func (a *app) diffCommand() *cobra.Command {
	var files []string
	cmd := &cobra.Command{
		Use:   "diff -f FILE",
		Short: "What applying a spec would change",
		Args:  atMost(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			specs, c, err := a.loadSpecs(files)
			if err != nil {
				return err
			}
			for _, spec := range specs {
				answer, err := c.DiffGroup(cmd.Context(), &arbiterv1.DiffGroupRequest{Spec: spec.GroupSpec})
				if err != nil {
					return a.refused(spec, fmt.Errorf("compare %s: %w", spec.Group, err))
				}
				if err := a.show(answer, func() string { return screen.Differences(a.style(), spec.Group, answer.Differences) }); err != nil {
					return err
				}
			}
			return nil
		},
	}
	addFilesFlag(cmd, &files)
	return cmd
}

func (a *app) getCommand() *cobra.Command {
	var r reading
	var defaults bool
	cmd := &cobra.Command{
		Use:   "get GROUP",
		Short: "The spec of a group, as it was applied or with every default",
		Args:  exactly("GROUP"), ValidArgsFunction: a.completeGroups,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			answer, err := c.GetGroup(cmd.Context(), &arbiterv1.GetGroupRequest{Consistency: r.consistency(), Group: args[0], Defaults: defaults}, r.options()...)
			if err != nil {
				return err
			}
			if a.flags.output == "json" {
				err = a.show(answer, nil)
			} else {
				err = a.print(fmt.Sprintf("# version %d\n%s", answer.Version, config.FormatGroup(answer.Spec)))
			}
			if err != nil {
				return err
			}
			return r.unasked(answer.Freshness)
		},
	}
	r.addFlag(cmd)
	cmd.Flags().BoolVar(&defaults, "defaults", false, "with every default filled in")
	return cmd
}

func (a *app) deleteCommand() *cobra.Command {
	var change changing
	cmd := &cobra.Command{
		Use:   "delete GROUP",
		Short: "Forget a group: it is no longer protected",
		Args:  exactly("GROUP"), ValidArgsFunction: a.completeGroups,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := change.needReason("deleting a group"); err != nil {
				return err
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			consequence := fmt.Sprintf("%s will no longer be protected. Its databases stay as they are; its spec and history are forgotten, its epoch is kept.", args[0])
			if err := a.confirm(&change, args[0], consequence); err != nil {
				return err
			}
			answer, err := c.DeleteGroup(cmd.Context(), &arbiterv1.DeleteGroupRequest{Change: change.change(), Group: args[0]})
			if err != nil {
				return err
			}
			return a.said(answer, "%s is deleted; its epoch %d is kept for a later group of this name.", args[0], answer.Epoch)
		},
	}
	change.addConfirmation(cmd)
	return cmd
}
